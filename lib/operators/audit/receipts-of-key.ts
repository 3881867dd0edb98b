/**
 * The receipts that name a key, found by the index over their keys and compared with the receipt itself. Receipts of runs that are not
 * indexed yet are read one by one, and those of dropped partitions by their bounds: their rows are not named.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import { raw, type Sql, sql, typed, utc } from '../../platform/sql';

/** A key is deleted once; a soft delete, its purge and a reused key make a few. */
const MOST_RECEIPTS = 50;

export const Deletion = z.object({
  run: z.string(),
  seq: z.number(),
  policy: z.string(),
  policy_version: z.string(),
  action: z.string(),
  actor: z.string(),
  reason: z.string(),
  committed_at: z.string(),
  as_of: z.string(),
  as_dependant: z.boolean(),
  /** It stayed, and lost its reference to a row that went. */
  detached: z.boolean(),
  partition: z.looseObject({ name: z.string() }).nullable(),
  entry: z.number().nullable(),
});
export type Deletion = z.infer<typeof Deletion>;

const Named = Deletion.extend({
  /** Tables in which a receipt names the key: its own, those of dependants, or of rows that stayed and lost a reference. */
  tables: z.array(z.string()),
});
type Named = z.infer<typeof Named>;

const uuidOf = (names: readonly string[]): string | null =>
  names.find((key) => z.guid().safeParse(key).success) ?? null;

/** Of the receipt `c`: its own keys name it. */
const namesOwn = (
  names: readonly string[],
) => sql`(c.keys && ${names}::text[] or ${uuidOf(names)}::uuid = any(c.uuid_keys) or
  retention.names_uuid(c.key_bytes, ${uuidOf(names)}::uuid))`;

/** Receipts that may name one of these: each is looked at once more, one by one. */
export const candidates = (
  names: readonly string[],
): Sql => sql`select i.receipt as id from retention.receipt_index i
    where i.marks && retention.marks_of(${names}::text[])
  union
  select c.id from retention.run r cross join lateral (select x.id from retention.receipt x where x.run = r.id offset 0) c
    where r.mode = 'delete' and r.indexed_at is null and (r.finished_at is null or r.batches > 0)`;

const COLUMNS = sql`c.id, c.run, c.seq, c.policy, c.policy_version, c.action, c.actor, c.reason,
  ${utc(sql`c.committed_at`)} as committed_at, ${utc(sql`c.as_of`, 'ms')} as as_of, c.partition,
  (select n::int from retention.audit_entry e where e.action = 'run.sealed' and e.subject = c.run::text) as entry`;

/** Oldest first. `clock`: in which partition the row lay, where the key says it. */
export function receiptsOf(
  tableName: string,
  names: readonly string[],
  clock: string | null,
): Query<Deletion[]> {
  const at = typed(clock, 'timestamptz');
  return query(
    sql`select x.* from (
      select ${COLUMNS}, c.table_name <> all(n.names) as as_dependant, not (w.own or w.along) as detached
      from (select retention.names_of(${tableName}) as names) n
      cross join (${candidates(names)}) k
      cross join lateral (select * from retention.receipt c where c.id = k.id offset 0) c
      cross join lateral (select c.table_name = any(n.names) and coalesce(${namesOwn(names)}, false) as own,
        c.dependants ?| n.names and exists (select 1 from unnest(n.names) x where c.dependants -> x ?| ${names}::text[]) as along) w
      where w.own or w.along
        or (c.detached ?| n.names and exists (select 1 from unnest(n.names) x where c.detached -> x ?| ${names}::text[]))
      union all
      select ${COLUMNS}, false as as_dependant, false as detached from retention.receipt c
      where c.partition is not null and c.table_name = ${tableName} and ${at} >= coalesce((c.partition ->> 'from')::timestamptz, '-infinity')
        and ${at} < coalesce((c.partition ->> 'to')::timestamptz, 'infinity')
    ) x order by x.id limit ${raw(String(MOST_RECEIPTS))}`,
    rows(Deletion),
  );
}

/** In whatever table, oldest first. */
export const receiptsAnywhere = (names: readonly string[]): Query<Named[]> =>
  query(
    sql`select x.* from (
      select ${COLUMNS}, false as as_dependant, cardinality(own.tables || along.tables) = 0 as detached,
        own.tables || along.tables || changed.tables as tables
      from (${candidates(names)}) k
      cross join lateral (select * from retention.receipt c where c.id = k.id offset 0) c
      cross join lateral (select case when ${namesOwn(names)} then array[c.table_name] else '{}' end as tables) own
      cross join lateral (select array(select d.key from jsonb_each(c.dependants) d where d.value ?| ${names}::text[]) as tables) along
      cross join lateral (select array(select d.key from jsonb_each(c.detached) d where d.value ?| ${names}::text[]
        and d.key <> all(own.tables || along.tables)) as tables) changed
    ) x where cardinality(x.tables) > 0 order by x.id limit ${raw(String(MOST_RECEIPTS))}`,
    rows(Named),
  );
