/**
 * Neon's `POST /sql` in front of one PostgreSQL of your own, as a service beside it: TLS or loopback only, a token before
 * PostgreSQL is asked for anything, one database, a bound on its sessions, a stop that lets requests finish. What a request
 * may do is PostgreSQL's to say: each brings its own login. The protocol is the local cloud's (../local-cloud/sql).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import {
  createServer as createPlain,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { type Answer, readBody, send } from '../local-cloud/server';
import { sqlEndpoint } from '../local-cloud/sql/endpoint';
import { json, sqlError } from '../local-cloud/sql/errors';
import { readLogin, Sessions, type Upstream } from '../local-cloud/sql/sessions';

export interface SqlProxyOptions {
  readonly upstream: Upstream;
  /** The one database that is served. */
  readonly database: string;
  readonly token: string;
  readonly host: string;
  readonly port: number;
  /** PEM; without it the connection is plain, which only loopback may be. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  /** Of each login. */
  readonly sessions: number;
  readonly log: Logger;
}

export interface SqlProxy {
  readonly url: string;
  /** Takes no new request, waits for those under way, then ends every session. */
  stop(): Promise<void>;
}

/** A request that finds every session busy waits this long: less than the least of Lapse's own time limits. */
const WAIT_MS = 2_000;
/** Kept for the next batch of a run, or the next cron of a quiet hour. */
const IDLE_MS = 60_000;
/** Ten megabytes over a slow line; a slower client only holds a socket. */
const REQUEST_MS = 30_000;
/** Longer than a load balancer keeps an idle connection, so that it is the one to close. */
const KEEP_ALIVE_MS = 65_000;
/** A verification's statement may take as long; what is still under way then is cut off. */
const STOP_MS = 30_000;

export async function startSqlProxy(options: SqlProxyOptions): Promise<SqlProxy> {
  const { upstream, tls, host, port } = options;
  const sessions = new Sessions(upstream, { most: options.sessions, waitMs: WAIT_MS, idleMs: IDLE_MS });
  const answer = answering(options, sessions, () => !server.listening);
  const respond = (request: IncomingMessage, response: ServerResponse) => {
    void answer(request, response).catch(() => response.destroy());
  };
  const server = tls ? createTls({ ...tls, minVersion: 'TLSv1.2' }, respond) : createPlain(respond);
  server.requestTimeout = REQUEST_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(port, host, done);
  });
  const at = (server.address() as AddressInfo).port;
  return {
    url: `${tls ? 'https' : 'http'}://${host}:${at}/sql`,
    stop: async () => {
      await closed(server);
      await sessions.close();
    },
  };
}

function closed(server: Server): Promise<void> {
  return new Promise((done) => {
    const cut = setTimeout(() => server.closeAllConnections(), STOP_MS);
    server.close(() => {
      clearTimeout(cut);
      done();
    });
    server.closeIdleConnections();
  });
}

function answering({ database, token, log }: SqlProxyOptions, sessions: Sessions, isStopping: () => boolean) {
  const endpoint = sqlEndpoint(sessions);
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://proxy');
    const refuse = (status: number, message: string, answer: Answer = json(status, { message })) => {
      log.warn({ event: 'sql_proxy.refused', status }, message);
      incoming.resume();
      // What a stranger has begun to send is not waited for.
      response.setHeader('connection', 'close');
      return send(response, answer);
    };
    if (pathname === '/health') return send(response, json(200, { status: 'ok' }));
    if (pathname !== '/sql') return refuse(404, 'only POST /sql is served here');
    if (!timingSafeEqual(digest(incoming.headers.authorization ?? ''), expected)) {
      return refuse(401, 'send Authorization: Bearer with the token of this proxy');
    }
    const body = await readBody(incoming, endpoint.maxRequestBytes);
    if (body === undefined) return send(response, endpoint.tooLarge());
    const foreign = otherDatabase(incoming.headers['neon-connection-string'], database);
    if (foreign)
      return refuse(400, foreign, sqlError({ message: foreign, code: '28000', severity: 'FATAL' }));
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    const { headers, method = 'GET' } = incoming;
    const answer = await endpoint.handle({
      ...{ method, path: '/', query: searchParams, headers, body, gone: gone.signal },
    });
    if (answer.status >= 500)
      log.error({ event: 'sql_proxy.failed', status: answer.status }, 'a request failed');
    // A connection that is kept would keep the stop waiting.
    if (isStopping()) response.setHeader('connection', 'close');
    return send(response, answer);
  };
}

/** What is wrong with the database a request names; null when it is the one, or cannot be read: the endpoint says so. */
function otherDatabase(given: string | string[] | undefined, database: string): string | null {
  try {
    return readLogin(String(given)).database === database
      ? null
      : 'this proxy serves one database, and not that one';
  } catch {
    return null;
  }
}
