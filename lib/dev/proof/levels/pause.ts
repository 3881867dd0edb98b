/** Stops a batch between two of its statements, on the real way to the database, until it is let go on. */
import type { Database, Statement } from '../../../platform/database';

/** The batch waits here. */
const GATE = 70_070_070;
export const SHUT = `select pg_advisory_lock(${GATE})`;
export const OPEN = `select pg_advisory_unlock(${GATE})`;
/** Whether the batch waits there. */
export const WAITS = `select exists (select 1 from pg_locks where locktype = 'advisory' and not granted
  and classid = 0 and objid = ${GATE} and objsubid = 1 and database = (select oid from pg_database where datname = current_database())) as yes`;

const plain = (text: string): Statement => ({ text, params: [] });
/** It waits as long as it has to there, and no longer than before everywhere else. */
const STOP: readonly Statement[] = [
  plain(`select set_config('proof.lock', current_setting('lock_timeout'), true), set_config('proof.statement', current_setting('statement_timeout'), true),
    set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)`),
  plain(`select pg_advisory_xact_lock(${GATE})`),
  plain(
    `select set_config('lock_timeout', current_setting('proof.lock'), true), set_config('statement_timeout', current_setting('proof.statement'), true)`,
  ),
];

export interface Stop {
  /** The batch, from 0, and the statement before which it stops; behind the last, before its transaction ends. */
  readonly batch: number;
  readonly statement: number;
  /** Called when the batch is sent. Its answer is given on once what `over` returns has ended. */
  sent(): { over(): Promise<void> };
  /** How many statements each batch has. */
  counted(statements: number): void;
}

export function pausing(database: Database, stop: Stop): Database {
  let batches = 0;
  return {
    async transaction(statements, options) {
      if (!isBatch(statements)) return database.transaction(statements, options);
      stop.counted(statements.length);
      batches += 1;
      if (batches - 1 !== stop.batch) return database.transaction(statements, options);
      const { over } = stop.sent();
      const at = Math.min(stop.statement, statements.length);
      try {
        const all = [...statements.slice(0, at), ...STOP, ...statements.slice(at)];
        const rows = await database.transaction(all, { ...options, timeoutMs: 60_000 });
        return [...rows.slice(0, at), ...rows.slice(at + STOP.length)];
      } finally {
        await over();
      }
    },
  };
}

/** What sets rows aside enters the batch, too, and confirms none. */
const isBatch = (statements: readonly Statement[]): boolean =>
  statements.some((s) => s.text.includes('retention.enter_batch')) &&
  statements.some((s) => s.text.includes('retention.confirm_batch'));
