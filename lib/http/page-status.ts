/**
 * The status of a page that says in its own words what it does not show. Next takes a status from nothing but what a page throws, and
 * leaves the body of that answer to a script (github.com/vercel/next.js/issues/62228). The event of Node's server has the answer before
 * anything reads the request, and a header that no caller can choose leads to it from the page.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

const HEADER = 'x-lapse-answer';

/** Shared by every copy of this module: Next bundles what runs at the start apart from the pages. */
const ANSWERS: unique symbol = Symbol.for('lapse.answers');
const shared = globalThis as { [ANSWERS]?: Map<string, ServerResponse> };

/** Before anything reads the request. Always written, so that a caller's own header of that name never counts. */
export function noteAnswer(message: Pick<IncomingMessage, 'headers'>, answer: ServerResponse): void {
  shared[ANSWERS] ??= new Map();
  const answers = shared[ANSWERS];
  const key = randomUUID();
  message.headers[HEADER] = key;
  answers.set(key, answer);
  answer.once('close', () => answers.delete(key));
}

/** Of the request with these headers. False where it cannot be set: nothing noted the answer, or it has begun. */
export function setStatus(headers: Pick<Headers, 'get'>, status: number): boolean {
  const answer = shared[ANSWERS]?.get(headers.get(HEADER) ?? '');
  if (answer === undefined || answer.headersSent) return false;
  answer.statusCode = status;
  return true;
}
