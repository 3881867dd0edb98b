/** The built app against an endpoint that takes Sentry's envelopes: what leaves the house, read byte by byte. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type App, build, freePort, startApp } from '@/lib/dev/demo/app';
import '@/lib/example/policies'; // its routes are called: this test goes with it
import { type TestDatabase, testDatabase } from '../support/database';
import { type Envelopes, envelopes } from '../support/envelopes';

const SECRET = randomBytes(24).toString('hex');
const PERSON = 'somebody@example.com';
let sink: Envelopes;
let db: TestDatabase;
let app: App;

beforeAll(async () => {
  [sink, db] = await Promise.all([envelopes(), testDatabase(), build(() => undefined)]);
  await db.sql(
    `insert into quiz_responses (quiz, completed_at) select $1, now() - interval '40 days' from generate_series(1, 30)`,
    [PERSON],
  );
  app = await startApp(
    {
      ...db.env,
      CRON_SECRET: SECRET,
      VERCEL_ENV: 'production',
      SENTRY_DSN: sink.dsn,
      LAPSE_MASS_DELETION_GUARD: 'off',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
      LAPSE_NAMESPACE: `e2e-${randomUUID()}`,
    },
    await freePort(),
    () => undefined,
  );
}, 600_000);
afterAll(async () => {
  await app?.stop();
  await sink?.stop();
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

  const statuses = [...sink.text.matchAll(/"monitor_slug":"([\w-]+)","status":"(\w+)"/g)].map(
    (m) => `${m[1]} ${m[2]}`,
  );
  expect(statuses).toContain('quiz-responses in_progress');
  expect(statuses).toContain('quiz-responses ok');
  expect(statuses).toContain('webhook-events error');
  expect(sink.text).toContain('lapse.batch');
  expect(sink.text).toContain('Lapse:preflight');
  expect(sink.text).not.toContain(PERSON);
  expect(sink.text).not.toContain('somebody%40example');
  expect(sink.text).not.toContain(SECRET);
  expect(sink.text).not.toContain('email=');
});
