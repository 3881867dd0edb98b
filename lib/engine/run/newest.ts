/** The newest runs of a policy from the index of (policy, start): however long the history, and however few of it are this policy's. */
import { constant, type Sql, sql } from '../../platform/sql';

/**
 * Runs `r` of `policy`, newest first. As a range of one name: to an equality PostgreSQL may answer with the runs of all policies by
 * their start, which for a policy that has hardly run is all of them. A condition belongs outside: it must not make this look further; what is limited
 * there is ordered by policy and start again, which takes no sorting and ends at the first that fits.
 */
export const newestRuns = (policy: Sql, most: number): Sql => sql`(select r.* from retention.run r
    where r.policy >= ${policy} and r.policy <= ${policy} order by r.policy, r.started_at desc, r.id desc limit ${constant(most)})`;
