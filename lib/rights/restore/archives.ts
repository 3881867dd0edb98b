/** Table retention.archive as a restore reads it: which archives hold what is wanted. */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import { allOf, type Sql, sql, typed } from '../../platform/sql';

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
  prefix: z.string(),
  sha256: z.string(),
  keys: z.array(z.string()),
  /** SHA-256 of `scope:id` of everyone who was erased since. */
  erased: z.array(z.string()),
  /** How many of its rows are wanted, at least. */
  wanted: z.coerce.number(),
});
export type Archive = z.infer<typeof Archive>;

/** Archives that are kept, the last first: what was deleted last may be what earlier rows refer to. */
export function archivesOf(wish: Wish): Query<Archive[]> {
  return query(
    sql`select a.id, a.policy, a.prefix, a.manifest_sha256 as sha256, to_json(a.keys) as keys,
        coalesce((select json_agg(s.subject) from retention.archive_subject s where s.archive = a.id and s.erased_at is not null), '[]') as erased,
        ${counted(wish)} as wanted
      from retention.archive a where ${allOf(sql`a.state = 'kept'`, holds(wish), wish.policy === null ? null : sql`a.policy = ${wish.policy}`)}
      order by a.created_at desc, a.seq desc`,
    rows(Archive),
  );
}

/** That would hold it, if they were still kept. */
export const expiredOf = (wish: Wish): Query<number> =>
  query(
    sql`select count(*)::int as n from retention.archive a where ${allOf(sql`a.state = 'expired'`, holds(wish), wish.policy === null ? null : sql`a.policy = ${wish.policy}`)}`,
    ([row]) => Number(row?.n ?? 0),
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
      return sql`a.keys @> ${typed([wish.subject], 'text[]')}`;
  }
}

function counted(wish: Wish): Sql {
  if (wish.scope === 'item') return sql`1`;
  return wish.scope === 'run' ? sql`cardinality(a.keys)` : sql`(select s.rows ${ofOrganization(wish)})`;
}
