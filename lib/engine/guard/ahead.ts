/** The periods that will count at instants ahead of now, as a run would find them then, if nothing is declared until then. */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import { sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { periodsOf, policyReach } from '../../policies/effective';

const Ahead = z.object({
  periods: z.record(z.string(), z.number().int().nullable()),
  /** A version that reaches other rows has not cooled off yet: nothing goes. */
  waits: z.boolean(),
});
export type Ahead = z.infer<typeof Ahead>;

/** One for each instant, in their order. */
export const periodsAt = (
  policy: Policy,
  instants: readonly Date[],
  coolingSeconds: number,
): Query<Ahead[]> =>
  query(
    sql`select e.periods, e.waits_until is not null as waits
    from jsonb_array_elements_text(${JSON.stringify(instants)}::jsonb) with ordinality x(at, n)
    cross join lateral retention.effective_periods(${policy.name}, ${policyReach(policy)}, ${JSON.stringify(periodsOf(policy))}::jsonb,
      x.at::timestamptz, make_interval(secs => ${coolingSeconds}::float8)) e order by x.n`,
    rows(Ahead),
  );
