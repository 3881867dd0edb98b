/**
 * One HTTP port for the three services, each below a path of its own. A service is a function from a request
 * to an answer and never sees a socket, so a lost answer (faults.ts) is simply an answer not sent.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultInjector, Service } from './faults';

export interface ServiceRequest {
  readonly method: string;
  /** Path below the service's address, `/` at least, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** Aborts when the client goes away before it has its answer. */
  readonly gone: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | Readable;
}

export interface ServiceHandler {
  readonly service: Service;
  /** The path prefix it is served below, e.g. `/redis`. */
  readonly prefix: string;
  readonly maxRequestBytes: number;
  handle(request: ServiceRequest): Promise<Answer>;
  tooLarge(): Answer;
  /** An error in the service's own shape, for faults and for unforeseen failures. */
  refuse(fault: Extract<Fault, { kind: 'refuse' }>): Answer;
}

/** What the local cloud itself answers below `/local-cloud`, which no client asks for. */
export type Control = (method: string, url: URL) => Promise<unknown>;

export async function serve(
  handlers: readonly ServiceHandler[],
  faults: FaultInjector,
  port: number,
  control: Control,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/local-cloud')) {
      void control(request.method ?? 'GET', new URL(request.url, 'http://local')).then((answer) =>
        response.end(JSON.stringify(answer)),
      );
      return;
    }
    void respond(handlers, faults, request, response).catch(() => response.destroy());
  });
  // A client may keep its connection as long as it likes: closing it under a request about to be sent
  // would be a fault that no test asked for.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(port, '127.0.0.1', done);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function respond(
  handlers: readonly ServiceHandler[],
  faults: FaultInjector,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(incoming.url ?? '/', 'http://local');
  const handler = handlers.find((h) => url.pathname === h.prefix || url.pathname.startsWith(`${h.prefix}/`));
  if (!handler) {
    incoming.resume();
    return send(response, { status: 404, body: 'not found' });
  }
  const body = await readBody(incoming, handler.maxRequestBytes);
  if (body === undefined) return send(response, handler.tooLarge());

  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const path = url.pathname.slice(handler.prefix.length) || '/';
  const fault = faults.next({
    service: handler.service,
    method: incoming.method ?? 'GET',
    path: path + url.search,
    body: faults.active ? parsed(body) : undefined,
  });
  if (fault?.kind === 'drop-before') return void response.destroy();
  if (fault?.kind === 'refuse') return send(response, handler.refuse(fault));
  if (fault?.kind === 'delay') await sleep(fault.ms);
  const answer = await answerOf(handler, {
    method: incoming.method ?? 'GET',
    path,
    query: url.searchParams,
    headers: incoming.headers,
    body,
    gone: gone.signal,
  });
  if (fault?.kind === 'drop-after') return void response.destroy();
  await send(response, answer);
}

async function answerOf(handler: ServiceHandler, request: ServiceRequest): Promise<Answer> {
  try {
    return await handler.handle(request);
  } catch (error) {
    const message = `local cloud: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    return handler.refuse({ kind: 'refuse', status: 500, code: 'internal_server_error', message });
  }
}

/**
 * Undefined when it is too large. The rest is read and thrown away: an unread body would reset the client's
 * connection, and the next request on it would fail instead of this one.
 */
export async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
    else chunks.length = 0;
  }
  return size > maxBytes ? undefined : Buffer.concat(chunks);
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return body;
  }
}

export async function send(response: ServerResponse, answer: Answer): Promise<void> {
  if (response.destroyed) return;
  const { body = '' } = answer;
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    response.writeHead(answer.status, {
      ...(answer.status === 304 ? {} : { 'content-length': Buffer.byteLength(body) }),
      ...answer.headers,
    });
    response.end(body);
    return;
  }
  response.writeHead(answer.status, answer.headers);
  await pipeline(body, response);
}
