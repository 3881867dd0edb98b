/**
 * Back pressure: a store that does not keep up, or refuses, must not be left behind by thousands of rows a run. Above
 * MOST_WAITING entries no more rows that name files go, until the drain has caught up.
 */
import { z } from 'zod';
import type { Ending } from '../platform/outcome';
import { oneRow, type Query, query } from '../platform/query';
import { constant, sql } from '../platform/sql';
import { namesFiles } from '../policies/contents';
import type { Policy } from '../policies/contract';

/**
 * What a drain does in half a minute at its best, and in a night with a store that takes three a second. Beyond it,
 * files of rows long gone would lie in the store for days, and counting takes longer than 10 ms.
 */
export const MOST_WAITING = 100_000;

/** Counted to the limit. */
const WAITING = query(
  sql`select count(*)::int as waiting from (
      select 1 from retention.outbox where state in ('pending', 'deleting') limit ${constant(MOST_WAITING)}) o`,
  oneRow(z.object({ waiting: z.number() })),
);

/** How many files more a run of this policy may queue. */
export async function roomInOutbox(policy: Policy, ask: <T>(query: Query<T>) => Promise<T>): Promise<number> {
  if (!namesFiles(policy)) return Number.POSITIVE_INFINITY;
  return MOST_WAITING - (await ask(WAITING)).waiting;
}

export const outboxFull = (outcome: 'skipped' | 'interrupted'): Ending => ({
  outcome,
  reason: 'outbox',
  message: `${MOST_WAITING} files of deleted rows wait for the store; rows that name files are deleted again once fewer do. Find out why blob-outbox does not keep up: BLOB_READ_WRITE_TOKEN, the state of the store, pauses`,
});
