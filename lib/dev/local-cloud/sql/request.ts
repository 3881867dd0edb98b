/**
 * Reads a request to Neon's `/sql`: headers, one statement or a batch, and parameters as the text PostgreSQL
 * is to get. Only the exact header value `true` switches anything on.
 */
import { isUtf8 } from 'node:buffer';
import type { ServiceRequest } from '../server';
import type { Statement, Transaction } from './execute';
import { type Login, readLogin } from './sessions';

export interface SqlRequest {
  readonly login: Login;
  readonly connectionString: string;
  readonly statements: readonly (Statement & { readonly arrayMode: boolean })[];
  /** Undefined for a single statement outside a transaction. */
  readonly transaction: Transaction | undefined;
  readonly rawText: boolean;
  /** The batch headers, which the answer repeats. */
  readonly echo: Readonly<Record<string, string>>;
}

export class BadRequestError extends Error {}

const ISOLATION = new Map([
  ['Serializable', 'SERIALIZABLE'],
  ['ReadUncommitted', 'READ UNCOMMITTED'],
  ['ReadCommitted', 'READ COMMITTED'],
  ['RepeatableRead', 'REPEATABLE READ'],
]);

/** Repeated in the answer: the level asked for, and the others where they are on. */
const echoed = (header: (name: string) => string | undefined): Record<string, string> => {
  const level = header('neon-batch-isolation-level');
  const on = ['neon-batch-read-only', 'neon-batch-deferrable'].filter((name) => header(name) === 'true');
  return {
    ...(level === undefined ? {} : { 'neon-batch-isolation-level': level }),
    ...Object.fromEntries(on.map((name) => [name, 'true'])),
  };
};

export function readSqlRequest(request: ServiceRequest): SqlRequest {
  const header = (name: string) => request.headers[name] as string | undefined;
  const payload = parse(request.body);
  const arrayMode = header('neon-array-mode') === 'true';
  const isolation = header('neon-batch-isolation-level');
  if (isolation !== undefined && !ISOLATION.has(isolation))
    throw new BadRequestError('invalid isolation level');
  const batch = 'queries' in payload;
  const queries = batch ? payload.queries : [payload];
  if (!Array.isArray(queries)) throw new BadRequestError('queries must be an array');
  return {
    login: login(header('neon-connection-string')),
    connectionString: header('neon-connection-string') ?? '',
    statements: queries.map((q) => statement(q, arrayMode)),
    transaction: batch
      ? {
          isolation: isolation === undefined ? undefined : ISOLATION.get(isolation),
          readOnly: header('neon-batch-read-only') === 'true',
          deferrable: header('neon-batch-deferrable') === 'true',
        }
      : undefined,
    rawText: header('neon-raw-text-output') === 'true',
    echo: batch ? echoed(header) : {},
  };
}

const SURROGATE = /\\u[dD][89a-fA-F]/;

/** Half a character is not text: the proxy's JSON reader refuses it, where ours would accept it. */
function wholeText(_: string, value: unknown): unknown {
  if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) throw new SyntaxError();
  return value;
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    if (!isUtf8(body)) throw new SyntaxError();
    const text = body.toString('utf8');
    const value: unknown = JSON.parse(text, SURROGATE.test(text) ? wholeText : undefined);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Answered below.
  }
  throw new BadRequestError('could not parse the HTTP request body');
}

function login(connectionString: string | undefined): Login {
  if (!connectionString) throw new BadRequestError('missing header: Neon-Connection-String');
  try {
    return readLogin(connectionString);
  } catch {
    throw new BadRequestError('invalid connection string');
  }
}

function statement(query: unknown, arrayMode: boolean): Statement & { arrayMode: boolean } {
  const q = query as { query?: unknown; params?: unknown; arrayMode?: unknown } | null;
  if (typeof q?.query !== 'string') throw new BadRequestError('query must be a string');
  const params = q.params ?? [];
  if (!Array.isArray(params)) throw new BadRequestError('params must be an array');
  return {
    text: q.query,
    params: params.map(asText),
    arrayMode: typeof q.arrayMode === 'boolean' ? q.arrayMode : arrayMode,
  };
}

function asText(value: unknown): string | null {
  if (value === null || typeof value === 'string') return value;
  return Array.isArray(value) ? asArray(value) : JSON.stringify(value);
}

/** `{…}` with each element quoted as JSON quotes it, which PostgreSQL's array syntax understands. */
function asArray(values: readonly unknown[]): string {
  const elements = values.map((v) => {
    if (v === null) return 'NULL';
    if (Array.isArray(v)) return asArray(v);
    return JSON.stringify(typeof v === 'string' ? v : JSON.stringify(v));
  });
  return `{${elements.join(',')}}`;
}
