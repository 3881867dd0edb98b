/**
 * What each batch sees at the server of others that need the database more (R1): sessions that wait for a lock, many
 * sessions at work, a standby that falls behind. What follows from it is for lib/engine/run/pressure.ts to say.
 */
import { z } from 'zod';
import { sql } from '../../platform/sql';

const count = z.coerce.number().nonnegative();
export const Pressure = z.object({
  /** Sessions of this database that wait for a lock. */
  waiting: count.default(0),
  /** Other sessions of this database inside a transaction. */
  sessions: count.default(0),
  /** Seconds the slowest standby is behind; null where there is none, or none that may be seen. */
  lag: count.nullable().default(null),
  /** First transaction number not given out yet: how fast it moves says whether others write (company.ts). */
  next: count.nullable().default(null),
});
export type Pressure = z.infer<typeof Pressure>;

export const NEXT_TRANSACTION = sql`pg_snapshot_xmax(pg_current_snapshot())::text`;

/**
 * One value, `Pressure` as jsonb; read while the batch holds its locks. What others do is hidden from the app's
 * role, but not their locks: every session inside a transaction holds one. Batches themselves hold (7001, …).
 */
export const SEEN_PRESSURE = sql`(select jsonb_build_object('waiting', count(*) filter (where l.waits), 'sessions', count(*) filter (where not l.ours),
      'lag', (select extract(epoch from max(r.replay_lag)) from pg_stat_replication r),
      'next', ${NEXT_TRANSACTION})
    from (
      select pid, bool_or(not granted) as waits, bool_or(locktype = 'advisory' and classid = 7001) as ours from pg_locks group by pid
    ) l join pg_stat_activity a using (pid) where a.datname = current_database())`;
