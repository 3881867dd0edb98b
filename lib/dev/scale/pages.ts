/** Every page of the console as somebody would open it: found in the tree of the app, so that a new page is measured or is missed. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Client } from 'pg';

const FOLDER = path.join('app', '(console)');

/** As Next names them: `/calendar/[day]`. */
export const pagesOfConsole = (): string[] =>
  readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => /(^|\/)page\.tsx$/.test(file))
    .map((file) => `/${file.replace(/\/?page\.tsx$/, '')}`.replace(/\/\([^)]*\)/g, ''))
    .map((page) => page || '/')
    .sort();

/** What else of a page is asked for: its filters, and what one looks for in it. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  '/why': ['?id=:key', '?id=:never', '?id=:user', '?person=:hash'],
  '/audit': [
    '',
    '?actor=otto',
    '?action=run.sealed',
    '?policy=:policy',
    '?day=:day',
    '?actor=otto&action=run.sealed',
  ],
  '/reports': ['', '?from=:month&to=:day'],
  '/calendar': ['', '?policy=:policy'],
  '/holds': ['', '?released=1'],
  '/letters': ['?kind=row', '?kind=file', '?kind=row&policy=:policy'],
  '/restores': ['', '?policy=:policy', '?run=:run', '?organization=:organization', '?key=:key'],
  '/extensions/end': ['?table=:table&key=:extended'],
  '/extensions/new': ['?table=:table&key=:extended'],
  '/erasures': ['', '?settled=1'],
};

/** An example of each parameter that stands in an address, from the history itself. */
const EXAMPLES: Readonly<Record<string, string>> = {
  policy: `select policy as x from retention.policy_state order by policy limit 1`,
  name: `select policy as x from retention.policy_state order by policy limit 1`,
  run: `select id::text as x from retention.run where mode = 'delete' order by started_at desc limit 1`,
  key: `select (retention.keys_of(c))[1] as x from retention.receipt c order by c.id limit 1`,
  never: `select 'ffffffff-ffff-4fff-8fff-ffffffffffff' as x`,
  user: `select subject as x from retention.erasure order by requested_at limit 1`,
  hash: `select identifiers #>> '{email,0}' as x from retention.erasure order by requested_at limit 1`,
  day: `select to_char(now() at time zone 'UTC' + interval '1 day', 'YYYY-MM-DD') as x`,
  month: `select to_char(now() at time zone 'UTC' - interval '29 days', 'YYYY-MM-DD') as x`,
  hold: `select id::text as x from retention.hold where released_at is null order by placed_at limit 1`,
  kind: `select 'row' as x`,
  organization: `select subject as x from retention.hold where scope = 'organization' order by placed_at limit 1`,
  table: `select table_name as x from retention.extension order by keep_until desc limit 1`,
  extended: `select row_key as x from retention.extension order by keep_until desc limit 1`,
  restore: `select id::text as x from retention.restore order by requested_at limit 1`,
  order: `select order_key as x from retention.order_step order by order_key limit 1`,
  letter: `select id::text as x from retention.dead_letter where state = 'open' order by created_at limit 1`,
  erasure: `select id::text as x from retention.erasure order by requested_at desc limit 1`,
};

/** What `[id]` stands for, by the page it is in. */
const IDS: Readonly<Record<string, string>> = {
  runs: 'run',
  holds: 'hold',
  letters: 'letter',
  erasures: 'erasure',
  policies: 'policy',
  restores: 'restore',
  orders: 'order',
};

export interface Visit {
  readonly page: string;
  readonly path: string;
}

/** Of a store without history there may be no example: what nothing has is left as a key that nobody knows. */
export async function visits(owner: Client): Promise<Visit[]> {
  const examples = new Map<string, string>();
  for (const [name, text] of Object.entries(EXAMPLES)) {
    const { rows } = await owner.query<{ x: string | null }>(text);
    examples.set(name, rows[0]?.x ?? 'ffffffff-ffff-4fff-8fff-ffffffffffff');
  }
  const filled = (text: string) =>
    text.replace(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(examples.get(name)!));
  return pagesOfConsole().flatMap((page) =>
    (WAYS[page] ?? ['']).map((way) => ({ page, path: `${withExamples(page, examples)}${filled(way)}` })),
  );
}

function withExamples(page: string, examples: ReadonlyMap<string, string>): string {
  const [, first = ''] = page.split('/');
  return page.replace(/\[([a-zA-Z]+)\]/g, (_, name: string) => {
    const known =
      examples.get(name === 'id' ? (IDS[first] ?? 'run') : name) ?? examples.get(IDS[first] ?? 'run');
    return encodeURIComponent(known ?? '');
  });
}
