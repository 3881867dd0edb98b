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

interface RequestOptions {
  /** READ ONLY: the database refuses every write (R9). */
  readonly readOnly?: boolean;
  /** Give up waiting for the answer after this long. The server may still be working: see DatabaseError `unknown`. */
  readonly timeoutMs: number;
}

export interface Database {
  /** One transaction, one request, READ COMMITTED. Returns the rows of each statement. */
  transaction(statements: readonly Statement[], options: RequestOptions): Promise<Row[][]>;
}

/** Points every client of this process to `endpoint` when the HTTP protocol is not served at the host itself. */
export function connect(url: string, endpoint?: string, token?: string): Database {
  if (endpoint) neonConfig.fetchEndpoint = endpoint;
  // As a bearer: what a proxy of one's own asks for before it asks PostgreSQL.
  const sql = token === undefined ? neon(url) : neon(url, { authToken: token });
  return {
    async transaction(statements, options) {
      try {
        const answer = await sql.transaction(
          statements.map((s) => sql.query(s.text, checked(s))),
          {
            isolationLevel: 'ReadCommitted',
            readOnly: options.readOnly ?? false,
            // The connection string is a header of the request: it must not follow to another address.
            fetchOptions: { signal: AbortSignal.timeout(Math.ceil(options.timeoutMs)), redirect: 'error' },
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
  // LP022: what goes along was changed; sent again, the batch leaves its row.
  [/^(55P03|LP022)$/, 'busy'],
  [/^57014$/, 'timeout'],
  // 22 and 54 are about values: a row's, since nothing else of a statement changes between two batches.
  // LP007: what should have gone is there, kept by a trigger or put back.
  [/^(22...|23...|54...|P0001|27000|55000|2F...|38...|39...|LP007)$/, 'poisoned'],
];
/** Classes whose messages name objects and states, never row values. */
const SPEAKING = /^(LP|08|25|3D|40|42(?!804)|53|55P|57|28)/;
/** A function, table, column or type is not there: the database may be older than what is deployed, or newer. */
const MISSING = /^42(883|P01|703|704)$/;
const BEHIND =
  'where it is of schema retention, this database is not of this version of Lapse: npm run migrate';
/** Where PL/pgSQL raises an error in words of the function: only Lapse's own functions are known to quote no row. */
const RAISED = 'exec_stmt_raise';

/**
 * Maps what the driver throws. Only an HTTP 400 carries fields of PostgreSQL; without a code the request was refused
 * before its first statement, or its answer was lost and a write may have committed (PLATFORM §B5, §B6).
 */
export function mapDatabaseError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  if (!(error instanceof NeonDbError)) {
    return new DatabaseError('fatal', null, `the database request could not be made: ${nameOf(error)}`);
  }
  if (!error.code) return withoutCode(error);
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
  const said = [detail, MISSING.test(error.code) && BEHIND].filter(Boolean).join('; ');
  return new DatabaseError(failure, error.code, `PostgreSQL ${error.code}${said ? `: ${said}` : ''}`, at);
}

/**
 * Words of the proxy itself on an HTTP 400, without a code of PostgreSQL. They are only matched, never passed on: when a
 * request could not be read, the answer quotes a part of it.
 */
const WITHOUT_CODE: readonly [RegExp, DatabaseFailure, string][] = [
  [
    /connection closed|error communicating|unexpected message|parsing response|timeout waiting|internal error/i,
    'unknown',
    'the connection to the database was lost on the way; the transaction may have committed',
  ],
  [
    /could(n't| not) connect|too many|acquire permit|control plane|try again/i,
    'transient',
    'the database proxy could not connect to the database; nothing ran',
  ],
  [
    /password authentication failed|authentication|credentials|missing user|invalid user/i,
    'fatal',
    'the database refused the user or the password before anything ran: set DATABASE_URL to the current connection string of the role and deploy again',
  ],
  [
    /IP address|not allowed/i,
    'fatal',
    "the database does not accept this address: allow it in the Neon project's settings; nothing ran",
  ],
];

/** No code of PostgreSQL: an HTTP status of the proxy, an answer that never came, or a refusal before the first statement. */
function withoutCode(error: NeonDbError): DatabaseError {
  const status = /HTTP status (\d+)/.exec(error.message)?.[1];
  if (status === '413' || status === '507') {
    return new DatabaseError('fatal', null, `the request or its answer is too large (HTTP ${status})`);
  }
  if (status === '401') {
    return new DatabaseError(
      'fatal',
      null,
      'the SQL proxy refused the request before anything ran: set NEON_HTTP_TOKEN to its SQL_PROXY_TOKEN and deploy again',
    );
  }
  if (status !== undefined) {
    // A refusal at connect (no such database, no connection left) looks like a connection that was lost at COMMIT.
    return new DatabaseError(
      'unknown',
      null,
      `the database proxy answered HTTP ${status}: it could not connect to the database, or lost the connection; the transaction may have committed. If this persists: check that the database in DATABASE_URL exists and has connections left`,
    );
  }
  if (error.sourceError !== undefined) {
    return new DatabaseError('unknown', null, `no answer from the database (${nameOf(error.sourceError)})`);
  }
  const [, failure, words] = WITHOUT_CODE.find(([said]) => said.test(error.message)) ?? [
    null,
    'fatal' as const,
    'the database proxy refused the request before anything ran: check DATABASE_URL, and the text that was sent',
  ];
  return new DatabaseError(failure, null, words);
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
