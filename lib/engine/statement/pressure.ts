/**
 * What a run sees at the server of others that need the database more (R1): sessions that wait for a lock of ours, many
 * sessions at work, a standby that falls behind, transactions that write. A few batches a second ask for it, while they hold
 * their locks; what follows from it is for lib/engine/run/pressure.ts and company.ts to say.
 */
import { z } from 'zod';
import { type Sql, sql } from '../../platform/sql';

const count = z.coerce.number().nonnegative();

/** How far the server's transactions and our own runs have got, in one snapshot. */
export const Progress = z.object({
  /** Writing transactions that have ended at this server, whoever's: how fast it moves says how much is written. */
  ended: count,
  /** Of each run of Lapse under way in this database, the number of its last receipt: those of the transactions that are ours. */
  runs: z.record(z.string(), count),
});
export type Progress = z.infer<typeof Progress>;

export const Pressure = z.object({
  /** Sessions of this database that wait for a lock which a batch of ours holds. */
  waiting: count.default(0),
  /** Other sessions of this database inside a transaction. */
  sessions: count.default(0),
  /** Seconds the slowest standby is behind; null where there is none, or none that may be seen. */
  lag: count.nullable().default(null),
  progress: Progress.nullable().default(null),
});
export type Pressure = z.infer<typeof Pressure>;

/**
 * `Progress` as jsonb. What a snapshot sees as ended is what lies before its end and is not under way: the numbers it
 * lists, and its own transaction's, which it does not list.
 */
export const PROGRESS: Sql = sql`jsonb_build_object(
      'ended', pg_snapshot_xmax(pg_current_snapshot())::text::bigint - (select count(*) from pg_snapshot_xip(pg_current_snapshot()))
        - case when pg_current_xact_id_if_assigned() < pg_snapshot_xmax(pg_current_snapshot()) then 1 else 0 end,
      'runs', (select coalesce(jsonb_object_agg(p.run_now, (select coalesce(max(c.seq), 0) from retention.receipt c where c.run = p.run_now)), '{}')
        from retention.policy_state p where p.run_now is not null))`;

/**
 * One value, `Pressure` as jsonb; read while the batch holds its locks. What others do is hidden from the app's
 * role, but not their locks: every session inside a transaction holds one. Batches themselves hold (7001, …).
 */
export const SEEN_PRESSURE: Sql = sql`(with l as materialized (
      select pid, bool_or(not granted) as waits, coalesce(bool_or(locktype = 'advisory' and classid = 7001 and granted), false) as ours
      from pg_locks where pid is not null group by pid
    )
    select jsonb_build_object(
      'waiting', count(*) filter (where l.waits and pg_blocking_pids(l.pid) && (select array_agg(o.pid) from l o where o.ours)),
      'sessions', count(*) filter (where not l.ours),
      'lag', (select extract(epoch from max(r.replay_lag)) from pg_stat_replication r),
      'progress', ${PROGRESS})
    from l join pg_stat_activity a using (pid) where a.datname = current_database())`;
