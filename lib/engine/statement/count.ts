/**
 * How many rows would go, counted with the batch's own predicate and no further than asked: the answer is a
 * number or "more than" it. Asked only when the cheap count of what is before the cutoffs passes a limit.
 */
import { z } from 'zod';
import { maybeRow, type Query, query } from '../../platform/query';
import { sql, typed, united } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { countOnLeaves } from './leaf-by-leaf';
import type { Leg } from './leg';
import { walkOf } from './legs';
import { mayGo } from './predicate';

const Candidates = z.object({ candidates: z.coerce.number().int() }).transform((row) => row.candidates);

/** At most `cap + 1`; null when it cannot be read. */
export function countCandidates(
  policy: Policy,
  legs: readonly Leg[],
  asOf: string,
  cap: number,
): Query<number | null> {
  const most = typed(cap + 1, 'bigint');
  if (policy.partitioned)
    return query(
      sql`select least(${countOnLeaves(policy, legs, asOf, most)}, ${most})::text as candidates`,
      maybeRow(Candidates),
    );
  const found = legs.map((leg) => {
    const w = walkOf(policy, leg, asOf);
    return sql`(${w.each(sql`1`, mayGo(w))} limit ${most})`;
  });
  return query(
    sql`select count(*)::text as candidates from (select 1 from (${united(found)}) a limit ${most}) x`,
    maybeRow(Candidates),
  );
}
