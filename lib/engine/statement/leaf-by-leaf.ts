/**
 * A partitioned table is asked partition by partition, all of them in a statement: asked as a whole it would be planned, and
 * locked, with all of its partitions, and PostgreSQL has room for some six thousand locks. A query is written once, for any leaf,
 * and the database asks it of each (retention.counts_of). What costs much to plan is asked only where any row is due at all.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import type { Limits } from '../../platform/session';
import { empty, inlined, raw, type Sql, sql, summed, tableId, typed } from '../../platform/sql';
import { scaleOf } from '../../policies/clocks';
import { goesWhole, type Policy } from '../../policies/contract';
import { hasOneCutoff, type Leg } from './leg';
import { type Walk, walkOf } from './legs';
import { byClock } from './legs/columns';
import { inClock, mayGo } from './predicate';

/** Some tenths of a millisecond a partition, mostly to plan. */
export const OF_LEAVES: Limits = { statementMs: 15_000 };

/** Stands in a query where the database writes the name of each partition. */
const ANY = { schema: 'lapse', name: 'any leaf' };

/** The policy on one leaf: rows lie there, and are known by the name of the table it is a part of. */
export function onLeaf(policy: Policy, leg: Leg): Policy {
  if (!leg.leaf) return policy;
  const { partitioned: _, ...rest } = policy;
  return { ...rest, table: leg.leaf };
}

function anyLeaf(policy: Policy, leg: Leg, asOf: string): Walk {
  const there: Leg = { ...leg, leaf: { ...ANY, of: policy.table } };
  return walkOf(onLeaf(policy, there), there, asOf);
}

/** A query of the rows of a leg on any leaf, as a value. */
function ofAnyLeaf(policy: Policy, leg: Leg, asOf: string, where: (w: Walk) => Sql, isFirst = false): Sql {
  const w = anyLeaf(policy, leg, asOf);
  const then = isFirst ? sql` order by ${byClock(w.policy)} limit 1` : empty;
  return sql`${inlined(w.each(sql`1`, where(w), then))}`;
}

/** What partitions may hold a row before the cutoff, by their bounds; all of them where those say nothing of it. */
export function boundedBy(policy: Policy, cutoff: string | null): Sql {
  const at = inClock(policy, typed(cutoff ?? 'infinity', 'timestamptz'));
  const type = raw(scaleOf(policy.clock).type);
  return sql`retention.partitions(to_regclass(${tableId(policy.table).text})) b where b.lower_bound is null or b.lower_bound::${type} < ${at}`;
}

/** An array of them. */
const leavesOf = (policy: Policy, leg: Leg): Sql =>
  goesWhole(policy)
    ? sql`array(select b.relation::oid from ${boundedBy(policy, hasOneCutoff(leg) ? leg.cutoff : null)})`
    : sql`array(select p.relid from retention.parts_of(to_regclass(${tableId(policy.table).text})) p where p.isleaf and p.level > 0)`;

/** Counting in all of them together ends here. */
const NO_END = sql`9223372036854775807`;

/** An array of those with a row before their cutoff, whatever keeps it; of tenants, where every row has its own, all. */
const dueLeaves = (policy: Policy, leg: Leg, asOf: string): Sql =>
  leg.kind === 'tenants'
    ? leavesOf(policy, leg)
    : sql`array(select x.leaf from (select ${leavesOf(policy, leg)} as leaves) l
      cross join lateral unnest(l.leaves, retention.counts_of(${ofAnyLeaf(policy, leg, asOf, (w) => w.due, true)}, l.leaves, ${NO_END})) x(leaf, n) where x.n > 0)`;

/** The relation `answer`: what is asked of each leaf that may hold a row before `cutoff`, row by row as jsonb. */
export const askedOnLeaves = (
  policy: Policy,
  leg: Leg,
  { asOf, cutoff, asks }: { asOf: string; cutoff: string; asks: (w: Walk) => Sql },
): Sql =>
  sql`retention.answers_of(${inlined(asks(anyLeaf(policy, leg, asOf)))}, ${dueLeaves(policy, { ...leg, ...(hasOneCutoff(leg) ? { cutoff } : {}) }, asOf)}) answer`;

const total = (counts: Sql): Sql => sql`(select coalesce(sum(n), 0) from unnest(${counts}) n)`;

/** Rows before their cutoff, held or not, counted up to `most`. */
export const countDueOnLeaves = (policy: Policy, legs: readonly Leg[], asOf: string, most: Sql): Sql =>
  summed(
    legs.map((leg) =>
      total(
        sql`retention.counts_of(${ofAnyLeaf(policy, leg, asOf, (w) => w.past)}, ${leavesOf(policy, leg)}, ${most})`,
      ),
    ),
  );

/** Rows that may go, counted up to `most`. */
export const countOnLeaves = (policy: Policy, legs: readonly Leg[], asOf: string, most: Sql): Sql =>
  summed(
    legs.map((leg) =>
      total(
        sql`retention.counts_of(${ofAnyLeaf(policy, leg, asOf, mayGo)}, ${dueLeaves(policy, leg, asOf)}, ${most})`,
      ),
    ),
  );

/** Whether a row that may go is left on any of them. */
export const leftOnLeaves = (policy: Policy, legs: readonly Leg[], asOf: string): Sql =>
  sql`${summed(
    legs.map((leg) =>
      total(
        sql`retention.counts_of(${ofAnyLeaf(policy, leg, asOf, mayGo, true)}, ${dueLeaves(policy, leg, asOf)}, 1)`,
      ),
    ),
  )} > 0`;

const Leaf = z.object({ schema_name: z.string(), table_name: z.string() });

/** In the order of their names. */
export const leavesWithDueRows = (policy: Policy, leg: Leg, asOf: string): Query<z.infer<typeof Leaf>[]> =>
  query(
    sql`select n.nspname as schema_name, c.relname as table_name from unnest(${dueLeaves(policy, leg, asOf)}) x(leaf)
    join pg_class c on c.oid = x.leaf join pg_namespace n on n.oid = c.relnamespace order by 1, 2`,
    rows(Leaf),
  );
