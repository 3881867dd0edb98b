/**
 * The one way to PostgreSQL: Neon's HTTP driver, one request a call, the isolation level always named.
 * Errors leave here mapped to DatabaseError, so no row value in a message or detail travels further.
 */
import { NeonDbError, neon, neonConfig } from '@neondatabase/serverless';
import { DatabaseError, type DatabaseFailure } from './errors';

/** One statement. Every parameter travels as text or null and is cast in the statement. */
export interface Statement {
  readonly text: string;
  readonly params: readonly (string | number | boolean | null | readonly string[])[];
}
export type Row = Record<string, unknown>;

export interface RequestOptions {
  /** READ ONLY: the database refuses every write (R9). */
  readonly readOnly?: boolean;
  /** Give up waiting for the answer after this long. The server may still be working: see DatabaseError `unknown`. */
  readonly timeoutMs: number;
}

export interface Database {
  /** One transaction, one request, READ COMMITTED. Gives the rows of each statement. */
  transaction(statements: readonly Statement[], options: RequestOptions): Promise<Row[][]>;
}

/** Points every client of this process to `endpoint` when the HTTP protocol is not served at the host itself. */
export function connect(url: string, endpoint?: string): Database {
  if (endpoint) neonConfig.fetchEndpoint = endpoint;
  const sql = neon(url);
  return {
    async transaction(statements, options) {
      try {
        const answer = await sql.transaction(
          statements.map((s) => sql.query(s.text, checked(s))),
          {
            isolationLevel: 'ReadCommitted',
            readOnly: options.readOnly ?? false,
            fetchOptions: { signal: AbortSignal.timeout(Math.ceil(options.timeoutMs)) },
          },
        );
        return answer as Row[][];
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
  };
}

/** Counts the requests of one run. */
export function counted(database: Database): Database & { readonly requests: number } {
  let requests = 0;
  return {
    get requests() {
      return requests;
    },
    transaction(statements, options) {
      requests += 1;
      return database.transaction(statements, options);
    },
  };
}

function checked(s: Statement): unknown[] {
  // undefined would become NULL, and a NULL timeout means no timeout at all.
  if (s.params.some((p) => p === undefined)) throw new TypeError('a statement parameter is undefined');
  return s.params.map((p) => (typeof p === 'number' || typeof p === 'boolean' ? String(p) : p));
}

const BY_STATE: readonly [RegExp, DatabaseFailure][] = [
  [/^LP00[123]$/, 'fenced'],
  [/^(40001|40P01|53...|57P0[1-5]|08(?!P01)...)$/, 'transient'],
  [/^(08P01|25P0[34])$/, 'unknown'],
  [/^55P03$/, 'busy'],
  [/^57014$/, 'timeout'],
  [/^(23...|P0001|27000|55000|2F...|38...|39...)$/, 'poisoned'],
];
/** Classes whose messages name objects and states, never row values. */
const SPEAKING = /^(LP|08|25|3D|40|42(?!804)|53|55P|57|28)/;
/** Where PL/pgSQL raises what a function words itself, under any code: only Lapse's own functions are known to name no row. */
const RAISED = 'exec_stmt_raise';

/**
 * Maps what the driver throws. Only an HTTP 400 carries fields of PostgreSQL; no code means the answer was
 * lost or never came, and a write may have committed (PLATFORM §B5, §B6).
 */
export function mapDatabaseError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  if (!(error instanceof NeonDbError)) {
    return new DatabaseError('fatal', null, `the database request could not be made: ${nameOf(error)}`);
  }
  if (!error.code) {
    const status = /HTTP status (\d+)/.exec(error.message)?.[1];
    if (status === '413' || status === '507') {
      return new DatabaseError('fatal', null, `the request or its answer is too large (HTTP ${status})`);
    }
    const why = status
      ? `the database proxy answered HTTP ${status}`
      : `no answer from the database (${nameOf(error.sourceError ?? error)})`;
    return new DatabaseError('unknown', null, why);
  }
  const failure = BY_STATE.find(([state]) => state.test(error.code ?? ''))?.[1] ?? 'fatal';
  const at = {
    ...(error.table ? { table: error.table } : {}),
    ...(error.constraint ? { constraint: error.constraint } : {}),
  };
  const isForeign = error.routine === RAISED && !error.code.startsWith('LP');
  const detail = isForeign
    ? ''
    : SPEAKING.test(error.code)
      ? error.message
      : [error.table, error.constraint].filter(Boolean).join(', ');
  return new DatabaseError(failure, error.code, `PostgreSQL ${error.code}${detail ? `: ${detail}` : ''}`, at);
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
