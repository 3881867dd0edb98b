/** Errors as Neon's endpoint answers them: only HTTP 400 carries PostgreSQL's fields to the client. */
import type { Answer } from '../server';

const FIELDS = [
  'code',
  'detail',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'severity',
  'where',
  'table',
  'column',
  'schema',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine',
] as const;

/** Every field is always there; null when PostgreSQL sent none. */
export function sqlError(error: { message: string } & Partial<Record<string, unknown>>): Answer {
  const body: Record<string, unknown> = { message: error.message };
  for (const field of FIELDS) body[field] = error[field] ?? null;
  return json(400, body);
}

/** A request that never reached PostgreSQL: a bad header or body. */
export function badRequest(message: string): Answer {
  return sqlError({ message });
}

/** The server could not be reached or the session broke: no fields, so the client cannot know what happened. */
export function unreachable(message: string): Answer {
  return json(500, { message });
}

/**
 * Refused at connect, before the first statement, in the proxy's own words: the proxy checks user and password itself and
 * answers 400 without a code; what PostgreSQL itself refuses is a 500, which the client shows without any field.
 */
export function refusedAtConnect(error: { code: string; message: string }, user: string): Answer {
  return error.code === '28P01' || error.code === '28000'
    ? badRequest(`password authentication failed for user '${user}'`)
    : unreachable(error.message);
}

export function tooLarge(status: 413 | 507, what: 'request' | 'response', maxBytes: number): Answer {
  return json(status, { message: `${what} is too large (max is ${maxBytes} bytes)` });
}

/** An error PostgreSQL itself reported, whatever library version carried it. */
export function isDatabaseError(error: unknown): error is Error & { code: string; severity: string } {
  const e = error as { code?: unknown; severity?: unknown };
  return error instanceof Error && typeof e.code === 'string' && typeof e.severity === 'string';
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', 'access-control-allow-origin': '*', ...headers },
    body: JSON.stringify(value),
  };
}
