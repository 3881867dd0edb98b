/** Which runs of a policy tell how it stands: an erasure runs under the policy's name too. */
import { type Sql, sql } from '../../platform/sql';

/**
 * A run `r` of the policy's own, by which a stop is judged: an erasure runs under the policy's name too. Of a run of before its
 * purpose was written down it is guessed: erasures ran by hand, and one by hand that took nothing says nothing either way.
 */
export const OF_ITS_OWN: Sql = sql`(case when r.purpose is not null then r.purpose = 'retention' else
    r.reason = 'guarded' or r.trigger <> 'manual' or coalesce(
      (select c.reason from retention.receipt c where c.run = r.id order by c.seq limit 1), 'erasure') <> 'erasure' end)`;
