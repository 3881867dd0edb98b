/**
 * An operator's action: the change and its entry in the audit chain, in one statement, so that neither is ever
 * without the other. A change of something that decisions are read from waits for the running batches, by the
 * trigger of its table; when the answer comes, no older batch can still run.
 */
import { answerTimeoutMs, session } from '../batch/session';
import { Parameters } from '../batch/sql';
import type { Statement } from '../database';
import { DatabaseError, RequestError } from '../errors';
import type { Services } from '../services';

/** A batch may take its whole statement time; ten seconds see it out. */
const LOCK_MS = 10_000;
const STATEMENT_MS = 15_000;

export interface Acting {
  readonly services: Services;
  readonly operator: string;
  readonly reason: string;
}

export interface Done {
  /** Number of the entry in the audit chain. */
  readonly entry: number;
  readonly subject: string;
  readonly detail: Record<string, unknown>;
}

/** A change in several parts: `before` holds common table expressions, which PostgreSQL wants at the top. */
export interface Change {
  readonly before: string;
  readonly change: string;
}

/**
 * `change` writes one statement that returns `subject text, detail jsonb`. No row means that it did not apply:
 * then nothing was changed, nothing is recorded, and the answer is null.
 */
export async function carryOut(
  acting: Acting,
  action: string,
  change: (p: Parameters) => string | Change,
): Promise<Done | null> {
  return (await carryOutEach(acting, action, [change]))[0] ?? null;
}

/** Several changes of one kind, each with its entry, all or none. Those that did not apply are left out. */
export async function carryOutEach(
  { services, operator, reason }: Acting,
  action: string,
  changes: readonly ((p: Parameters) => string | Change)[],
): Promise<Done[]> {
  const statements = changes.map((change) => {
    const p = new Parameters();
    const changed = change(p);
    const { before, change: last } = typeof changed === 'string' ? { before: '', change: changed } : changed;
    return p.statement(`with ${before && `${before}, `}done(subject, detail) as (${last})
    insert into retention.audit_entry (actor, action, subject, reason, detail)
    select ${p.add(operator)}, ${p.add(action)}, d.subject, ${p.add(reason)}, coalesce(d.detail, '{}') from done d
    returning n::text, subject, detail`);
  });
  try {
    const [, ...rows] = await send(services, statements);
    const done = rows.flat().map((row) => ({
      entry: Number(row.n),
      subject: String(row.subject),
      detail: row.detail as Done['detail'],
    }));
    for (const { entry } of done) {
      services.log.info({ event: 'operator.acted', action, operator, entry }, `${action} by ${operator}`);
    }
    return done;
  } catch (error) {
    throw refusal(error);
  }
}

export const send = (services: Services, statements: Statement[], readOnly = false) =>
  services.database.transaction([session(STATEMENT_MS, LOCK_MS), ...statements], {
    timeoutMs: answerTimeoutMs(STATEMENT_MS),
    readOnly,
  });

/** What the database refuses is the request's fault when it says so by a constraint; a lock is nobody's. */
export function refusal(error: unknown): unknown {
  if (!(error instanceof DatabaseError)) return error;
  if (error.failure === 'busy') {
    return new RequestError(
      409,
      'busy',
      'a batch is still running; nothing was changed, ask again in a few seconds',
    );
  }
  if (error.sqlState === '23505')
    return new RequestError(409, 'exists', 'this is there already; nothing was changed');
  if (error.sqlState === '23503')
    return new RequestError(404, 'unknown', 'it refers to something that does not exist');
  if (error.sqlState && /^(22|23|54)/.test(error.sqlState)) {
    return new RequestError(
      422,
      'refused',
      `the database refuses this (${error.at.constraint ?? error.sqlState}); nothing was changed`,
    );
  }
  return error;
}
