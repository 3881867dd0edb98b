/** Between the app and Neon's HTTP endpoint: hands every request on as it is, and keeps what was asked, to count it and to explain it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

const One = z.object({ query: z.string(), params: z.array(z.unknown()).default([]) });
const Body = z.union([z.object({ queries: z.array(One) }), One]);

/** The statements of one request, in their order. */
export type Recorded = readonly z.infer<typeof One>[];

export interface Recorder {
  readonly url: string;
  /** What was asked since the last call. */
  take(): Recorded[];
  stop(): Promise<void>;
}

export async function recorder(target: string): Promise<Recorder> {
  let asked: Recorded[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const parsed = Body.safeParse(JSON.parse(body.toString('utf8')));
    if (parsed.success) asked.push('queries' in parsed.data ? parsed.data.queries : [parsed.data]);
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(
        ([name]) => !['host', 'connection', 'content-length'].includes(name),
      ),
    ) as Record<string, string>;
    const answer = await fetch(target, { method: 'POST', headers, body });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sql`,
    take: () => {
      const all = asked;
      asked = [];
      return all;
    },
    stop: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}
