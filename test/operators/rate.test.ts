/** One operator's requests a minute: the counter always ends, whatever happened to it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { limitRate } from '@/lib/operators/rate';
import { type Engine, engine } from '@/test/support/engine';

let e: Engine;
beforeAll(async () => {
  e = await engine();
});
afterAll(() => e.stop());

const counter = () => {
  const who = randomUUID();
  const key = `${e.services.redis.prefix}control:${who}`;
  const command = (...args: string[]) =>
    e.services.redis.eval('return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))', [key], args);
  return { ask: (most: number) => limitRate(e.services.redis, who, most), command };
};
const tooMany = expect.objectContaining({ status: 429, code: 'too_many' });

it('the minute of an operator begins with the first request and is not prolonged by the others', async () => {
  const { ask, command } = counter();
  await ask(3);
  const left = Number(await command('pttl'));
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(60_000);
  await command('pexpire', '30000');
  await ask(3);
  expect(Number(await command('pttl'))).toBeLessThanOrEqual(30_000);
});

it('as many requests as the limit are let through, and not one more', async () => {
  const { ask } = counter();
  await ask(2);
  await ask(2);
  await expect(ask(2)).rejects.toEqual(tooMany);
});

it('a counter that lost its expiry gets one with the next request', async () => {
  const { ask, command } = counter();
  await command('set', '500');
  await expect(ask(3)).rejects.toEqual(tooMany);
  expect(Number(await command('pttl'))).toBeGreaterThan(0);
});

it('a value that is not a counter starts over', async () => {
  const { ask, command } = counter();
  await command('rpush', 'x');
  await ask(1);
  await expect(ask(1)).rejects.toEqual(tooMany);
});
