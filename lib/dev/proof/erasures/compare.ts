/** Holds what an erasure did against what it had to do; each difference is a sentence. */
import type { Client } from 'pg';
import type { ErasureResult } from '../../../rights/result';
import { unlike } from '../shapes/compare';
import type { Copy } from '../shapes/copy';
import { evidenceOf } from '../shapes/evidence';
import { leftBehind } from './left-behind';
import { type Line, linesOf, normal, tableIn } from './map';
import { type Asked, isOver, type Oracle, type Truth } from './oracle';

export interface Happened {
  readonly before: Copy;
  readonly after: Copy;
  readonly dry: ErasureResult;
  readonly result: ErasureResult;
  /** What the store has, and what it had of this schema. */
  readonly stored: readonly string[];
  readonly files: readonly string[];
  readonly owner: Client;
}

interface Judged {
  readonly oracle: Oracle;
  readonly truth: Truth;
  readonly asked: Asked;
}

export async function unlikeTruth(j: Judged, h: Happened): Promise<string[]> {
  const evidence = await evidenceOf(h.owner);
  return [
    ...unlikeRows(j.truth, h),
    ...unlike('in receipts', [...j.truth.gone, ...j.truth.changed], evidence.named),
    ...unlikeOutbox(j, h, evidence.files),
    ...unlikeStore(j, h),
    ...unlikeEnd(j, h),
    ...unlikeDryRun(j.truth, h),
  ];
}

function unlikeRows(truth: Truth, { before, after }: Happened): string[] {
  const problems: string[] = [];
  for (const [id, values] of truth.left) {
    const row = after.rows.get(id);
    if (!row) {
      problems.push(`${id} is gone and must be there`);
      continue;
    }
    for (const [column, value] of Object.entries(values)) {
      const now = row.values[column] ?? null;
      if (now !== value) problems.push(`${id}: ${column} is ${now}, not ${value}`);
    }
  }
  for (const id of after.rows.keys())
    if (!truth.left.has(id))
      problems.push(`${id} is there${before.rows.has(id) ? ' and must be gone' : ', and nobody wrote it'}`);
  return problems;
}

const columnsOfFiles = ({ policies }: Asked): { table: string; column: string }[] =>
  policies.flatMap((p) =>
    [p, ...(p.dependants ?? []), ...(p.contents ?? [])].flatMap((t) =>
      (t.files ?? []).map(({ column }) => ({ table: tableIn(t), column })),
    ),
  );

/** Of each row that is gone, the files that it named. */
function unlikeOutbox({ truth, asked }: Judged, { before }: Happened, found: readonly string[]): string[] {
  const columns = columnsOfFiles(asked);
  const wanted = [...truth.gone].flatMap((id) => {
    const row = before.rows.get(id)!;
    return columns
      .filter((c) => c.table === row.table)
      .flatMap(({ column }) => (row.values[column] ? [`${id} ${row.values[column]}`] : []));
  });
  return unlike(
    'in the outbox',
    wanted,
    found.filter((f) => !f.startsWith('(store) ')),
  );
}

/** The files of rows that are gone, unless a row that is left names them, and the subject's own folders, once all else is done. */
function unlikeStore({ truth, asked }: Judged, { before, stored, files }: Happened): string[] {
  const columns = columnsOfFiles(asked);
  const naming = (row: { table: string; values: Readonly<Record<string, string | null>> }) =>
    columns.filter((c) => c.table === row.table).flatMap(({ column }) => row.values[column] ?? []);
  const named = new Set(
    [...truth.left].flatMap(([id, values]) => naming({ table: before.rows.get(id)!.table, values })),
  );
  const dropped = new Set([...truth.gone].flatMap((id) => naming(before.rows.get(id)!)));
  const folders = [...linesOf(asked.map, asked.policies).values()]
    .filter((l) => l.subject === asked.scope)
    .flatMap((l) => l.files.map((f) => f.replaceAll('{id}', asked.subject)));
  const inFolder = (f: string) => truth.stuck.length === 0 && folders.some((p) => f.startsWith(p));
  return files.flatMap((f) => {
    const mustGo = !named.has(f) && (dropped.has(f) || inFolder(f));
    if (mustGo === !stored.includes(f)) return [];
    return [
      mustGo ? `${f} is in the store and must be gone` : `${f} is gone from the store and must be there`,
    ];
  });
}

/** How the request stands at the end, and what the check says. */
function unlikeEnd({ truth, asked, oracle }: Judged, { result, after }: Happened): string[] {
  if (truth.stuck.length > 0) {
    const waits = result.policies.some((p) => p.reason === 'waits');
    const wanted = waits || result.kept > 0;
    return [
      ...(result.outcome === 'interrupted' && wanted
        ? []
        : [
            `${truth.stuck.length} rows stay, and it ended ${result.outcome} (${result.reason}): ${result.message}`,
          ]),
      ...unlikeKept(truth, result),
    ];
  }
  const left = leftBehind(after, seeking(asked, oracle, after));
  const isLeft = Object.keys(left).length > 0;
  if (isLeft !== (result.reason === 'left_behind'))
    return [
      `${isLeft ? `left behind: ${JSON.stringify(left)}` : 'nothing is left behind'}, and it ended ${result.outcome} (${result.reason}): ${result.message}`,
    ];
  if (!isLeft)
    return result.outcome === 'succeeded'
      ? []
      : [`it ended ${result.outcome} (${result.reason}): ${result.message}`];
  return Object.entries(left).flatMap(([table, columns]) =>
    Object.entries(columns).flatMap(([column, n]) =>
      result.message.includes(`${n} rows with the subject in ${table}.${column}`)
        ? []
        : [`${n} rows are left behind in ${table}.${column}, and it says: ${result.message}`],
    ),
  );
}

/** Table by table: what stays is reported, and what a hold keeps is reported as held. */
function unlikeKept({ stuck, held }: Truth, { policies }: ErasureResult): string[] {
  const tables = new Map<string, { kept: number; held: number; waits: boolean }>();
  for (const { table, kept, reason } of policies) {
    const known = tables.get(table ?? '') ?? { kept: 0, held: 0, waits: false };
    const all = Object.values(kept).reduce((n, k) => n + (k ?? 0), 0);
    tables.set(table ?? '', {
      kept: known.kept + all,
      held: known.held + (kept.held ?? 0),
      waits: known.waits || reason === 'waits',
    });
  }
  const count = (ids: readonly string[], table: string) =>
    ids.filter((id) => id.startsWith(`${table} `)).length;
  return [...tables].flatMap(([table, said]) => {
    if (said.waits) return [];
    const [all, byHold] = [count(stuck, table), count(held, table)];
    return [
      said.kept === all ? '' : `${table}: says ${said.kept} rows stay, ${all} do`,
      said.held === byHold ? '' : `${table}: says ${said.held} are held, ${byHold} are`,
    ].filter((p) => p !== '');
  });
}

function seeking(asked: Asked, oracle: Oracle, after: Copy) {
  const lines = linesOf(asked.map, asked.policies);
  const scoped = asked.policies.flatMap((p) => [p, ...(p.dependants ?? [])]);
  return {
    lines,
    scope: asked.scope,
    subject: asked.subject,
    addresses: oracle.addresses.map(normal),
    naming: (table: string) => [
      ...after.keys.filter((k) => k.from === table && oracle.isName(k)).flatMap((k) => k.columns),
      ...scoped.filter((p) => tableIn(p) === table).flatMap((p) => p.scope?.[asked.scope] ?? []),
      ...(lines.get(table)?.mentions ?? [])
        .filter((m) => m.is === asked.scope && !m.path)
        .map((m) => m.column),
      ...(lines.get(table)?.subject === asked.scope ? oracle.keyOf(table) : []),
    ],
    isRetained: (table: string, column: string, values: Readonly<Record<string, string | null>>) =>
      isRetained(lines.get(table)!, column, values, oracle.keyOf(table), asked.scope),
  };
}

function isRetained(
  line: Line,
  column: string,
  values: Readonly<Record<string, string | null>>,
  key: readonly string[],
  scope: string,
): boolean {
  const handled = line.columns.get(column);
  if (handled?.kind === 'retain') return !isOver(handled.until, values);
  // A subject's own row that stays keeps its key.
  return line.subject === scope && line.action !== 'delete' && key.includes(column);
}

function unlikeDryRun(truth: Truth, { dry }: Happened): string[] {
  const gone = dry.deleted + dry.policies.reduce((n, p) => n + p.dependantsDeleted, 0);
  if (truth.stuck.length > 0) return [];
  return [
    gone === truth.gone.size ? '' : `the dry run says ${gone} rows would go, ${truth.gone.size} had to`,
    dry.masked === truth.changed.length
      ? ''
      : `the dry run says ${dry.masked} rows would change, ${truth.changed.length} had to`,
  ].filter((p) => p !== '');
}
