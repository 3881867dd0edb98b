/**
 * A copy of a database in memory, as the oracle judges it: every row of every table, all foreign keys, and who holds what.
 * Read by SQL of its own, before and after.
 */
import type { Client } from 'pg';
import type { Policy } from '../../../policies/contract';
import { labelOf, literal, quoted, tableOf } from './shape';
import type { Counting } from './times';

export interface CopiedRow {
  /** Table and key, as receipts call it. */
  readonly id: string;
  readonly table: string;
  readonly key: string;
  readonly values: Readonly<Record<string, string | null>>;
  /** The table it lies in, which may be a partition. */
  readonly leaf: string;
  /** Of the governed table: microseconds since 1970, of a date the end of its day; null where it never expires. */
  readonly instant: bigint | null;
  readonly isGoverned: boolean;
  /** What it says as a part of the clock, by the entry of `orLaterIn`; null or absent: no instant. */
  readonly later: readonly (bigint | null)[];
  /** What its clock says, as it stands there. */
  readonly clock: string | null;
  /** Of the governed table: where it stands among all rows in the order of the clock and the key. */
  readonly place: number;
  /** Of each tier of `thin`: the period of the calendar it lies in, and when that ends. */
  readonly periods: readonly { readonly begins: string; readonly ends: bigint }[];
  /** Whether the policy's `where` is true of it. */
  readonly condition: boolean;
}

export interface ForeignKey {
  readonly from: string;
  readonly columns: readonly string[];
  readonly to: string;
  readonly targets: readonly string[];
  /** a: no action, r: restrict, c: cascade, n: set null, d: set default. */
  readonly action: string;
  /** What `set null` and `set default` set: all columns, or some. */
  readonly sets: readonly string[];
}

export interface Copy {
  readonly rows: ReadonlyMap<string, CopiedRow>;
  readonly tables: ReadonlyMap<string, readonly CopiedRow[]>;
  /** Of each table the columns that name its rows. */
  readonly primary: ReadonlyMap<string, readonly string[]>;
  readonly keys: readonly ForeignKey[];
  readonly notNull: ReadonlySet<string>;
  /** `label trigger` of every trigger there is. */
  readonly triggers: ReadonlySet<string>;
  readonly holds: readonly { scope: string; subject: string; table: string | null }[];
  /** `label key` of rows with an extension or a dead letter in force. */
  readonly extended: ReadonlySet<string>;
  readonly lettered: ReadonlySet<string>;
  /** Seconds by organization; null: forever. */
  readonly overrides: ReadonlyMap<string, number | null>;
}

interface TableFacts {
  readonly schema: string;
  readonly name: string;
  readonly columns: string[];
  readonly unique: string[] | null;
}

const OWN = `n.nspname not in ('retention', 'lapse_meta', 'information_schema') and n.nspname not like 'pg\\_%'`;

/** Without a policy no row of it is ever due. */
export async function copyOf(db: Client, policy: Policy | null, at: Date): Promise<Copy> {
  const facts = await tablesOf(db);
  const tables = new Map<string, readonly CopiedRow[]>();
  for (const t of facts) tables.set(labelOf(t), await rowsOf(db, t, policy));
  const { rows: keys } = await db.query<ForeignKey>(FOREIGN_KEYS);
  const { rows: columns } = await db.query<{ id: string }>(
    `select n.nspname || '.' || c.relname || '.' || a.attname as id from pg_attribute a join pg_class c on c.oid = a.attrelid
     join pg_namespace n on n.oid = c.relnamespace where a.attnum > 0 and a.attnotnull and ${OWN}`,
  );
  const { rows: triggers } = await db.query<{ id: string }>(
    `select n.nspname || '.' || c.relname || ' ' || g.tgname as id from pg_trigger g join pg_class c on c.oid = g.tgrelid
     join pg_namespace n on n.oid = c.relnamespace where not g.tgisinternal and ${OWN}`,
  );
  const { rows: holds } = await db.query<Copy['holds'][number]>(
    'select scope, subject, table_name as table from retention.hold where released_at is null',
  );
  const { rows: overrides } = await db.query<{ tenant: string; seconds: string | null }>(
    'select tenant, keep_seconds::text as seconds from retention.period_override where policy = $1',
    [policy?.name ?? ''],
  );
  const now = literal(at.toISOString());
  const set = async (text: string) =>
    new Set((await db.query<{ id: string }>(text)).rows.map((row) => row.id));
  return {
    rows: new Map([...tables.values()].flat().map((row) => [row.id, row])),
    tables,
    primary: new Map(facts.map((t) => [labelOf(t), t.unique ?? []])),
    keys,
    notNull: new Set(columns.map((c) => c.id)),
    triggers: new Set(triggers.map((t) => t.id)),
    holds,
    extended: await set(
      `select table_name || ' ' || row_key as id from retention.extension where keep_until > ${now}`,
    ),
    lettered: await set(`select table_name || ' ' || row_key as id from retention.dead_letter
      where state = 'discarded' or (state = 'open' and next_attempt_at > ${now})`),
    overrides: new Map(overrides.map((o) => [o.tenant, o.seconds === null ? null : Number(o.seconds)])),
  };
}

const names = (array: string, of: string): string =>
  `(select coalesce(json_agg(a.attname order by k.n), '[]') from unnest(${array}) with ordinality k(attnum, n)
    join pg_attribute a on a.attrelid = ${of} and a.attnum = k.attnum)`;

/** Those of a root; a partition's own ones count as the root's. */
const FOREIGN_KEYS = `select fn.nspname || '.' || fc.relname as "from", tn.nspname || '.' || tc.relname as "to",
    ${names('f.conkey', 'f.conrelid')} as columns, ${names('f.confkey', 'f.confrelid')} as targets, f.confdeltype as action,
    coalesce((select json_agg(a.attname) from jsonb_array_elements_text(case when jsonb_typeof(to_jsonb(f) -> 'confdelsetcols') = 'array'
        then to_jsonb(f) -> 'confdelsetcols' end) s join pg_attribute a on a.attrelid = f.conrelid and a.attnum = s::int),
      ${names('f.conkey', 'f.conrelid')}) as sets
  from pg_constraint f
  join pg_class fc on fc.oid = coalesce(pg_partition_root(f.conrelid)::oid, f.conrelid) join pg_namespace fn on fn.oid = fc.relnamespace
  join pg_class tc on tc.oid = coalesce(pg_partition_root(f.confrelid)::oid, f.confrelid) join pg_namespace tn on tn.oid = tc.relnamespace
  where f.contype = 'f' and f.conparentid = 0`;

async function tablesOf(db: Client): Promise<TableFacts[]> {
  const { rows } = await db.query<TableFacts>(`select n.nspname as schema, c.relname as name,
      (select json_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
      (select ${names('i.indkey::int2[]', 'c.oid')} from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null
        and i.indexprs is null and not exists (select 1 from pg_attribute x where x.attrelid = c.oid and x.attnum = any(i.indkey) and not x.attnotnull) order by i.indisprimary desc, i.indexrelid limit 1) as "unique"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and ${OWN} order by c.oid`);
  return rows;
}

async function rowsOf(db: Client, t: TableFacts, policy: Policy | null): Promise<CopiedRow[]> {
  const isGoverned = policy !== null && labelOf(t) === labelOf(policy.table);
  const declared = isGoverned
    ? policy.key
    : [...(policy?.dependants ?? []), ...(policy?.contents ?? [])].find(
        (d) => labelOf(d.table) === labelOf(t),
      )?.key;
  const key = declared?.map((k) => k.column) ?? t.unique ?? t.columns;
  const later = (policy?.clock.orLaterIn ?? []).map((of) => (labelOf(of.table) === labelOf(t) ? of : null));
  const parts = [
    ...later.flatMap((of, i) => (of ? [`${timeOf(of, `t.${quoted(of.column)}`)} as later${i}`] : [])),
    ...t.columns.map((c, i) => `t.${quoted(c)}::text as c${i}`),
    `(select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = t.tableoid) as leaf`,
    ...(isGoverned
      ? [
          `${timeOf(policy.clock, clockOf(policy))} as instant`,
          `${clockOf(policy)}::text as clock`,
          `(${policy.where ?? 'true'}) is true as condition`,
          ...periodsOf(policy),
        ]
      : []),
  ];
  const { rows } = await db.query<Record<string, string | boolean | null>>(
    `select ${parts.join(', ')} from ${tableOf(t)} t${isGoverned ? ` order by ${[clockOf(policy), ...key.map((k) => `t.${quoted(k)}`)].join(', ')}` : ''}`,
  );
  return rows.map((row, place) => {
    const values = Object.fromEntries(t.columns.map((c, i) => [c, (row[`c${i}`] ?? null) as string | null]));
    const text = keyText(key.map((k) => values[k] ?? null));
    return {
      id: `${labelOf(t)} ${text}`,
      table: labelOf(t),
      key: text,
      values,
      leaf: String(row.leaf),
      instant: policy && isGoverned ? microseconds(row.instant as string | null, policy.clock) : null,
      isGoverned,
      later: later.map((of, i) =>
        of ? microseconds((row[`later${i}`] ?? null) as string | null, of) : null,
      ),
      clock: (row.clock ?? null) as string | null,
      place,
      periods: isGoverned ? periodsIn(row, policy) : [],
      condition: row.condition !== false,
    };
  });
}

/** The value itself, or a JSON array of the values as jsonb prints it. */
export const keyText = (key: readonly (string | null)[]): string =>
  key.length === 1 ? String(key[0]) : `[${key.map((k) => JSON.stringify(k)).join(', ')}]`;

/** Of several columns the first that is set, or the latest; that of the row referred to. */
function clockOf({ clock }: Policy): string {
  if (clock.in) {
    const { table, references, key } = clock.in;
    const same = key.map((k, i) => `z.${quoted(k)} = t.${quoted(references[i]!)}`).join(' and ');
    return `(select z.${quoted(clock.column)} from ${tableOf(table)} z where ${same})`;
  }
  const columns = [clock.column, ...(clock.otherwise ?? clock.orLater ?? [])].map((c) => `t.${quoted(c)}`);
  return `${clock.orLater ? 'greatest' : 'coalesce'}(${columns.join(', ')})`;
}

/** As text: microseconds since 1970 where PostgreSQL knows the time, else the value itself. */
function timeOf(clock: Counting, c: string): string {
  if (clock.type === 'epoch' || clock.type === 'iso') return `${c}::text`;
  const zone = clock.type === 'timestamptz' ? '' : literal(clock.zone);
  const at = {
    timestamptz: c,
    timestamp: `(${c} at time zone ${zone})`,
    date: `((${c} + 1)::timestamp at time zone ${zone})`,
  }[clock.type];
  return `case when isfinite(${c}) then (extract(epoch from ${at}) * 1000000)::bigint::text end`;
}

const LENGTHS = { day: '1 day', week: '7 days', month: '1 month', quarter: '3 months', year: '1 year' };

function periodsOf(policy: Policy): string[] {
  const { clock, thin } = policy;
  const c = clockOf(policy);
  const zone = literal('zone' in clock ? clock.zone : (thin?.zone ?? 'UTC'));
  const local = clock.type === 'timestamptz' ? `(${c} at time zone ${zone})` : `${c}::timestamp`;
  return (thin?.tiers ?? []).flatMap(({ keepOne }, i) => {
    const begins = `date_trunc('${keepOne}', ${local})`;
    const ends = `extract(epoch from ((${begins} + interval '${LENGTHS[keepOne]}') at time zone ${zone})) * 1000000`;
    return [
      `case when isfinite(${c}) then ${begins}::text end as begins${i}`,
      `case when isfinite(${c}) then (${ends})::bigint::text end as ends${i}`,
    ];
  });
}

const periodsIn = (row: Record<string, string | boolean | null>, { thin }: Policy) =>
  (thin?.tiers ?? []).map((_, i) => ({
    begins: String(row[`begins${i}`]),
    ends: BigInt(String(row[`ends${i}`] ?? 0)),
  }));

/** 1971 and the year 10000: a number of seconds or milliseconds beyond them stands for something else. */
const [FIRST, END] = [31_536_000_000_000n, 253_402_300_800_000_000n];

function microseconds(time: string | null, clock: Counting): bigint | null {
  if (time === null) return null;
  if (clock.type === 'iso') return microsecondsOfText(time, clock.digits);
  if (clock.type !== 'epoch') return BigInt(time);
  const [whole, rest = ''] = time.split('.');
  const digits = clock.unit === 'seconds' ? 6 : 3;
  const at = BigInt(`${whole}${rest.padEnd(digits, '0').slice(0, digits)}`);
  return at > FIRST && at < END ? at : null;
}

/** Only in the one form that is declared, and of a day that the calendar has. */
function microsecondsOfText(text: string, digits: number): bigint | null {
  const form = new RegExp(
    `^(\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d)${digits > 0 ? `\\.(\\d{${digits}})` : '()'}Z$`,
  );
  const [, whole, rest] = form.exec(text) ?? [];
  if (whole === undefined) return null;
  const at = new Date(`${whole}.000Z`);
  if (Number.isNaN(at.getTime()) || !at.toISOString().startsWith(whole)) return null;
  return BigInt(at.getTime()) * 1000n + BigInt((rest ?? '').padEnd(6, '0'));
}
