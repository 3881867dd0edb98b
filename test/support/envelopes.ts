/** An endpoint that takes Sentry's envelopes and keeps every byte, as text. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import * as Sentry from '@sentry/nextjs';
import { sentryOptions } from '@/lib/platform/sentry';

export interface Envelopes {
  /** Everything that came so far. */
  readonly text: string;
  readonly dsn: string;
  readonly url: string;
  forget(): void;
  stop(): Promise<void>;
}

export async function envelopes(): Promise<Envelopes> {
  let text = '';
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (d: Buffer) => parts.push(d));
    request.on('end', () => {
      const raw = Buffer.concat(parts);
      text += (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
      response.end('{}');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    get text() {
      return text;
    },
    dsn: `http://pub@127.0.0.1:${port}/42`,
    url: `http://127.0.0.1:${port}`,
    forget: () => {
      text = '';
    },
    stop: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

export interface SentryClient {
  stop(): Promise<void>;
}

/**
 * Sentry as production starts it, sending to these envelopes. Its `init` does nothing while a client of an earlier
 * test is there, closed or not: that one would swallow every event, so none may be left behind.
 */
export function sentryInto(sink: Envelopes): SentryClient {
  if (Sentry.getClient()) throw new Error('an earlier test left its Sentry client behind');
  Sentry.init(sentryOptions({ SENTRY_DSN: sink.dsn, VERCEL_ENV: 'production' }));
  return {
    stop: async () => {
      await Sentry.close(1_000);
      Sentry.getCurrentScope().setClient(undefined);
    },
  };
}
