/**
 * Which rows must go, and that none else went: SQL written from a policy's own words, apart from the engine, and asked
 * before anything is deleted. What it remembers lies in temporary tables of one session, nowhere else.
 */
import type { Client } from 'pg';
import type { KeyColumn } from '../../../platform/sql';
import type { Dependant, Policy } from '../../../policies/contract';
import { literal, quoted, quotedTable } from '../../adopt/quoting';

export interface Truth {
  readonly policy: Policy;
  /** The query whose rows must go, as it was asked. */
  readonly asked: string;
  readonly mustGo: number;
  readonly total: number;
  /** Rows that go along, by table. */
  readonly along: ReadonlyMap<string, number>;
}

/** A text that names one row, as receipts have it. */
const keyOf = (alias: string, key: readonly KeyColumn[]): string => {
  const columns = key.map((k) => `${alias}.${quoted(k.column)}::text`);
  return columns.length === 1 ? columns[0]! : `jsonb_build_array(${columns.join(', ')})::text`;
};

/** That row `d` of a dependant hangs on row `t` of the governed table, through whatever lies between. */
function refersTo(d: Dependant, policy: Policy, alias = 'd', depth = 1): string {
  const { via } = d;
  const isOf = (x: Dependant) => x.table.schema === via?.schema && x.table.name === via.name;
  const parents = via === undefined ? [] : going(policy).filter((x) => x !== d && isOf(x));
  const above = via === undefined ? 't' : `p${depth}`;
  const columns = d.refersTo ?? (parents[0] ?? policy).key.map((k) => k.column);
  const same = d.references.map((c, i) => `${alias}.${quoted(c)} = ${above}.${quoted(columns[i]!)}`);
  if (via === undefined) return same.join(' and ');
  const further = parents.map((p) => refersTo(p, policy, above, depth + 1));
  return `exists (select 1 from ${quotedTable(via)} ${above} where ${same.join(' and ')} and (${further.join(' or ')}))`;
}

function instantOf(clock: Policy['clock']): string {
  const column = `t.${quoted(clock.column)}`;
  switch (clock.type) {
    case 'timestamptz':
      return column;
    case 'epoch':
      return `to_timestamp(${column} / ${clock.unit === 'seconds' ? '1.0' : '1000.0'})`;
    case 'iso':
      return `${column}::timestamptz`;
    default:
      return `(${column}::timestamp at time zone ${literal(clock.zone)})`;
  }
}

/** Past its period, and nothing refers to it that keeps it. */
function mustGo(policy: Policy, asOf: Date): string {
  const at = instantOf(policy.clock);
  const seconds = policy.rules[0]!.keepFor.seconds!;
  const kept = policy.dependants
    .filter((d) => d.fate === 'block')
    .map((d) => ` and not exists (select 1 from ${quotedTable(d.table)} d where ${refersTo(d, policy)})`);
  return `select ${keyOf('t', policy.key)} as k from ${quotedTable(policy.table)} t where ${at} < ${literal(asOf.toISOString())}::timestamptz - interval '${seconds} seconds' and isfinite(${at})${policy.where ? ` and (${policy.where})` : ''}${kept.join('')}`;
}

const going = (policy: Policy): readonly Dependant[] => policy.dependants.filter((d) => d.fate === 'delete');
const remembered = (policy: Policy, i?: number): string =>
  quoted(`truth ${policy.name}${i === undefined ? '' : ` ${i}`}`);

export async function remember(owner: Client, policy: Policy, asOf: Date): Promise<Truth> {
  const asked = mustGo(policy, asOf);
  await owner.query(`create temp table ${remembered(policy)} as with x as materialized (${asked})
    select ${keyOf('t', policy.key)} as k, ${keyOf('t', policy.key)} in (select k from x) as must from ${quotedTable(policy.table)} t`);
  const along = new Map<string, number>();
  for (const [i, d] of going(policy).entries()) {
    await owner.query(`create temp table ${remembered(policy, i)} as with x as materialized (${asked})
      select ${keyOf('d', d.key)} as k, exists (select 1 from ${quotedTable(policy.table)} t where ${refersTo(d, policy)} and ${keyOf('t', policy.key)} in (select k from x)) as must
      from ${quotedTable(d.table)} d`);
    along.set(`${d.table.schema}.${d.table.name}`, (await counted(owner, remembered(policy, i))).must);
  }
  const { must, total } = await counted(owner, remembered(policy));
  return { policy, asked, mustGo: must, total, along };
}

async function counted(owner: Client, table: string): Promise<{ must: number; total: number }> {
  const { rows } = await owner.query(
    `select count(*) filter (where must)::int as must, count(*)::int as total from ${table}`,
  );
  return rows[0] as { must: number; total: number };
}

/** What is not as it should be; each a sentence. Empty: exactly those rows went, each named once. */
export async function differences(owner: Client, { policy, mustGo: expected }: Truth): Promise<string[]> {
  const label = `${policy.table.schema}.${policy.table.name}`;
  const found = await compared(owner, remembered(policy), policy.table, policy.key);
  const problems = inWords(label, found);
  for (const [i, d] of going(policy).entries()) {
    const of = await compared(owner, remembered(policy, i), d.table, d.key);
    problems.push(...inWords(`${d.table.schema}.${d.table.name}`, of));
  }
  const { rows } = await owner.query<Record<string, number>>(
    `with named as materialized (select k from retention.receipt r, unnest(retention.keys_of(r)) k where r.policy = $1)
     select (select count(*) from named)::int as named, (select count(distinct k) from named)::int as once,
       (select count(*) from named n where not exists (select 1 from ${remembered(policy)} x where x.must and x.k = n.k))::int as foreign_keys,
       (select coalesce(sum(deleted), 0) from retention.receipt where policy = $1)::int as counted,
       (select coalesce(sum(deleted), 0) from retention.receipt where policy = $1 and action = 'drop_partition')::int as whole`,
    [policy.name],
  );
  const r = rows[0]!;
  if (r.counted !== expected)
    problems.push(`receipts count ${r.counted} rows of ${label}, ${expected} had to go`);
  if (r.named !== r.once) problems.push(`${r.named! - r.once!} rows of ${label} are named twice`);
  if (r.foreign_keys)
    problems.push(`receipts name ${r.foreign_keys} rows of ${label} that did not have to go`);
  if (r.named! + r.whole! !== expected)
    problems.push(
      `receipts name ${r.named} rows of ${label}, and ${r.whole} by their partition; ${expected} had to go`,
    );
  return problems;
}

interface Compared {
  readonly left: number;
  readonly wrong: number;
}

async function compared(
  owner: Client,
  truth: string,
  table: { schema: string; name: string },
  key: readonly KeyColumn[],
): Promise<Compared> {
  const { rows } = await owner.query<Compared>(
    `with here as materialized (select ${keyOf('t', key)} as k from ${quotedTable(table)} t)
     select (select count(*) from ${truth} x where x.must and x.k in (select k from here))::int as left,
       (select count(*) from ${truth} x where not x.must and x.k not in (select k from here))::int as wrong`,
  );
  return rows[0]!;
}

const inWords = (label: string, { left, wrong }: Compared): string[] => [
  ...(left > 0 ? [`${left} rows of ${label} are still there`] : []),
  ...(wrong > 0 ? [`${wrong} rows of ${label} went that had to stay`] : []),
];

/** How many rows every table has, partitions with their table; Lapse's own left out. */
export async function rowsOfAll(owner: Client): Promise<Map<string, number>> {
  const { rows } = await owner.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
       and n.nspname not in ('retention', 'lapse_meta', 'pg_catalog', 'information_schema') order by 1, 2`,
  );
  const found = new Map<string, number>();
  for (const t of rows) {
    const { rows: n } = await owner.query<{ n: number }>(`select count(*)::int as n from ${quotedTable(t)}`);
    found.set(`${t.schema}.${t.name}`, n[0]!.n);
  }
  return found;
}

/** Tables that lost or gained rows other than those the policies take. */
export function otherChanges(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  truths: readonly Truth[],
): string[] {
  const expected = new Map<string, number>();
  const add = (label: string, n: number) => expected.set(label, (expected.get(label) ?? 0) + n);
  for (const { policy, mustGo: n, along } of truths) {
    add(`${policy.table.schema}.${policy.table.name}`, n);
    for (const [label, m] of along) add(label, m);
  }
  return [...before].flatMap(([label, n]) => {
    const now = after.get(label) ?? 0;
    const wanted = n - (expected.get(label) ?? 0);
    return now === wanted ? [] : [`${label} had ${n} rows and has ${now}; ${wanted} should be there`];
  });
}
