import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { auditRoute } from '@/lib/http/audit-routes';
import { jobRoute } from '@/lib/http/job-route';
import type { JobResult } from '@/lib/platform/job';
import { inTurn } from '@/lib/platform/turn';
import { type Engine, engine } from '@/test/support/engine';
import { OPERATORS, TOKENS } from '@/test/support/operators';

const SECRET = 'a-secret-of-the-tests';
let e: Engine;
beforeEach(async () => {
  vi.stubEnv('CRON_SECRET', SECRET);
  e = await engine({ env: { LAPSE_OPERATORS: OPERATORS } });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await e.stop();
});

const done: JobResult = { outcome: 'succeeded', reason: null, message: 'done' };
const call = async (job: () => Promise<JobResult>) =>
  (await (
    await jobRoute('backlog', job, () => e.services).GET(
      new Request('https://lapse.test/api/cron/backlog', { headers: { authorization: `Bearer ${SECRET}` } }),
    )
  ).json()) as Record<string, unknown>;

it('a job that is already running is skipped, and runs again when it has ended', async () => {
  let inner: unknown;
  const outer = await call(async () => {
    inner = await call(async () => done);
    return done;
  });
  expect(inner).toMatchObject({ outcome: 'skipped', reason: 'locked' });
  expect(outer).toMatchObject({ outcome: 'succeeded' });
  expect(await call(async () => done)).toMatchObject({ outcome: 'succeeded' });
});

it('a job that fails releases its turn', async () => {
  await call(() => Promise.reject(new Error('broken')));
  expect(await call(async () => done)).toMatchObject({ outcome: 'succeeded' });
});

it('a job works also while Redis is away: what watches over Lapse must work just then', async () => {
  const away = () => Promise.reject(new Error('away'));
  e = {
    ...e,
    services: { ...e.services, redis: { ...e.services.redis, eval: away, get: away, mget: away } },
  };
  expect(await call(async () => done)).toMatchObject({ outcome: 'succeeded' });
});

it('a job releases only its own turn: one that ran past its time leaves the turn of the next alone', async () => {
  const { redis } = e.services;
  const key = [`${redis.prefix}turn:backlog`];
  await inTurn(redis, 'backlog', 1_000, () =>
    redis.eval("return redis.call('set', KEYS[1], 'of-the-next', 'px', 60000)", key, []),
  );
  expect(await redis.eval("return redis.call('get', KEYS[1])", key, [])).toBe('of-the-next');
});

it('a turn that was never released, has no end or is not a turn, blocks no job forever', async () => {
  const { redis } = e.services;
  for (const script of [
    "return redis.call('set', KEYS[1], 'x')",
    "return redis.call('set', KEYS[1], 'x', 'px', 99999999999)",
    "return redis.call('rpush', KEYS[1], 'x')",
  ]) {
    await redis.eval(script, [`${redis.prefix}turn:backlog`], []);
    expect(await inTurn(redis, 'backlog', 1_000, async () => 'worked')).toMatchObject({ mine: true });
  }
});

it.each(['lineage?table=public.things&key=x', 'verify'])(
  'one at a time: a second %s is answered 429',
  async (query) => {
    const [view = ''] = query.split('?');
    const ask = async () => {
      const request = new Request(`https://lapse.test/api/audit/${query}`, {
        headers: { authorization: `Bearer ${TOKENS.alice}` },
      });
      return (await auditRoute(view, () => e.services)(request)).status;
    };
    const { prefix } = e.services.redis;
    await e.services.redis.eval(
      "return redis.call('set', KEYS[1], 'x', 'px', 60000)",
      [`${prefix}turn:audit-${view}`],
      [],
    );
    expect(await ask()).toBe(429);
    await e.services.redis.eval("return redis.call('del', KEYS[1])", [`${prefix}turn:audit-${view}`], []);
    expect(await ask()).not.toBe(429);
  },
);

it.each(['limit', 'batchSize'])('%s is a parameter of policies, and refused for a job', async (field) => {
  const request = new Request(`https://lapse.test/api/cron/backlog?${field}=3`, {
    headers: { authorization: `Bearer ${SECRET}` },
  });
  const response = await jobRoute(
    'backlog',
    async () => done,
    () => e.services,
  ).GET(request);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { code: 'unknown_parameter', field } });
});

it('a job that stands in no schedule is a mistake of the code, named at once', () => {
  expect(() =>
    jobRoute(
      'no-such-job',
      async () => done,
      () => e.services,
    ),
  ).toThrow(/no-such-job/);
});
