/**
 * What to do when a batch fails for a reason of its rows (R7): set the refusing rows aside as dead letters and
 * send the batch again without them, in the same run; if none refuses alone, take fewer; a single row that
 * still fails, or takes the whole statement time, is set aside as it is. Other failures are passed on.
 */
import type { Logger } from 'pino';
import { DatabaseError } from '../../platform/errors';
import { type Asking, STATEMENT_TIMEOUT_MS } from '../../platform/session';
import type { BatchRequest } from '../statement/batch';
import { type Letters, type SettingAside, setAside, setAsideUntried } from '../statement/isolate';

/** `again`: the same position, without the rows set aside. `fewer`: half as many. `no`: the error stands. */
export type Advice = 'again' | 'fewer' | 'no';

export async function afterFailure(
  asking: Asking,
  request: BatchRequest,
  error: unknown,
  log: Logger,
): Promise<Advice> {
  if (!(error instanceof DatabaseError)) return 'no';
  const isSetAside = async (queries: SettingAside): Promise<boolean> => {
    const { found } = await asking.ask(queries, { statementMs: request.statementTimeoutMs });
    return logSetAside(found, log);
  };
  if (error.failure === 'timeout') {
    if (request.limit > 1) return 'fewer';
    // With less than the usual time at hand the clock is at fault, not the row.
    if (request.statementTimeoutMs < STATEMENT_TIMEOUT_MS) return 'no';
    return (await isSetAside(setAsideUntried(request, causeOf(error)))) ? 'again' : 'no';
  }
  if (error.failure !== 'poisoned') return 'no';
  try {
    if (await isSetAside(setAside(request))) return 'again';
  } catch (failure) {
    // Trying each row takes longer than the batch: with fewer rows it fits.
    const slow = failure instanceof DatabaseError && failure.failure === 'timeout';
    if (!slow) throw failure;
  }
  if (request.limit > 1) return 'fewer';
  await isSetAside(setAsideUntried(request, causeOf(error)));
  // Where there was none to set aside, something keeps the row by now: the batch steps over it.
  return 'again';
}

const causeOf = (error: DatabaseError) => ({
  sqlState: error.sqlState ?? 'unknown',
  constraint: error.at.constraint ?? null,
});

/** Whether any row was set aside. */
function logSetAside({ letters, states, constraints }: Letters, log: Logger): boolean {
  if (letters === 0) return false;
  log.warn(
    { event: 'rows.set_aside', dead_letters: letters, sql_states: states, constraints },
    `${letters} rows cannot be deleted and are dead letters now; the run continues with the others`,
  );
  return true;
}
