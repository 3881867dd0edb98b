/** An endpoint that takes Sentry's envelopes and keeps every byte, as text. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

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
