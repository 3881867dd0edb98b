/** What the failures of the driver mean, as the endpoint really answers them, and that none is asked again in vain. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NeonDbError } from '@neondatabase/serverless';
import { afterEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { connect, mapDatabaseError } from '@/lib/platform/database';
import { DAY, type Engine, engine, govern, left, NOW, runRequest, things } from '../support/engine';

let e: Engine | undefined;
let close: (() => void) | undefined;
afterEach(async () => {
  await e?.stop();
  close?.();
  e = undefined;
  close = undefined;
});

/** An endpoint that answers everything alike, and counts how often it was asked. */
async function answering(status: number, body: string, headers: Record<string, string> = {}) {
  let requests = 0;
  const server = createServer((incoming, response) => {
    requests += 1;
    incoming.resume().on('end', () => response.writeHead(status, headers).end(body));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  close = () => server.close();
  const { port } = server.address() as AddressInfo;
  const database = connect('postgresql://app:secret@db.example.com/lapse', `http://127.0.0.1:${port}/sql`);
  const ask = () => database.transaction([{ text: 'select 1', params: [] }], { timeoutMs: 5_000 });
  return { ask, requests: () => requests };
}
const withoutCode = (message: string) => JSON.stringify({ message, code: null, severity: null });

it('a redirect is not followed, because the password would be sent along', async () => {
  let reached = 0;
  const elsewhere = createServer((_, response) => {
    reached += 1;
    response.end('{}');
  });
  await new Promise<void>((done) => elsewhere.listen(0, '127.0.0.1', done));
  const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/sql`;
  const { ask } = await answering(307, '', { location });
  await expect(ask()).rejects.toMatchObject({ failure: 'unknown' });
  elsewhere.close();
  expect(reached).toBe(0);
});

describe('an answer without a code of PostgreSQL', () => {
  it.each([
    ["password authentication failed for user 'app'", 'fatal', 'set DATABASE_URL'],
    ['This IP address 192.0.2.7 is not allowed to connect to this endpoint.', 'fatal', 'allow it'],
    ['could not parse the HTTP request body: lone leading surrogate', 'fatal', 'the text that was sent'],
    ['Too many database connection attempts are currently ongoing.', 'transient', 'nothing ran'],
    ['connection closed', 'unknown', 'may have committed'],
    ['error communicating with the server: broken pipe', 'unknown', 'may have committed'],
  ])('that says "%s" is %s, with words that help', async (said, failure, words) => {
    const { ask } = await answering(400, withoutCode(said));
    const error = await ask().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ failure, sqlState: null, message: expect.stringContaining(words) });
  });

  it('never repeats what the proxy quotes from the request', async () => {
    const { ask } = await answering(400, withoutCode('invalid value: string "bob@example.com"'));
    const error = (await ask().catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).not.toContain('bob');
  });

  it('that is an HTTP 500 leaves open what was done: it may have come at connect, or at COMMIT', async () => {
    const { ask } = await answering(500, withoutCode('database "lapse" does not exist'));
    await expect(ask()).rejects.toMatchObject({
      failure: 'unknown',
      message: expect.stringMatching(/HTTP 500.*check that the database in DATABASE_URL exists/),
    });
  });

  it.each([413, 507])('that is an HTTP %i will never fit', async (status) => {
    const { ask } = await answering(status, '{}');
    await expect(ask()).rejects.toMatchObject({ failure: 'fatal' });
  });

  it('that is an HTTP 401 is the proxy’s, and says which token to set', async () => {
    const { ask } = await answering(401, '{}');
    await expect(ask()).rejects.toMatchObject({
      failure: 'fatal',
      message: expect.stringContaining('set NEON_HTTP_TOKEN'),
    });
  });

  it('that never came leaves open what was done', () => {
    const lost = new NeonDbError('Error connecting to database: TypeError: fetch failed');
    lost.sourceError = new TypeError('fetch failed');
    expect(mapDatabaseError(lost)).toMatchObject({ failure: 'unknown' });
  });
});

it('a run with a wrong password ends at its first request, and says what to change', async () => {
  e = await engine();
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY]);
  const url = new URL(e.db.env.DATABASE_URL!);
  url.password = 'rotated';
  const database = connect(url.href, e.db.env.NEON_HTTP_ENDPOINT);
  const run = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
  expect(run).toMatchObject({ outcome: 'errored', reason: 'database.fatal', requests: { postgres: 1 } });
  expect(run.message).toContain('set DATABASE_URL to the current connection string');
  expect(await left(e.db)).toBe(1);
});

it('a run on a database of an older version deletes nothing, and says what to run', async () => {
  e = await engine();
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY]);
  await e.db.sql('alter function retention.confirm_batch rename to confirm_batch_of_another_version');
  const run = await e.run(policy);
  expect(run).toMatchObject({ outcome: 'errored', reason: 'database.fatal', deleted: 0 });
  expect(run.message).toMatch(
    /confirm_batch.* does not exist.*not of this version of Lapse: npm run migrate/,
  );
  expect(await left(e.db)).toBe(1);
});

it('what is no answer of the database at all is told by its class, without its words', () => {
  const mapped = mapDatabaseError(new TypeError('row of Ann'));
  expect(mapped).toMatchObject({ failure: 'fatal', sqlState: null });
  expect(mapped.message).toBe('the database request could not be made: TypeError');
  expect(mapDatabaseError(mapped)).toBe(mapped);
});
