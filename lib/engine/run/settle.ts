/**
 * Sends a batch until it is known what became of it. A lost answer is asked again under the same (run, seq):
 * the batch's own lock makes the second wait for the first, and the receipt of a committed one stands in for
 * the answer. Never seq + 1 while seq is unknown: its rows would lie behind the cursor (DELETION §5).
 */
import pRetry from 'p-retry';
import type { Backoff } from '../../platform/context';
import type { Database } from '../../platform/database';
import { DatabaseError } from '../../platform/errors';
import { span } from '../../platform/sentry';
import { ask, type Queries } from '../../platform/session';
import { type BatchRequest, type BatchResult, batch, type DatabaseRequest } from '../statement/batch';
import { readReceipt } from '../statement/receipt';

/** What identifies a batch, whatever its statements are. */
type Numbered = Pick<BatchRequest, 'runId' | 'seq' | 'statementTimeoutMs'> & { readonly limit?: number };

/** The result of a batch of rows. */
export const settle = (database: Database, request: BatchRequest, backoff: Backoff, inTime: () => boolean) =>
  settleAs(database, request, batch(request), backoff, inTime);

/** The batch's result. Throws DatabaseError when it did not commit, or when `inTime` says the time is up. */
export async function settleAs<Q extends Queries, R extends BatchResult>(
  database: Database,
  request: Numbered,
  asked: DatabaseRequest<Q, R>,
  backoff: Backoff,
  inTime: () => boolean,
): Promise<R> {
  try {
    return await pRetry(() => attempt(database, request, asked), {
      ...backoff,
      shouldRetry: ({ error }) => maySettle(asked, error) && inTime(),
    });
  } catch (error) {
    // It is known not to have committed, so the other form has the same number.
    if (!isForOther(asked, error)) throw error;
    const { instead: _, ...other } = asked.instead!.ask();
    return settleAs(database, request, other, backoff, inTime);
  }
}

async function attempt<Q extends Queries, R extends BatchResult>(
  database: Database,
  { runId, seq, statementTimeoutMs, limit = 0 }: Numbered,
  { queries, result, fromReceipt }: DatabaseRequest<Q, R>,
): Promise<R> {
  try {
    return await span('batch', { seq, limit }, async () => {
      return result(await ask(database, queries, { statementMs: statementTimeoutMs }));
    });
  } catch (error) {
    if (error instanceof DatabaseError && error.sqlState === 'LP004') {
      const receipt = await readReceipt(database, runId, seq);
      if (receipt) return fromReceipt(receipt);
    }
    throw error;
  }
}

/** Whether it is asked again in another form, not again in this one. */
function isForOther({ instead }: DatabaseRequest<Queries, BatchResult>, error: unknown): boolean {
  if (instead === undefined || !(error instanceof DatabaseError)) return false;
  if (instead.when === 'busy') return error.failure === 'busy';
  return error.failure === 'timeout' || error.sqlState === TOO_MANY;
}

/** Raised by retention.refuse_more. */
const TOO_MANY = 'LP017';

const maySettle = (asked: DatabaseRequest<Queries, BatchResult>, error: unknown): boolean =>
  error instanceof DatabaseError && error.mayPass && !isForOther(asked, error);
