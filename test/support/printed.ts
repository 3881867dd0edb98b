/**
 * What a run says to the database, as text a person can read and compare. Recorded where it leaves the process, from
 * Neon's own client, so that no part of the engine has to be known here. Each parameter stands where it is used,
 * between ‹ and ›; ids made up by a run are numbered, and a statement is printed the first time it is sent.
 */
import { neonConfig } from '@neondatabase/serverless';
import { format } from 'sql-formatter';

interface Sent {
  readonly query: string;
  readonly params: readonly (string | null | readonly string[])[];
}
export interface Request {
  readonly readOnly: boolean;
  readonly statements: readonly Sent[];
}

/** Everything sent to PostgreSQL while `act` runs; `refuse` names requests that are answered as if they had taken too long. */
export async function recorded(
  act: () => Promise<unknown>,
  refuse: (request: Request) => boolean = () => false,
): Promise<Request[]> {
  const requests: Request[] = [];
  neonConfig.fetchFunction = async (url: string, init: RequestInit) => {
    const { queries } = JSON.parse(String(init.body)) as { queries: Sent[] };
    const readOnly = new Headers(init.headers).get('Neon-Batch-Read-Only') === 'true';
    const request = { readOnly, statements: queries };
    if (refuse(request)) {
      return Response.json(
        { message: 'canceling statement due to statement timeout', code: '57014' },
        { status: 400 },
      );
    }
    requests.push(request);
    return fetch(url, init);
  };
  try {
    await act();
  } finally {
    neonConfig.fetchFunction = undefined;
  }
  return requests;
}

/** The first statement of every request: its limits and formats. */
export const isSession = (s: Sent): boolean => s.query.includes(`set_config('bytea_output'`);

/** The requests in their order, without their sessions; what is `known`, or was printed before, by its beginning only. */
export function printed(requests: readonly Request[], known: ReadonlySet<string> = new Set()): string {
  const seen = new Set(known);
  const ids = new Map<string, string>();
  const parts = requests.flatMap(({ readOnly, statements }) => {
    const own = statements.filter((s) => !isSession(s));
    if (own.every((s) => seen.has(s.query))) return [];
    const lines = own.map((s) => (seen.has(s.query) ? again(s) : statement(s, ids)));
    for (const s of own) seen.add(s.query);
    return [`-- one request${readOnly ? ', READ ONLY' : ''}\n\n${lines.join('\n\n')}`];
  });
  return `${parts.join('\n\n\n')}\n`;
}

const again = (s: Sent): string =>
  `-- as before: ${s.query.replaceAll(/\s+/g, ' ').replaceAll(/\$\d+/g, '?').slice(0, 60)}`;

function statement(s: Sent, ids: Map<string, string>): string {
  const inner: string[] = [];
  const text = s.query.replaceAll(/\$(\d+)/g, (_, n) => `‹${value(s.params[Number(n) - 1], inner)}›`);
  const within = inner.map((sql, i) => `-- statement ${i + 1} of the one above\n${pretty(sql)}`);
  return stable([pretty(text), ...within].join('\n\n'), ids);
}

/** A parameter that is a statement itself is printed below the one that carries it. */
function value(given: Sent['params'][number] | undefined, inner: string[]): string {
  if (given === null || given === undefined) return 'null';
  if (typeof given !== 'string') return given.join(', ');
  if (!/^(with|select|delete|update) /.test(given)) return given;
  return `statement ${inner.push(given.replaceAll(/\$(\d+)/g, '‹$1›'))}`;
}

const pretty = (sql: string): string => {
  const loose = format(sql, {
    language: 'postgresql',
    keywordCase: 'lower',
    paramTypes: { custom: [{ regex: '‹[^›]*›' }] },
  });
  return `${compact(treeOf(loose.split('\n')), 0)};`;
};

/** A line, what is indented below it, and the line that closes it. */
interface Block {
  readonly line: string;
  readonly below: readonly Block[];
  readonly close: Block | null;
}
const WIDTH = 110;
const depthOf = (line: string): number => line.search(/\S|$/);

function treeOf(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (let at = lines.length; at > 0; ) {
    // From the end, so that what closes a block is there when the block is read.
    let first = at - 1;
    while (depthOf(lines[first]!) > depthOf(lines[0]!)) first -= 1;
    const line = lines[first]!.trim();
    const opens = line.endsWith('(') || /\bcase( .*)?$/.test(line);
    const close = opens && blocks.length > 0 ? blocks.shift()! : null;
    blocks.unshift({ line, below: first + 1 < at ? treeOf(lines.slice(first + 1, at)) : [], close });
    at = first;
  }
  return blocks;
}

const flat = ({ line, below, close }: Block): string =>
  [line, ...below.map(flat), ...(close ? [flat(close)] : [])]
    .join(' ')
    .replaceAll('( ', '(')
    .replaceAll(' )', ')');

/** As few lines as fit: sql-formatter alone gives each word of a query a line of its own. */
function compact(blocks: readonly Block[], depth: number): string {
  const indent = ' '.repeat(depth);
  const lines = blocks.map((block) => {
    const whole = indent + flat(block);
    if (whole.length <= WIDTH) return whole;
    const below = block.below.length > 0 ? `\n${compact(block.below, depth + 2)}` : '';
    const close = block.close ? `\n${compact([block.close], depth)}` : '';
    return `${indent}${block.line}${below}${close}`;
  });
  return lines.join('\n');
}

const UUID = /\b(?!00000000-)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g;

/** Ids and hashes that are another each time, by their first appearance. */
const stable = (sql: string, ids: Map<string, string>): string =>
  sql
    .replaceAll(UUID, (id) => {
      if (!ids.has(id)) ids.set(id, `id-${ids.size + 1}`);
      return ids.get(id)!;
    })
    .replaceAll(/‹v?[0-9a-f]{12,64}›/g, '‹hash›');
