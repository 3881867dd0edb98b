/**
 * What to do when a batch fails for a reason of its rows (R7): set the refusing rows aside as dead letters and
 * send the batch again without them, in the same run; if none refuses alone, take fewer; a single row that
 * still fails, or takes the whole statement time, is set aside as it is. Anything else is not ours to mend.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Row, Statement } from '../../platform/database';
import { DatabaseError } from '../../platform/errors';
import { STATEMENT_TIMEOUT_MS } from '../../platform/session';
import type { BatchOrder } from '../statement/batch';
import { setAside, setAsideUntried } from '../statement/isolate';

/** `again`: the same position, without the rows set aside. `fewer`: half as many. `no`: the error stands. */
export type Advice = 'again' | 'fewer' | 'no';

const Letters = z.object({
  letters: z.number().int(),
  states: z.array(z.string()),
  constraints: z.array(z.string()),
});

/** Sends one request, again when that may help. */
export type Ask = (statements: Statement[], statementMs: number) => Promise<Row[][]>;

export async function afterFailure(
  send: Ask,
  order: BatchOrder,
  error: unknown,
  log: Logger,
): Promise<Advice> {
  if (!(error instanceof DatabaseError)) return 'no';
  if (error.failure === 'timeout') {
    if (order.limit > 1) return 'fewer';
    // With less than the usual time at hand the clock is at fault, not the row.
    if (order.statementTimeoutMs < STATEMENT_TIMEOUT_MS) return 'no';
    return told(await ask(send, order, setAsideUntried(order, because(error))), log) ? 'again' : 'no';
  }
  if (error.failure !== 'poisoned') return 'no';
  try {
    if (told(await ask(send, order, setAside(order)), log)) return 'again';
  } catch (failure) {
    // Trying each row takes longer than the batch: with fewer rows it fits.
    const slow = failure instanceof DatabaseError && failure.failure === 'timeout';
    if (!slow) throw failure;
  }
  if (order.limit > 1) return 'fewer';
  return told(await ask(send, order, setAsideUntried(order, because(error))), log) ? 'again' : 'no';
}

const because = (error: DatabaseError) => ({
  sqlState: error.sqlState ?? 'unknown',
  constraint: error.at.constraint ?? null,
});

async function ask(
  send: Ask,
  order: BatchOrder,
  request: { statements: Statement[]; answer: number },
): Promise<z.infer<typeof Letters>> {
  const rows = await send(request.statements, order.statementTimeoutMs);
  return Letters.parse(rows[request.answer]?.[0]);
}

/** Counts and classes only: a key may be personal data. */
function told(found: z.infer<typeof Letters>, log: Logger): boolean {
  if (found.letters === 0) return false;
  log.warn(
    {
      event: 'rows.set_aside',
      dead_letters: found.letters,
      sql_states: found.states,
      constraints: found.constraints,
    },
    `${found.letters} rows refuse to go and are dead letters now; the others go on`,
  );
  return true;
}
