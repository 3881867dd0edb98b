/**
 * Table retention.archive as a restore reads it: which archives hold what is wanted, found by indexes only, and of one archive at a time
 * which keys it brings back: of all of them together no answer of the database could hold them.
 */
import { z } from 'zod';
import { candidates } from '../../operators/audit/receipts-of-key';
import { oneRow, type Query, query, rows } from '../../platform/query';
import { allOf, literal, type Sql, sql, typed } from '../../platform/sql';

/** What is to be brought back. */
export interface Wish {
  readonly scope: 'run' | 'organization' | 'item';
  /** The run, the organization, or the row's key. */
  readonly subject: string;
  /** The policy that deleted it; needed for an item. */
  readonly policy: string | null;
}

const Archive = z.object({
  id: z.uuid(),
  policy: z.string(),
  /** How many of its rows may be wanted. */
  wanted: z.coerce.number(),
});
export type Archive = z.infer<typeof Archive>;

/** Archives that are kept, the last first: what was deleted last may be what earlier rows refer to. */
export const archivesOf = (wish: Wish): Query<Archive[]> =>
  query(
    sql`select a.id, a.policy, ${counted(wish)} as wanted from ${archives(wish)} where ${holding(wish, 'kept')}
      order by a.created_at desc, a.seq desc`,
    rows(Archive),
  );

const Kept = z.object({
  prefix: z.string(),
  sha256: z.string(),
  /** Of the rows that were deleted under it. */
  keys: z.array(z.string()),
  /** SHA-256 of `scope:id` of everyone who was erased since. */
  erased: z.array(z.string()),
});
export type Kept = z.infer<typeof Kept>;

/** One of them, as it is now. */
export const keptIn = ({ id }: Archive): Query<Kept> =>
  query(
    sql`select a.prefix, a.manifest_sha256 as sha256, to_json(a.keys) as keys,
        coalesce((select json_agg(s.subject) from retention.archive_subject s where s.archive = a.id and s.erased_at is not null), '[]') as erased
      from retention.archive a where a.id = ${id}::uuid`,
    oneRow(Kept),
  );

/** That would hold it, if they were still kept. */
export const expiredOf = (wish: Wish): Query<number> =>
  query(sql`select count(*)::int as n from ${archives(wish)} where ${holding(wish, 'expired')}`, ([row]) =>
    Number(row?.n ?? 0),
  );

const holding = (wish: Wish, state: 'kept' | 'expired'): Sql =>
  allOf(
    sql`a.state = ${literal(state)}`,
    holds(wish),
    wish.policy === null ? null : sql`a.policy = ${wish.policy}`,
  );

const ofOrganization = ({ subject }: Wish): Sql =>
  sql`from retention.archive_subject s where s.archive = a.id and s.scope = 'organization' and s.subject = ${subject} and s.erased_at is null`;

function holds(wish: Wish): Sql {
  switch (wish.scope) {
    case 'run':
      return sql`a.run = ${wish.subject}::uuid`;
    case 'organization':
      return sql`exists (select 1 ${ofOrganization(wish)})`;
    case 'item':
      return sql`(a.keys @> ${typed([wish.subject], 'text[]')} or a.part_of = ${wish.subject})`;
  }
}

/** Archives `a` that may hold it. Those of a key one by one, each by its id: what names a key is a few of them, and their keys are long. */
const archives = (wish: Wish): Sql =>
  wish.scope === 'item'
    ? sql`(${ofReceipts(wish)} union ${ofParts(wish)} union ${ofOldest(wish)}) w(id)
        cross join lateral (select x.* from retention.archive x where x.id = w.id offset 0) a`
    : sql`retention.archive a`;

/** A receipt that names the key names the archive. */
const ofReceipts = ({ subject }: Wish): Sql =>
  sql`select c.archive from (${candidates([subject])}) k
    cross join lateral (select r.archive from retention.receipt r where r.id = k.id offset 0) c where c.archive is not null`;

/** Of a row that went over several batches only the last receipt names it. */
const ofParts = ({ subject }: Wish): Sql =>
  sql`select x.id from retention.archive x where x.part_of = ${subject}`;

/** An archive may be kept longer than the receipts: behind the last ones that were taken away nothing but itself names the key. */
const ofOldest = ({ policy }: Wish): Sql =>
  sql`select o.id from retention.archive o where o.policy = ${policy}
    and o.created_at <= (select n.entry_at from retention.evidence_anchor n order by n.n desc limit 1)`;

function counted(wish: Wish): Sql {
  if (wish.scope === 'item') return sql`1`;
  return wish.scope === 'run' ? sql`a.rows` : sql`(select s.rows ${ofOrganization(wish)})`;
}
