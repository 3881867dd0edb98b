/** Answers: JSON, never cached. 5xx for a run that errored, so that the platform's log shows it as an error. */

import type { RunResult } from '../engine/run/result';
import { LapseError, LoginError, RequestError } from '../platform/errors';

const headers = (correlationId: string) => ({
  'cache-control': 'no-store',
  'x-correlation-id': correlationId,
});

export const answerJson = (body: unknown, correlationId: string, status = 200): Response =>
  Response.json(body, { status, headers: headers(correlationId) });

/** A file to save, never cached. */
export const answerCsv = (text: string, filename: string): Response =>
  new Response(text, {
    headers: {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': `attachment; filename="${filename}"`,
      'cache-control': 'no-store',
    },
  });

/** 200 for succeeded, interrupted and skipped: none of them is an error. */
export const answerRun = (result: RunResult): Response =>
  answerJson(result, result.correlationId, result.outcome === 'errored' ? 500 : 200);

/** A refused request learns why and which field; any other failure is only reported as such, with details in the log. */
export function answerError(error: unknown, correlationId: string): Response {
  if (error instanceof RequestError) {
    const { code, message, field } = error;
    const response = answerJson(
      { error: { code, message, ...(field ? { field } : {}) } },
      correlationId,
      error.status,
    );
    if (error.status === 401) response.headers.set('www-authenticate', 'Bearer');
    return response;
  }
  const code = error instanceof LapseError ? error.code : 'internal';
  const message =
    code === 'settings'
      ? 'a setting is missing or wrong; the log of this deployment names it'
      : error instanceof LoginError
        ? 'a login of the database has too many rights or too few; the log under the correlation id says how to fix it'
        : 'something went wrong; search the log for the correlation id';
  return answerJson({ error: { code, message, correlationId } }, correlationId, 500);
}
