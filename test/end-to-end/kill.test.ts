import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type App, build, freePort, startApp } from '@/lib/dev/demo/app';
import '@/lib/example/policies'; // its routes are called: this test goes with it
import { createServices } from '@/lib/services';
import { type TestDatabase, testDatabase } from '../support/database';
import { DAY, receipted } from '../support/engine';

/** A thousand batches of ten: whoever is killed in the middle has most of its way before it, also where the look at it comes late. */
const ROWS = 10_000;
let db: TestDatabase;
let env: Record<string, string>;
let app: App | undefined;

beforeAll(async () => {
  [db] = await Promise.all([testDatabase(), build(() => undefined)]);
  env = {
    ...db.env,
    CRON_SECRET: randomBytes(24).toString('hex'),
    VERCEL_ENV: 'production',
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_PROGRESSIVE_ROLLOUT: 'off',
    LAPSE_NAMESPACE: `kill-${randomUUID()}`,
  };
  await db.sql(
    `insert into quiz_responses (quiz, completed_at) select 'q', now() - make_interval(secs => ${40 * DAY} + i) from generate_series(1, ${ROWS}) i`,
  );
  await db.sql(`insert into quiz_responses (quiz, completed_at) values ('q', now()), ('q', null)`);
}, 600_000);
afterAll(async () => {
  await app?.stop();
  await db.stop();
});

it('the server killed in the middle, twice: the end is that of an undisturbed run', async () => {
  const { redis } = createServices(env);
  const receipts = async () =>
    Number((await db.sql('select count(*)::int as n from retention.receipt'))[0]?.n);
  // Soon after its first batch, and when many have gone.
  for (const batches of [3, 40]) {
    app = await startApp(env, await freePort(), () => undefined);
    const before = await receipts();
    // Small batches, so that there is a middle to be killed in.
    let hasEnded = false;
    const call = app
      .call('quiz-responses', '0 2 * * *', { batchSize: '10' })
      .catch(() => null)
      .finally(() => {
        hasEnded = true;
      });
    while ((await receipts()) < before + batches) {
      if (hasEnded) throw new Error('the run ended before it could be killed');
      await new Promise((done) => setTimeout(done, 2));
    }
    await app.stop(true);
    expect(await call).toBeNull();
    // A dead run's lease ends by itself after half a minute; the test does not wait for that.
    await redis.eval("return redis.call('del', KEYS[1])", [`${redis.prefix}quiz-responses:lease`], []);
  }
  app = await startApp(env, await freePort(), () => undefined);
  expect(await app.call('quiz-responses', '30 2 * * *')).toMatchObject({ outcome: 'succeeded' });
  const named = await receipted(db);
  expect(named.size).toBe(ROWS);
  expect([...named.values()].every((n) => n === 1)).toBe(true);
  expect(await db.sql('select count(*)::int as n from quiz_responses')).toEqual([{ n: 2 }]);
  const runs = await db.sql(
    'select outcome, reason, sum(deleted)::int as n from retention.run group by 1, 2 order by 1, 2',
  );
  expect(runs.map((r) => `${r.outcome} ${r.reason}`)).toEqual(['interrupted lost', 'succeeded null']);
  expect(runs.reduce((n, r) => n + Number(r.n), 0)).toBe(ROWS);
}, 120_000);
