/**
 * Rows for every table of a schema that nobody has described: by the catalog alone, with references to rows that are there.
 * The same seed makes the same rows. Checks are taken out of the throw-away database: what decides about a deletion is keys.
 */
import type { Client } from 'pg';
import { meaningOf } from '../../adopt/clocks';
import { quoted } from '../../adopt/quoting';

interface Column {
  readonly name: string;
  readonly n: number;
  readonly type: string;
  readonly kind: string;
  readonly required: boolean;
  /** The database gives it a value of its own. */
  readonly own: boolean;
}
interface Reference {
  readonly to: string;
  readonly columns: number[];
  readonly names: string[];
  readonly targets: string[];
}
interface Filled {
  readonly oid: string;
  readonly label: string;
  readonly columns: Column[];
  readonly references: Reference[];
}

/** Of schema `n`: neither PostgreSQL's nor Lapse's. */
export const THEIRS = `n.nspname not in ('pg_catalog', 'information_schema', 'retention', 'lapse_meta')`;

/** What a domain stands for in the end: domains of domains, too. */
const BASE = `with recursive of as (
    select t.typbasetype as oid, t.typtypmod as mod, t.typnotnull as required where t.typtype = 'd'
    union all
    select d.typbasetype, d.typtypmod, of.required or d.typnotnull from of join pg_type d on d.oid = of.oid and d.typtype = 'd')
  select of.oid, of.mod, of.required, k.typtype from of join pg_type k on k.oid = of.oid where k.typtype <> 'd'`;

const TABLES = `select c.oid::text, format('%I.%I', n.nspname, c.relname) as label,
    (select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'n', a.attnum, 'type', format_type(coalesce(b.oid, a.atttypid), coalesce(b.mod, a.atttypmod)),
      'kind', coalesce(b.typtype, t.typtype), 'required', a.attnotnull or coalesce(b.required, false), 'own', a.attidentity <> '' or a.attgenerated <> ''
        or coalesce(pg_get_expr(d.adbin, d.adrelid) like 'nextval(%', false)) order by a.attnum), '[]')
      from pg_attribute a join pg_type t on t.oid = a.atttypid left join lateral (${BASE}) b on true left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
    (select coalesce(jsonb_agg(jsonb_build_object('to', f.confrelid::text, 'columns', f.conkey, 'names', x.names, 'targets', y.names) order by f.conname), '[]')
      from pg_constraint f
        cross join lateral (select array_agg(a.attname order by k.n) as names from unnest(f.conkey) with ordinality k(c, n)
          join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.c) x
        cross join lateral (select array_agg(a.attname order by k.n) as names from unnest(f.confkey) with ordinality k(c, n)
          join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.c) y
      where f.contype = 'f' and f.conrelid = c.oid and f.conparentid = 0) as references
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and ${THEIRS}
  order by 2`;

const CHECKS = `select format('alter table %s drop constraint %I', f.conrelid::regclass, f.conname) as statement
  from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
  where f.contype = 'c' and f.coninhcount = 0 and ${THEIRS}
  union all
  select format('alter domain %s drop constraint %I', f.contypid::regtype, f.conname)
  from pg_constraint f join pg_type t on t.oid = f.contypid join pg_namespace n on n.oid = t.typnamespace
  where f.contype = 'c' and ${THEIRS}`;

/** What an application's own triggers and rules do with a new row is none of a deletion's business: off while rows come, then as before. */
const TRIGGERS = `select format('alter table %s disable trigger %I', g.tgrelid::regclass, g.tgname) as off,
    format('alter table %s enable %s trigger %I', g.tgrelid::regclass, case g.tgenabled when 'A' then 'always' else '' end, g.tgname) as on
  from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
  where not g.tgisinternal and g.tgparentid = 0 and g.tgenabled in ('O', 'A') and c.relkind in ('r', 'p') and ${THEIRS}
  union all
  select format('alter table %s disable rule %I', r.ev_class::regclass, r.rulename), format('alter table %s enable rule %I', r.ev_class::regclass, r.rulename)
  from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
  where r.ev_type in ('2', '3') and r.ev_enabled = 'O' and c.relkind in ('r', 'p') and ${THEIRS}`;

/** Returns what stays empty, each with PostgreSQL's reason. */
export async function fill(owner: Client, rows: number, seed: number): Promise<string[]> {
  for (const { statement } of (await owner.query<{ statement: string }>(CHECKS)).rows)
    await owner.query(statement);
  const own = (await owner.query<{ off: string; on: string }>(TRIGGERS)).rows;
  for (const { off } of own) await owner.query(off);
  const empty = await filled(owner, rows, seed);
  for (const { on } of own) await owner.query(on);
  return empty;
}

async function filled(owner: Client, rows: number, seed: number): Promise<string[]> {
  const left = (await owner.query<Filled>(TABLES)).rows;
  const done = new Map<string, Filled>();
  const empty: string[] = [];
  while (left.length > 0) {
    // In a circle, the table that can do without what is not there yet.
    const ready =
      left.find((t) => waitsFor(t, done).length === 0) ??
      left.find((t) => waitsFor(t, done).every((r) => !isRequired(t, r))) ??
      left[0]!;
    left.splice(left.indexOf(ready), 1);
    try {
      if ((await inserted(owner, rows, insertion(ready, done, rows, seed))) === 0)
        empty.push(`${ready.label}: every row was there already`);
      done.set(ready.oid, ready);
      for (const r of ready.references.filter((x) => x.to === ready.oid && !isRequired(ready, x)))
        await owner.query(hungOnItself(ready, r));
    } catch (error) {
      empty.push(`${ready.label}: ${(error as Error).message}`);
    }
  }
  await owner.query('analyze');
  return empty;
}

/** In one statement; in halves of one where a row stops it, or the table's own constraints know no ON CONFLICT. */
async function inserted(owner: Client, rows: number, insertion: string): Promise<number> {
  try {
    return (await owner.query(`${insertion} on conflict do nothing`)).rowCount ?? 0;
  } catch (error) {
    let [n, refused] = [0, 0];
    const ranges: [number, number][] = [[1, rows]];
    while (refused < ENOUGH && ranges.length > 0) {
      const [from, to] = ranges.pop()!;
      const some = await owner.query(`${insertion} where g between ${from} and ${to}`).catch(() => null);
      const middle = Math.floor((from + to) / 2);
      if (some) n += some.rowCount ?? 0;
      else if (from === to) refused += 1;
      else ranges.push([middle + 1, to], [from, middle]);
    }
    if (n === 0) throw error;
    return n;
  }
}
/** Rows one by one that do not fit: then the table takes none, or has some. */
const ENOUGH = 20;

const waitsFor = (t: Filled, done: ReadonlyMap<string, Filled>): Reference[] =>
  t.references.filter((r) => r.to !== t.oid && !done.has(r.to));
const isRequired = (t: Filled, r: Reference): boolean =>
  t.columns.some((c) => r.columns.includes(c.n) && c.required);

/** An `insert` of random rows; each reference picks a row that is there, and what would be there twice is left out. */
function insertion(t: Filled, done: ReadonlyMap<string, Filled>, rows: number, seed: number): string {
  const values = new Map<string, string>();
  const joins: string[] = [];
  t.references.forEach((r, i) => {
    const to = done.get(r.to);
    if (!to || r.names.some((c) => values.has(c))) return;
    const keys = r.targets.map((c) => `${quoted(c)} as ${quoted(c)}`).join(', ');
    joins.push(`left join (select ${keys}, row_number() over () as n, count(*) over () as of from ${to.label}) p${i}
      on p${i}.n = 1 + ${number(seed, `${t.label}#${i}`)} % p${i}.of`);
    for (const [j, c] of r.names.entries()) values.set(c, `p${i}.${quoted(r.targets[j]!)}`);
  });
  const referring = new Set(t.references.flatMap((r) => r.names));
  for (const c of t.columns.filter((x) => !x.own && !referring.has(x.name))) {
    const value = madeUp(c, seed, t.label);
    if (value !== null) values.set(c.name, value);
  }
  if (values.size === 0) return `insert into ${t.label} select from generate_series(1, 1) g`;
  return `insert into ${t.label} (${[...values.keys()].map(quoted).join(', ')})
    select ${[...values.values()].join(', ')} from generate_series(1, ${rows}) g ${joins.join('\n')}`;
}

/** Every other row hangs on one before it, so that there are chains. */
const hungOnItself = (t: Filled, r: Reference): string => {
  const own = [...r.names, ...r.targets].map(quoted);
  const set = r.names.map((c, i) => `${quoted(c)} = p.${quoted(r.targets[i]!)}`).join(', ');
  const numbered = `(select ctid as place, tableoid as part, ${[...new Set(own)].join(', ')}, row_number() over (order by ctid) as n from ${t.label})`;
  return `update ${t.label} t set ${set} from ${numbered} o join ${numbered} p on p.n = o.n / 2
    where t.ctid = o.place and t.tableoid = o.part and o.n % 3 > 0 and o.n > 1`;
};

const hash = (seed: number, of: string): string => `md5(g || '${seed}' || ${text(of)})`;
const number = (seed: number, of: string): string => `('x' || left(${hash(seed, of)}, 7))::bit(28)::int`;
const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
/** Instants of the last two years. */
const SECONDS = 700 * 86_400;

/** Null: the column's own default will do. */
function madeUp({ name, type, kind, required }: Column, seed: number, table: string): string | null {
  const of = `${table}.${name}`;
  const digest = hash(seed, of);
  const any = number(seed, of);
  const length = /^(?:character varying|character)\((\d+)\)$/.exec(type)?.[1];
  const value = ((): string | null => {
    if (kind === 'e')
      return `(enum_range(null::${type}))[1 + ${any} % cardinality(enum_range(null::${type}))]`;
    if (type.endsWith('[]')) return `'{}'::${type}`;
    if (/^(bigint|numeric)$/.test(type) && meaningOf(name) !== 'unknown')
      return `(extract(epoch from now()) - ${any} % ${SECONDS})::bigint * 1000`;
    if (/^(inet|cidr)$/.test(type)) return `('10.0.0.0'::inet + ${any} % 16000000)::${type}`;
    if (type === 'interval') return `${any} % 86400 * interval '1 second'`;
    if (/^(timestamp|date)/.test(type)) return `(now() - ${any} % ${SECONDS} * interval '1 second')::${type}`;
    if (/^(smallint|integer|bigint|numeric|real|double)/.test(type)) return `${any} % 30000`;
    if (type === 'uuid') return `${digest}::uuid`;
    if (type === 'boolean') return `${any} % 3 = 0`;
    if (/^json/.test(type)) return `jsonb_build_object('x', ${digest})::${type}`;
    if (type === 'bytea') return `decode(${digest}, 'hex')`;
    if (length !== undefined) return `left(${digest}, ${Math.min(32, Number(length))})`;
    return /^(text|character|name|citext|varchar)/.test(type) ? digest : null;
  })();
  return value !== null && !required ? `case when g % 5 > 0 then ${value} end` : value;
}
