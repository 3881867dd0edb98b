/** The moment at which a session waits for a lock, told by the database instead of by the time that has passed. */
import type { TestDatabase } from './database';

/**
 * Until a session of this database waits for such a lock (a condition on `l`, a row of pg_locks). `comes` is the work that is
 * to wait: when it ends without having waited, that is said, instead of looking forever.
 */
export async function untilWaiting(db: TestDatabase, lock: string, comes: Promise<unknown>): Promise<void> {
  let ended: string | undefined;
  comes.then(
    (answer) => {
      ended = `answered ${JSON.stringify(answer)}`;
    },
    (error: unknown) => {
      ended = `failed: ${error}`;
    },
  );
  for (;;) {
    // Locks of other databases, which other tests hold at the same time, stand in the same view.
    const waiting = await db.sql(
      `select 1 from pg_locks l join pg_stat_activity a using (pid)
       where a.datname = current_database() and not l.granted and (${lock})`,
    );
    if (waiting.length > 0) return;
    if (ended !== undefined)
      throw new Error(`nothing waited for a lock where ${lock}: what was to wait ${ended}`);
  }
}

/** An advisory lock that a test holds, and a trigger or a condition of its own waits for. */
export const advisory = (key: number): string => `l.locktype = 'advisory' and l.objid = ${key}`;
