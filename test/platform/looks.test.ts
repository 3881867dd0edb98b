/** When a job asks next, as Redis holds it: by the real scripts over the real client, and by the same law in TypeScript. */
import { randomUUID } from 'node:crypto';
import { beforeEach, expect, inject, it } from 'vitest';
import { announceFiles } from '@/lib/files/announce';
import { announceWork, arrive, dueOf, EVERY_JOB, settleLook } from '@/lib/platform/looks';
import { connectRedis, type RedisClient } from '@/lib/platform/redis';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const at = (seconds: number) => new Date(NOW + seconds * 1000);
const HOUR = 3_600;
const SAFETY = 24 * HOUR;
const NOTE = '{"came":true}';
/** Two instances' clocks may differ by this. */
const SKEW = 60;

let redis: RedisClient;
let key: string;
beforeEach(() => {
  const { env } = inject('cloud');
  redis = connectRedis(env.UPSTASH_REDIS_REST_URL!, env.UPSTASH_REDIS_REST_TOKEN!, randomUUID());
  key = `${redis.prefix}looks`;
});

const raw = (script: string, ...args: string[]) => redis.eval(script, [key], args);
const set = (field: string, value: string) =>
  raw("return redis.call('hset', KEYS[1], ARGV[1], ARGV[2])", field, value);
const fields = async () =>
  (await arrive(redis, 'none', { now: at(0), basis: 'b', safetySeconds: SAFETY }))!.fields;
const come = (seconds: number, changes: { basis?: string; safetySeconds?: number; job?: string } = {}) =>
  arrive(redis, changes.job ?? 'job', {
    now: at(seconds),
    basis: changes.basis ?? 'b',
    safetySeconds: changes.safetySeconds ?? SAFETY,
    note: NOTE,
  });
const isIdle = async (...a: Parameters<typeof come>) => (await come(...a))!.idle;
const settle = (looked: number, until: number | null, changes: { basis?: string; job?: string } = {}) =>
  settleLook(redis, changes.job ?? 'job', {
    looked: at(looked),
    until: until === null ? null : at(until),
    basis: changes.basis ?? 'b',
  });

it('who comes before the next look is idle and noted; at that instant, and after, it looks', async () => {
  expect(await settle(0, HOUR)).toBe(true);
  expect(await isIdle(HOUR - 1)).toBe(true);
  expect((await fields()).get('came:job')).toBe(NOTE);
  expect(await isIdle(HOUR)).toBe(false);
  expect(await isIdle(HOUR + 1)).toBe(false);
});

it('nothing known is a look: no hash, another job, an earlier release or setting', async () => {
  expect(await isIdle(0)).toBe(false);
  await settle(0, HOUR);
  expect(await isIdle(1, { job: 'other' })).toBe(false);
  expect(await isIdle(1, { basis: 'c' })).toBe(false);
  expect(await isIdle(1)).toBe(true);
});

it('a call that may not go without asking is not noted, whatever is known', async () => {
  await settle(0, HOUR);
  const known = await arrive(redis, 'job', { now: at(1), basis: 'b', safetySeconds: SAFETY });
  expect(known!.idle).toBe(false);
  expect((await fields()).has('came:job')).toBe(false);
});

it('the safety look comes at its interval, whatever the law said; an interval of 0 is a look each time', async () => {
  await settle(0, 100 * HOUR);
  expect(await isIdle(SAFETY - 1)).toBe(true);
  expect(await isIdle(SAFETY)).toBe(false);
  expect(await isIdle(1, { safetySeconds: 0 })).toBe(false);
});

it('a look that said "each call" leaves nothing of an earlier one', async () => {
  await settle(0, HOUR);
  expect(await settle(1, null)).toBe(false);
  expect(await isIdle(2)).toBe(false);
});

it.each([
  ['next:job', ''],
  ['next:job', 'soon'],
  ['next:job', '12 34'],
  ['next:job', `${NOW} NaN b`],
  ['next:job', `${NOW} 9e99 b`],
  ['next:job', `${NOW} -1 b`],
  ['next:job', `${NOW}.5 ${NOW * 2} b`],
  ['next:job', ` ${NOW} ${NOW * 2} b`],
  ['next:job', `${NOW} ${NOW * 2} b more`],
  // From a clock that was ahead: nobody knows what it saw.
  ['next:job', `${NOW + 61_000} ${NOW * 2} b`],
  ['awake:job', ''],
  ['awake:job', 'until tomorrow'],
  ['awake:job', '9e99'],
  ['awake:*', '-5'],
])('what cannot be read is a look: %s = "%s"', async (field, value) => {
  await settle(0, HOUR);
  expect(await isIdle(0)).toBe(true);
  await set(field, value);
  expect(await isIdle(0)).toBe(false);
});

it('garbage, and a key that is no hash, last until the next look and no longer', async () => {
  await raw("return redis.call('rpush', KEYS[1], 'x')");
  expect(await isIdle(0)).toBe(false);
  await settle(0, HOUR);
  expect(await isIdle(1)).toBe(true);
  for (const field of ['next:job', 'awake:job', 'awake:*', 'since']) await set(field, 'garbage');
  await set('awake:job', String(NOW + 10 * HOUR * 1000));
  await settle(2, HOUR);
  expect(await isIdle(3)).toBe(true);
});

it('work announced before a look began is in it; announced later, or for every job, it is looked for', async () => {
  await settle(0, HOUR);
  expect(await announceWork(redis, ['job'], at(300))).toBe(true);
  expect(await isIdle(301)).toBe(false);
  // Its maker may still be at it: this look does not count.
  await settle(300 + SKEW, 2 * HOUR);
  expect(await isIdle(HOUR)).toBe(false);
  await settle(301 + SKEW, 2 * HOUR);
  expect(await isIdle(HOUR)).toBe(true);
  await announceWork(redis, [EVERY_JOB], at(HOUR));
  expect(await isIdle(HOUR + 1)).toBe(false);
});

it('of two announcements the later end counts', async () => {
  await announceWork(redis, ['job', 'other'], at(600));
  await announceWork(redis, ['job'], at(60));
  expect((await fields()).get('awake:job')).toBe(String(NOW + (600 + SKEW) * 1000));
  expect((await fields()).get('awake:other')).toBe(String(NOW + (600 + SKEW) * 1000));
});

it('of two looks that end together the one that began later counts', async () => {
  expect(await settle(10, HOUR)).toBe(true);
  // Known, although not by this one.
  expect(await settle(5, 50 * HOUR)).toBe(true);
  expect((await fields()).get('next:job')).toBe(`${NOW + 10_000} ${NOW + HOUR * 1000} b`);
  await settle(20, null);
  expect(await settle(15, HOUR)).toBe(false);
  expect(await isIdle(21)).toBe(false);
});

it('what is known says since when it is kept, so that its loss shows', async () => {
  expect((await come(5))!.since).toEqual(at(5));
  expect((await come(50))!.since).toEqual(at(5));
  await raw("return redis.call('del', KEYS[1])");
  expect((await come(60))!.since).toEqual(at(60));
  await set('since', String(NOW * 2));
  expect((await come(70))!.since).toEqual(at(70));
});

it('without Redis nothing is known, settled or announced, and nobody is stopped by it', async () => {
  const away: RedisClient = { ...redis, eval: () => Promise.reject(new Error('away')) };
  const nonsense: RedisClient = { ...redis, eval: async () => 'nonsense' };
  for (const broken of [away, nonsense]) {
    expect(
      await arrive(broken, 'job', { now: at(0), basis: 'b', safetySeconds: SAFETY, note: NOTE }),
    ).toBeNull();
    expect(await settleLook(broken, 'job', { looked: at(0), until: at(1), basis: 'b' })).toBe(false);
    expect(await announceWork(broken, ['job'], at(0))).toBe(false);
  }
});

it('without Redis no row that names files leaves: its file would wait unseen', async () => {
  const away: RedisClient = { ...redis, eval: () => Promise.reject(new Error('away')) };
  await expect(announceFiles(away, at(60))).rejects.toThrow(/no row that names files may leave/);
  await announceFiles(redis, at(60));
  expect((await fields()).get('awake:blob-outbox')).toBe(String(NOW + (60 + SKEW) * 1000));
});

/** A generator of its own, so that a failure can be repeated. */
function seeded(seed: number) {
  let state = seed;
  return (most: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state % most;
  };
}

it('the law in TypeScript is that of the script, for whatever the hash holds', async () => {
  const pick = seeded(20_260_301);
  const one = <T>(of: readonly T[]): T => of[pick(of.length)]!;
  const moments = [-100_000, -61, -60, -1, 0, 1, 59, 60, 61, 3_599, 3_600, 86_399, 86_400, 90_000].map((s) =>
    String(NOW + s * 1000),
  );
  const wordings = [...moments, '0', '', 'x', '1e5', '00', ' 1'];
  const seen = { idle: 0, look: 0 };
  for (let i = 0; i < 600; i += 1) {
    await raw("return redis.call('del', KEYS[1])");
    await set(
      'next:job',
      one([`${one(moments)} ${one(moments)} b`, `${one(wordings)} ${one(wordings)} ${one(['b', 'c'])}`]),
    );
    if (pick(3) === 0) await set('awake:job', one(wordings));
    if (pick(5) === 0) await set('awake:*', one(wordings));
    const now = new Date(Number(one(moments)));
    const known = (await arrive(redis, 'job', { now, basis: 'b', safetySeconds: SAFETY, note: NOTE }))!;
    const { due } = dueOf(known.fields, 'job', { now, basis: 'b', safetySeconds: SAFETY });
    expect(due > now, JSON.stringify([...known.fields, now])).toBe(known.idle);
    seen[known.idle ? 'idle' : 'look'] += 1;
  }
  expect(seen.idle).toBeGreaterThan(50);
  expect(seen.look).toBeGreaterThan(50);
});
