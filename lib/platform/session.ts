/**
 * The first statement of every request: limits and formats for this transaction only. Keys are compared as they
 * are printed, so every format that changes what is printed is set. Always a SELECT, so that a READ ONLY
 * transaction cannot be turned into a writing one after it (DELETION §9, §10).
 */
import type { Database, Statement } from './database';
import type { Answers, Query } from './query';

/** Longer than any batch should take, short enough that a stuck one ends well inside the run. */
export const STATEMENT_TIMEOUT_MS = 5_000;
/** Under PostgreSQL's deadlock_timeout of 1 s: a batch gives way before it can be part of a deadlock. */
const LOCK_TIMEOUT_MS = 500;
/** What the whole transaction may take where the server knows such a limit (PostgreSQL 17). */
const TRANSACTION_FACTOR = 2;
/** Longer than the server's own limit: the answer should say what happened. */
const ANSWER_MARGIN_MS = 3_000;

export function session(statementTimeoutMs: number, lockTimeoutMs = LOCK_TIMEOUT_MS): Statement {
  const ms = (n: number) => `${Math.max(1, Math.round(n))}ms`;
  return {
    text: `select set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
      set_config('idle_in_transaction_session_timeout', $1, true), set_config('TimeZone', 'UTC', true),
      set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'postgres', true),
      set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true), set_config('row_security', 'off', true), set_config('jit', 'off', true),
      case when current_setting('server_version_num')::int >= 170000
        then set_config('transaction_timeout', $3, true) end`,
    params: [ms(statementTimeoutMs), ms(lockTimeoutMs), ms(statementTimeoutMs * TRANSACTION_FACTOR)],
  };
}

/**
 * In front of what an operator does, in its transaction and no longer: proves to the database who acts
 * (functions/operators.sql). Without a token it proves no one.
 */
const provenBy = (token = ''): Statement => ({
  text: `select set_config('lapse.operator_token', $1, true)`,
  params: [token],
});

/** How long to wait for the answer of a request whose statements may each take `statementTimeoutMs`. */
const answerTimeoutMs = (statementTimeoutMs: number): number =>
  statementTimeoutMs * TRANSACTION_FACTOR + ANSWER_MARGIN_MS;

export interface Limits {
  /** Of each statement, in milliseconds. */
  readonly statementMs: number;
  /** For waiting for a lock; LOCK_TIMEOUT_MS unless given. */
  readonly lockMs?: number;
  readonly readOnly?: boolean;
  /** How long to wait for the answer; longer than the server's own limit unless given. */
  readonly answerMs?: number;
  /** Proves to the database which operator acts, in this transaction and no longer. */
  readonly operatorToken?: string;
  /** Only ranges of an index, in its order: see `indexesOnly`. */
  readonly indexesOnly?: boolean;
}

export type Queries = Readonly<Record<string, Query<unknown> | undefined>>;

/**
 * One transaction under a session's limits: every query by the name it was given, in that order; one that is undefined
 * is not sent. Throws DatabaseError; nothing has happened then, unless its failure is `unknown`.
 */
export async function ask<const Q extends Queries>(
  database: Database,
  queries: Q,
  { statementMs, lockMs, readOnly = false, answerMs, operatorToken, indexesOnly: byIndex = false }: Limits,
): Promise<Answers<Q>> {
  const before = [
    session(statementMs, lockMs),
    ...(operatorToken === undefined ? [] : [provenBy(operatorToken)]),
    ...(byIndex ? [indexesOnly] : []),
  ];
  const sent = Object.entries(queries).filter(
    (entry): entry is [string, Query<unknown>] => entry[1] !== undefined,
  );
  const rows = await database.transaction([...before, ...sent.map(([, q]) => q)], {
    readOnly,
    timeoutMs: answerMs ?? answerTimeoutMs(statementMs),
  });
  const answers = sent.map(([called, q], i) => [called, q.read(rows[before.length + i] ?? [])] as const);
  return Object.fromEntries(answers) as Answers<Q>;
}

/** The answer of one query, in a transaction of its own. */
export const askOne = async <T>(database: Database, query: Query<T>, limits: Limits): Promise<T> =>
  (await ask(database, { answer: query }, limits)).answer as T;

/** The answers of queries of one kind, in their order, from one transaction. */
export const askEach = async <T>(
  database: Database,
  queries: readonly Query<T>[],
  limits: Limits,
): Promise<T[]> => Object.values(await ask(database, Object.fromEntries(queries.entries()), limits)) as T[];

/** `ask` and `askOne` of one database. A run's own ask again what may pass, while there is time. */
export interface Asking {
  ask<const Q extends Queries>(queries: Q, limits: Limits): Promise<Answers<Q>>;
  askOne<T>(query: Query<T>, limits: Limits): Promise<T>;
}

export const asking = (database: Database): Asking => ({
  ask: (queries, limits) => ask(database, queries, limits),
  askOne: (query, limits) => askOne(database, query, limits),
});

/** READ ONLY, whatever is asked: the database refuses every write. */
export function readingOnly(of: Asking): Asking {
  const limited = (limits: Limits): Limits => ({ ...limits, readOnly: true });
  return {
    ask: (queries, limits) => of.ask(queries, limited(limits)),
    askOne: (query, limits) => of.askOne(query, limited(limits)),
  };
}

/** For this transaction: ranges of an index in its order, which a limit ends; never a bitmap of a whole range, never the table. */
export const indexesOnly: Statement = {
  text: `select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`,
  params: [],
};
