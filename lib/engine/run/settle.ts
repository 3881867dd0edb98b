/**
 * Sends a batch until it is known what became of it. A lost answer is asked again under the same (run, seq):
 * the batch's own lock makes the second wait for the first, and the receipt of a committed one stands in for
 * the answer. Never seq + 1 while seq is unknown: its rows would lie behind the cursor (DELETION §5).
 */
import pRetry from 'p-retry';
import type { Backoff } from '../../platform/context';
import type { Database, Row, Statement } from '../../platform/database';
import { DatabaseError } from '../../platform/errors';
import { span } from '../../platform/sentry';
import { answerTimeoutMs } from '../../platform/session';
import { type BatchOrder, type BatchResult, batch } from '../statement/batch';
import { readReceipt } from '../statement/receipt';

/** What identifies a batch, whatever its statements are. */
type Numbered = Pick<BatchOrder, 'runId' | 'seq' | 'statementTimeoutMs' | 'blocks'> & {
  readonly limit?: number;
};
interface Request<R extends BatchResult> {
  readonly statements: readonly Statement[];
  read(rows: Row[][]): R;
  /** The receipt of a committed batch, in the form of its answer. */
  fromReceipt(receipt: BatchResult): R;
}

/** The result of a batch of rows. */
export const settle = (database: Database, order: BatchOrder, backoff: Backoff, inTime: () => boolean) =>
  settleAs(database, order, { ...batch(order), fromReceipt: (r) => r }, backoff, inTime);

/** The batch's result. Throws DatabaseError when it did not commit, or when `inTime` says the time is up. */
export async function settleAs<R extends BatchResult>(
  database: Database,
  order: Numbered,
  { statements, read, fromReceipt }: Request<R>,
  backoff: Backoff,
  inTime: () => boolean,
): Promise<R> {
  const timeoutMs = answerTimeoutMs(order.statementTimeoutMs);
  return pRetry(
    async () => {
      try {
        return await span('batch', { seq: order.seq, limit: order.limit ?? 0 }, async () => {
          return read(await database.transaction(statements, { timeoutMs }));
        });
      } catch (error) {
        if (error instanceof DatabaseError && error.sqlState === 'LP004') {
          const receipt = await readReceipt(database, order.runId, order.seq);
          if (receipt) return fromReceipt(receipt);
        }
        throw error;
      }
    },
    { ...backoff, shouldRetry: ({ error }) => maySettle(order, error) && inTime() },
  );
}

/** A plain block range that meets a locked row is asked again in another form, not again in this one. */
const stepsAside = (order: Numbered, error: DatabaseError): boolean =>
  order.blocks?.skipLocked === false && error.failure === 'busy';

const maySettle = (order: Numbered, error: unknown): boolean =>
  error instanceof DatabaseError && error.mayPass && !stepsAside(order, error);
