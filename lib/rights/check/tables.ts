/**
 * Reads every table of the map again, row by row, and asks nothing of the graph that led the erasure: whatever a row holds is
 * looked through as text for the subject's id, and each value and each address in it is hashed and held against the hashes of the
 * subject's identifiers. A short id, such as a number, would be found everywhere: it is looked for in the columns that name
 * subjects. Block by block in READ ONLY transactions.
 */
import { z } from 'zod';
import { hmacKeys, keyFor } from '../../platform/keys';
import { oneRow, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import {
  allOf,
  anyOf,
  constant,
  id,
  jsonObject,
  literal,
  type Sql,
  sql,
  typed,
  utc,
} from '../../platform/sql';
import type { Services } from '../../services';
import type { Ending } from '../ends';
import { folded, type Hashes, IDENTIFIER_PURPOSE } from '../graph/identifiers';
import type { Subject } from '../subject';
import { anyAddress } from './addresses';

/** Of a table in one statement: some ten thousand rows, each hashed value by value; of addresses alone it takes half a minute. */
const MOST_BYTES = 4 * 1024 * 1024;
const LIMITS = { statementMs: 60_000, readOnly: true };
/** An id of so many characters is in no text by chance. */
const DISTINCTIVE = 16;

/** A part of a table in which rows lie. */
const Part = z.object({
  /** `schema.table` of the map, and of the partition itself. */
  label: z.string(),
  schema: z.string(),
  name: z.string(),
  blocks: z.coerce.number(),
  /** With what lies beside them, because it is large: on an average. */
  block_bytes: z.coerce.number(),
  /** Columns of which a foreign key names such subjects. */
  naming: z.array(z.string()),
  /** Of its primary key. */
  key: z.array(z.string()),
  /** Its dates and timestamps. */
  instants: z.array(z.string()),
  /** All of its rows: none is hidden from the role. */
  may_read: z.boolean(),
});
export type Part = z.infer<typeof Part>;

/** Every part of these tables in a fixed order; a table that is not there holds nothing. */
export function partsOf(
  { database }: Pick<Services, 'database'>,
  labels: readonly string[],
  subjects: readonly string[],
): Promise<Part[]> {
  const parts = query(
    sql`select n.nspname || '.' || c.relname as label, ln.nspname as schema, l.relname as name,
        z.bytes / b.size as blocks, b.size * (z.bytes + z.beside) / greatest(z.bytes, 1) as block_bytes,
        coalesce((select jsonb_agg(distinct a.attname) from pg_constraint f join pg_class s on s.oid = f.confrelid
          join pg_namespace sn on sn.oid = s.relnamespace join pg_attribute a on a.attrelid = f.conrelid and a.attnum = any(f.conkey)
          where f.contype = 'f' and f.conrelid = c.oid and sn.nspname || '.' || s.relname = any(${array(subjects)})), '[]') as naming,
        coalesce((select jsonb_agg(a.attname) from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
          where i.indrelid = c.oid and i.indisprimary), '[]') as key,
        coalesce((select jsonb_agg(a.attname) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
          and a.atttypid in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)), '[]') as instants,
        has_schema_privilege(ln.oid, 'USAGE') and has_table_privilege(l.oid, 'SELECT') and not row_security_active(l.oid) as may_read
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      cross join lateral (select relid from retention.parts_of(c.oid) where isleaf union select c.oid where c.relkind in ('r', 'm')) p
      join pg_class l on l.oid = p.relid and l.relkind in ('r', 'm') join pg_namespace ln on ln.oid = l.relnamespace
      cross join lateral (select pg_relation_size(l.oid) as bytes, coalesce(pg_relation_size(nullif(l.reltoastrelid, 0)), 0) as beside) z
      cross join (select current_setting('block_size')::bigint as size) b
      where n.nspname || '.' || c.relname = any(${array(labels)}) order by 1, 2, 3`,
    rows(Part),
  );
  return askOne(database, parts, LIMITS);
}

/**
 * What has rows of its own and is none of these parts: nobody said what it holds, or it is a foreign table, whose rows lie
 * elsewhere. By the database's own catalog; a partition counts as its table. Not among them: what Lapse keeps for itself.
 */
export function notAmong(
  { database }: Pick<Services, 'database'>,
  parts: readonly Pick<Part, 'schema' | 'name'>[],
): Promise<string[]> {
  const read = array(parts.map((p) => `${p.schema}.${p.name}`));
  const others = query(
    sql`select distinct (n.nspname || '.' || c.relname) collate "C" as label from pg_class l join pg_namespace ln on ln.oid = l.relnamespace
        join pg_class c on c.oid = coalesce(pg_partition_root(l.oid), l.oid) join pg_namespace n on n.oid = c.relnamespace
      where l.relkind in ('r', 'm', 'f') and ln.nspname !~ '^pg_' and ln.nspname not in ('information_schema', 'retention', 'lapse_meta')
        and not (ln.nspname = 'public' and l.relname in ('lapse_migrations', 'lapse_example_migrations'))
        and ln.nspname || '.' || l.relname <> all(${read}) order by 1`,
    rows(z.object({ label: z.string() })),
  );
  return askOne(database, others, LIMITS).then((found) => found.map((t) => t.label));
}

const array = (texts: readonly string[]): Sql =>
  sql`array(select jsonb_array_elements_text(${JSON.stringify(texts)}::jsonb))`;

export interface Sought {
  readonly subject: Subject;
  readonly hashes: Hashes;
  readonly secrets: readonly string[];
}

/** Of one table: columns that are not looked into, that are looked into apart, and that name subjects. */
export interface Columns {
  /** Reviewed: they identify no person. */
  readonly impersonal: readonly string[];
  readonly naming: readonly string[];
  /** Until when columns are retained. */
  readonly endings: readonly Ending[];
  readonly asOf: string;
}

const Page = z.object({
  rows: z.coerce.number(),
  /** Rows by the column in which something of the subject stands. */
  found: z.record(z.string(), z.coerce.number()),
  /** Those of them in which the column is not retained any more. */
  over: z.record(z.string(), z.coerce.number()),
  /** When the first of the others comes to its end. */
  until: z.string().nullable(),
});
export type Page = z.infer<typeof Page>;

export const isDistinctive = ({ id: subject }: Subject): boolean => subject.length >= DISTINCTIVE;

/** The rows of blocks from `from`, as many as `MOST_BYTES` are; `next` null at the end. */
export async function readPage(
  { database }: Pick<Services, 'database'>,
  part: Part,
  from: number,
  sought: Sought,
  columns: Columns,
): Promise<{ page: Page; next: number | null }> {
  const to = from + Math.max(1, Math.floor(MOST_BYTES / Math.max(1, part.block_bytes)));
  const last = to >= part.blocks;
  const place = (block: number): Sql => typed(`(${block},0)`, 'tid');
  const here = allOf(sql`t.ctid >= ${place(from)}`, !last && sql`t.ctid < ${place(to)}`);
  const row = sql`to_jsonb(t) - ${array(columns.impersonal)}`;
  const ends = jsonObject(
    columns.endings.flatMap(({ columns: some, end }) => some.map((c) => sql`${literal(c)}::text, ${end}`)),
  );
  const page = query(
    sql`with seen as materialized (select ${row} as j, ${ends} as ends from only ${id(part.schema, part.name)} t where ${here}),
      found as materialized (
        select e.key, x.until <= ${columns.asOf}::timestamptz is true as over, count(*) as n, min(x.until) as until
        from seen cross join lateral jsonb_each(seen.j) e
          cross join lateral (select e.value::text as words offset 0) w
          cross join lateral (select (seen.ends ->> e.key)::timestamptz as until) x
        where ${isTheirs(sought, columns)} group by 1, 2
      )
      select (select count(*) from seen) as rows,
        coalesce((select jsonb_object_agg(f.key, f.n) from (select key, sum(n) as n from found group by 1) f), '{}') as found,
        coalesce((select jsonb_object_agg(key, n) from found where over), '{}') as over,
        (select ${utc(sql`min(until)`, 'ms')} from found where not over and isfinite(until)) as until`,
    oneRow(Page),
  );
  return { page: await askOne(database, page, LIMITS), next: last ? null : to };
}

/** Whether column `e(key, value)` of a row, which reads `w.words`, holds anything of the subject. */
function isTheirs({ subject, hashes, secrets }: Sought, { naming }: Columns): Sql {
  const byId = isDistinctive(subject)
    ? // In the same small letters, which each database has its own of, and as JSON writes it.
      sql`strpos(lower(w.words), lower(${JSON.stringify(subject.id).slice(1, -1)}::text)) > 0`
    : anyOf(...naming.map((c) => sql`(e.key = ${literal(c)} and e.value #>> '{}' = ${subject.id})`));
  const all = [...new Set(Object.values(hashes).flat())];
  if (all.length === 0 || secrets.length === 0) return byId;
  const known = sql`${`{${all.join(',')}}`}::text[]`;
  const any = (value: Sql): Sql =>
    anyOf(
      ...secrets.map((secret) => {
        const { inner, outer } = hmacKeys(keyFor(secret, IDENTIFIER_PURPOSE));
        return sql`encode(sha256(decode(${outer}, 'hex') || sha256(decode(${inner}, 'hex') || convert_to(${folded(value)}, 'UTF8'))), 'hex') = any(${known})`;
      }),
    );
  const values = sql`exists (select 1 from jsonb_path_query(e.value, 'lax $.** ? (@.type() == "string" || @.type() == "number")') v(x)
    where length(v.x #>> '{}') <= ${constant(MOST_LETTERS)} and ${any(sql`v.x #>> '{}'`)})`;
  return anyOf(byId, values, anyAddress(sql`w.words`, any));
}

/** The longest address there is has 254 (RFC 5321). */
const MOST_LETTERS = 320;
