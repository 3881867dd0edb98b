/**
 * Neon's `POST /sql` over sessions of a real PostgreSQL. A session is reset before its answer leaves, so
 * nothing (SET, session locks, temporary tables) reaches the next request; a session that was interrupted is
 * thrown away instead, because the interruption may arrive late.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import type { Answer, ServiceHandler, ServiceRequest } from '../server';
import {
  badRequest,
  isDatabaseError,
  json,
  refusedAtConnect,
  sqlError,
  tooLarge,
  unreachable,
} from './errors';
import {
  Allowance,
  type Execution,
  execute,
  executeBatch,
  ResponseTooLargeError,
  type Result,
  resetSession,
  UnexpectedMessageError,
} from './execute';
import { BadRequestError, readSqlRequest, type SqlRequest } from './request';
import { foreignAddress, type Sessions } from './sessions';
import { asJson } from './values';

/** Both limits as Neon's proxy has them by default. */
const MAX_BYTES = 10 * 1024 * 1024;
/** How long Neon waits for a canceled query to end before it answers. */
const CANCEL_GRACE_MS = 100;

export function sqlEndpoint(sessions: Sessions): ServiceHandler {
  return {
    service: 'sql',
    prefix: '/sql',
    maxRequestBytes: MAX_BYTES,
    tooLarge: () => tooLarge(413, 'request', MAX_BYTES),
    refuse: (fault) => {
      const message = fault.message ?? 'refused by the local cloud';
      if (fault.status === 400) return sqlError({ message, code: fault.code, severity: 'ERROR' });
      return json(
        fault.status,
        { message },
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) },
      );
    },
    async handle(request) {
      if (request.method !== 'POST') return json(405, { message: 'only POST is served here' });
      let wanted: SqlRequest;
      try {
        wanted = readSqlRequest(request);
      } catch (error) {
        if (error instanceof BadRequestError) return badRequest(error.message);
        throw error;
      }
      const foreign = foreignAddress(wanted.connectionString, sessions.upstream);
      if (foreign) return sqlError({ message: foreign, code: '28000', severity: 'FATAL' });
      return answer(sessions, wanted, request.gone);
    },
  };
}

async function answer(sessions: Sessions, wanted: SqlRequest, gone: ServiceRequest['gone']): Promise<Answer> {
  let session: PoolClient;
  try {
    session = await sessions.acquire(wanted.login);
  } catch (error) {
    return isDatabaseError(error) ? refusedAtConnect(error, wanted.login.user) : failure(error);
  }
  let interrupted = false;
  const cancel = () => {
    interrupted = true;
    return sessions.cancel(session);
  };
  const reset = async () => {
    if (interrupted) return;
    await resetSession(session).catch(() => {
      interrupted = true;
    });
  };
  const work = run(wanted, { session, allowance: new Allowance(MAX_BYTES), cancel }).then(
    async (results) => {
      await reset();
      return success(wanted, results);
    },
    async (error: unknown) => {
      if (!isDatabaseError(error) && !(error instanceof UnexpectedMessageError)) interrupted = true;
      await reset();
      return failure(error);
    },
  );
  void work.finally(() => sessions.release(wanted.login, session, interrupted));
  if (gone.aborted) void cancel();
  return Promise.race([work, canceled(gone, cancel)]);
}

/** Never resolves while the client is there. */
function canceled(gone: AbortSignal, cancel: () => Promise<void>): Promise<Answer> {
  return new Promise((done) => {
    gone.addEventListener(
      'abort',
      () => {
        void cancel()
          .then(() => sleep(CANCEL_GRACE_MS))
          .then(() =>
            done(sqlError({ message: 'Query cancelled, connection was terminated', code: '08P01' })),
          );
      },
      { once: true },
    );
  });
}

async function run(wanted: SqlRequest, execution: Execution): Promise<Result[]> {
  if (wanted.transaction) return executeBatch(execution, wanted.statements, wanted.transaction);
  return [await execute(execution, wanted.statements[0]!)];
}

function success(wanted: SqlRequest, results: readonly Result[]): Answer {
  const headers = { 'neon-request-id': randomUUID(), ...wanted.echo };
  const shaped = results.map((result, i) => shape(result, wanted.statements[i]!.arrayMode, wanted.rawText));
  return json(200, wanted.transaction ? { results: shaped } : shaped[0], headers);
}

function shape(result: Result, arrayMode: boolean, rawText: boolean) {
  const { fields, command, rowCount } = result;
  const rows = rawText
    ? result.rows
    : result.rows.map((row) => row.map((value, i) => asJson(fields[i]!.dataTypeID, value)));
  return {
    fields,
    rows: arrayMode ? rows : rows.map((row) => Object.fromEntries(row.map((v, i) => [fields[i]!.name, v]))),
    command,
    rowCount,
    rowAsArray: arrayMode,
  };
}

function failure(error: unknown): Answer {
  if (error instanceof UnexpectedMessageError) return badRequest('unexpected message from server');
  if (error instanceof ResponseTooLargeError) return tooLarge(507, 'response', MAX_BYTES);
  if (isDatabaseError(error)) return sqlError(error as unknown as { message: string });
  // In words that say: nothing ran, ask again.
  if (error instanceof Error && /timeout exceeded when trying to connect/.test(error.message)) {
    return badRequest('too many connections to the database: try again');
  }
  if (error instanceof Error && error.message.startsWith('SASL: ')) {
    return badRequest('missing authentication credentials: required password');
  }
  return unreachable(`couldn't connect to compute node: ${error instanceof Error ? error.message : error}`);
}
