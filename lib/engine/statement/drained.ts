/**
 * The proof of being drained: a last look without cursor and without `skip locked`, with the batch's own
 * predicate. Reaching the end proves nothing: rows that were locked, or moved behind the walk, are still
 * there (DELETION §4). Also the bounded count at the start of a run: how much is before the cutoffs at all?
 */
import { z } from 'zod';
import { oneRow, type Query, query } from '../../platform/query';
import { allOf, anyOf, raw, sql, summed, typed } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { countDueOnLeaves, leftOnLeaves } from './leaf-by-leaf';
import type { Leg } from './leg';
import { walkOf } from './legs';
import { byClock } from './legs/columns';
import { mayGo } from './predicate';

const Left = z.object({ left: z.boolean() }).transform((row) => row.left);

/** Whether a row that may go is left before the cutoffs. */
export function leftBehind(policy: Policy, legs: readonly Leg[], asOf: string): Query<boolean> {
  const at = typed(asOf, 'timestamptz');
  if (policy.partitioned)
    return query(sql`select ${leftOnLeaves(policy, legs, asOf)} as left, ${at} as as_of`, oneRow(Left));
  const first = sql`
            order by ${byClock(policy)} limit 1`;
  const looks = legs.map((leg) => {
    const w = walkOf(policy, leg, asOf);
    // Directly within `exists` PostgreSQL would drop the order, and with it the index.
    return sql`exists (select 1 from (${w.each(sql`1`, mayGo(w), first)}) x)`;
  });
  return query(sql`select ${anyOf(...looks)} as left, ${at} as as_of`, oneRow(Left));
}

/** Counting stops here: about 10 ms of an index, whatever the table's size (DELETION §7). */
export const DUE_CAP = 100_000;
const ENOUGH = raw(String(DUE_CAP + 1));

const Due = z.object({ due: z.coerce.number().int() }).transform((row) => row.due);

/**
 * Rows before their cutoff, held or not, counted up to DUE_CAP + 1. Also leaves the answer in `lapse.due` for the
 * statement that ends an idle run.
 */
export function countDue(policy: Policy, legs: readonly Leg[], asOf: string): Query<number> {
  const counts = legs.map((leg) => {
    const w = walkOf(policy, leg, asOf);
    return sql`(select count(*) from (${w.each(sql`1`, allOf(w.past, w.indexed))} limit ${ENOUGH}) x)`;
  });
  const all = policy.partitioned ? countDueOnLeaves(policy, legs, asOf, ENOUGH) : summed(counts);
  return query(
    sql`with counted as materialized (select ${all} as n)
  select n::text as due, set_config('lapse.due', (n > 0)::text, true) from counted`,
    oneRow(Due),
  );
}
