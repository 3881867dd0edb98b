/**
 * The address as it was sent. Next takes parameters out of it that look like its own (`nxtP…`, `nxtI…`, `__proto__`),
 * so that a misspelled dry run would be a real one; the header written by `watchRequests` still has them all.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { noteAnswer } from './page-status';

const RAW_QUERY = 'x-lapse-raw-query';

/** The URL of a request with each parameter that was sent. */
export function urlOf(request: Request): URL {
  const url = new URL(request.url);
  const raw = request.headers.get(RAW_QUERY);
  if (raw !== null) url.search = raw;
  return url;
}

/** Runs before anything reads the request. Always written, so that a caller's own header of that name never counts. */
export function noteRequest(message: Pick<IncomingMessage, 'url' | 'headers' | 'method'>): void {
  const at = message.url?.indexOf('?') ?? -1;
  message.headers[RAW_QUERY] = at < 0 ? '' : message.url!.slice(at);
  // A web Request cannot represent TRACE: Next would log a stack for each. Next itself answers unknown methods.
  if (message.method === 'TRACE') message.method = 'REFUSED';
}

/** Called once per instance, at its start. */
export function watchRequests(): void {
  subscribe('http.server.request.start', (event) => {
    const { request, response } = event as { request: IncomingMessage; response: ServerResponse };
    noteRequest(request);
    noteAnswer(request, response);
  });
}
