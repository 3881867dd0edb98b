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
type Numbered = Pick<BatchRequest, 'runId' | 'seq' | 'statementTimeoutMs' | 'blocks'> & {
  readonly limit?: number;
};

/** The result of a batch of rows. */
export const settle = (database: Database, request: BatchRequest, backoff: Backoff, inTime: () => boolean) =>
  settleAs(database, request, batch(request), backoff, inTime);

/** The batch's result. Throws DatabaseError when it did not commit, or when `inTime` says the time is up. */
export async function settleAs<Q extends Queries, R extends BatchResult>(
  database: Database,
  request: Numbered,
  { queries, result, fromReceipt }: DatabaseRequest<Q, R>,
  backoff: Backoff,
  inTime: () => boolean,
): Promise<R> {
  const limits = { statementMs: request.statementTimeoutMs };
  return pRetry(
    async () => {
      try {
        return await span('batch', { seq: request.seq, limit: request.limit ?? 0 }, async () => {
          return result(await ask(database, queries, limits));
        });
      } catch (error) {
        if (error instanceof DatabaseError && error.sqlState === 'LP004') {
          const receipt = await readReceipt(database, request.runId, request.seq);
          if (receipt) return fromReceipt(receipt);
        }
        throw error;
      }
    },
    { ...backoff, shouldRetry: ({ error }) => maySettle(request, error) && inTime() },
  );
}

/** A plain block range that meets a locked row is asked again in another form, not again in this one. */
const stepsAside = (request: Numbered, error: DatabaseError): boolean =>
  request.blocks?.skipLocked === false && error.failure === 'busy';

const maySettle = (request: Numbered, error: unknown): boolean =>
  error instanceof DatabaseError && error.mayPass && !stepsAside(request, error);
