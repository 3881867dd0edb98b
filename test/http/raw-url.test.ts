import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { readRunParameters } from '@/lib/http/parameters';
import { noteRequest, urlOf, watchRequests } from '@/lib/http/raw-url';

/** As the server notes a request and as Next hands it on, without the parameters it takes for its own. */
const arrives = (sent: string, handedOn: string, headers: Record<string, string> = {}): URL => {
  const message = { url: sent, headers, method: 'GET' };
  noteRequest(message);
  return urlOf(new Request(`https://lapse.test${handedOn}`, { headers: message.headers }));
};

describe('a parameter that the framework takes for its own', () => {
  it.each([
    ['?nxtPdryRun=1', ''],
    ['?nxtIlimit=5', ''],
    ['?__proto__=1', ''],
    ['?limit=5&nxtPdryRun=1', '?limit=5'],
  ])('is seen and refused: %s', (sent, handedOn) => {
    const url = arrives(`/api/cron/things${sent}`, `/api/cron/things${handedOn}`);
    expect(() => readRunParameters(url)).toThrow(/is not a parameter/);
  });

  it('leaves the others as they are', () => {
    expect(readRunParameters(arrives('/x?limit=5&dryRun=1', '/x?limit=5&dryRun=1'))).toEqual({
      limit: 5,
      dryRun: true,
    });
    expect(readRunParameters(arrives('/x', '/x'))).toEqual({ dryRun: false });
  });

  it('cannot be hidden by a header of the caller', () => {
    const url = arrives('/x?nxtPdryRun=1', '/x', { 'x-lapse-raw-query': '' });
    expect(() => readRunParameters(url)).toThrow(/nxtPdryRun/);
  });
});

it('TRACE, of which no request can be made, becomes a method that is refused', () => {
  const message = { url: '/', headers: {}, method: 'TRACE' };
  noteRequest(message);
  expect(() => new Request('https://lapse.test/', { method: message.method })).not.toThrow();
});

it('every request of a server is noted before anything else looks at it', async () => {
  watchRequests();
  const server = createServer((request, response) =>
    response.end(String(request.headers['x-lapse-raw-query'])),
  );
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/x?nxtPdryRun=1`, {
    headers: { 'x-lapse-raw-query': 'of the caller' },
  });
  expect(await answer.text()).toBe('?nxtPdryRun=1');
  await new Promise<void>((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
});
