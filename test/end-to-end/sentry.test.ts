/** The built app against an endpoint that takes Sentry's envelopes: what leaves the house, read byte by byte. */
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type App, build, freePort, startApp } from '@/lib/demo/app';
import { type TestDatabase, testDatabase } from '../support/database';

const SECRET = randomBytes(24).toString('hex');
const PERSON = 'somebody@example.com';
let envelopes = '';
const sink = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (d: Buffer) => parts.push(d));
  request.on('end', () => {
    const raw = Buffer.concat(parts);
    envelopes += (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
    response.end('{}');
  });
});
let db: TestDatabase;
let app: App;

beforeAll(async () => {
  await new Promise<void>((done) => sink.listen(0, '127.0.0.1', done));
  [db] = await Promise.all([testDatabase(), build(() => undefined)]);
  await db.sql(
    `insert into quiz_responses (quiz, completed_at) select $1, now() - interval '40 days' from generate_series(1, 30)`,
    [PERSON],
  );
  app = await startApp(
    {
      ...db.env,
      CRON_SECRET: SECRET,
      VERCEL_ENV: 'production',
      SENTRY_DSN: `http://pub@127.0.0.1:${(sink.address() as AddressInfo).port}/42`,
      LAPSE_MASS_DELETION_GUARD: 'off',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
      LAPSE_NAMESPACE: `e2e-${randomUUID()}`,
    },
    await freePort(),
    () => undefined,
  );
}, 300_000);
afterAll(async () => {
  await app?.stop();
  sink.closeAllConnections();
  sink.close();
  await db?.stop();
});

it('a run checks in, with a span a batch; a failing one alerts; no person, secret or query leaves', async () => {
  expect(await app.call('quiz-responses', '0 2 * * *')).toMatchObject({ outcome: 'succeeded', deleted: 30 });
  const personal = {
    authorization: `Bearer ${SECRET}`,
    'user-agent': `agent of ${PERSON}`,
    cookie: `who=${PERSON}`,
  };
  const asked = await fetch(`${app.url}/api/cron/quiz-responses?email=${PERSON}`, { headers: personal });
  expect(asked.status).toBe(400);

  // A row that raises, with its content in the message, for as long as it is asked.
  await db.sql(`insert into magic_links (token_hash, issued_at) values ($1, now() - interval '2 days')`, [
    PERSON,
  ]);
  await db.sql(`create function boom() returns trigger language plpgsql as $$
    begin raise exception 'row of %', old.token_hash; end $$`);
  await db.sql('create trigger boom before delete on magic_links for each row execute function boom()');
  await app.call('magic-links', '5 * * * *');
  await db.sql('alter table webhook_events rename to webhook_events_gone');
  expect(await app.call('webhook-events', '15 2 * * *')).toMatchObject({ outcome: 'errored' });
  await app.stop();

  const statuses = [...envelopes.matchAll(/"monitor_slug":"([\w-]+)","status":"(\w+)"/g)].map(
    (m) => `${m[1]} ${m[2]}`,
  );
  expect(statuses).toContain('quiz-responses in_progress');
  expect(statuses).toContain('quiz-responses ok');
  expect(statuses).toContain('webhook-events error');
  expect(envelopes).toContain('lapse.batch');
  expect(envelopes).toContain('Lapse:preflight');
  expect(envelopes).not.toContain(PERSON);
  expect(envelopes).not.toContain('somebody%40example');
  expect(envelopes).not.toContain(SECRET);
  expect(envelopes).not.toContain('email=');
}, 60_000);
