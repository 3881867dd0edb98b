/** A run that has lost its lease stops at its next checkpoint, and leaves alone what is another's. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { acquire, type Cursor, release, save } from '@/lib/engine/run/checkpoint';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import {
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  protect,
  runRequest,
  things,
} from '../../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const cursor = (): Cursor => ({
  pass: randomUUID(),
  asOf: NOW.toISOString(),
  version: 'v',
  leg: 0,
  position: null,
  runId: randomUUID(),
  processed: 0,
  total: null,
  updatedAt: NOW.toISOString(),
  kept: {},
});

it('the lease of another is neither renewed nor given back, and its cursor stays', async () => {
  const { redis } = e.services;
  const [mine, other] = [randomUUID(), randomUUID()];
  expect(await acquire(redis, 'things', other)).toMatchObject({ held: true });
  const theirs = { ...cursor(), runId: other };
  expect(await save(redis, 'things', other, theirs)).toBe(true);
  expect(await acquire(redis, 'things', mine)).toMatchObject({ held: false });
  expect(await save(redis, 'things', mine, cursor())).toBe(false);
  expect(await release(redis, 'things', mine, true)).toBe(false);
  expect(await acquire(redis, 'things', other)).toEqual({ held: true, cursor: theirs });
});

it('a run whose lease is taken stops at its next checkpoint, and the other keeps it', async () => {
  const policy = await govern(e.db);
  await protect(e.db, policy);
  await things(
    e.db,
    Array.from({ length: 30 }, (_, i) => (40 + i) * DAY),
  );
  const { redis } = e.services;
  const key = `${redis.prefix}things:lease`;
  const other = randomUUID();
  let batches = 0;
  const database: Database = {
    transaction: async (statements, options) => {
      const isBatch = statements.some((s) => s.text.includes('confirm_batch'));
      const rows = await e.services.database.transaction(statements, options);
      if (isBatch && ++batches === 2) {
        await redis.eval(`return redis.call('set', KEYS[1], ARGV[1], 'px', 60000)`, [key], [other]);
      }
      return rows;
    },
  };
  const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 5 }));
  expect(result).toMatchObject({ outcome: 'interrupted', reason: 'lease' });
  expect(batches).toBeLessThan(6);
  expect(await redis.eval(`return redis.call('get', KEYS[1])`, [key], [])).toBe(other);
  await release(redis, 'things', other, false);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded' });
  expect(await left(e.db)).toBe(0);
});

it('a run by blocks whose lease is taken stops at its next checkpoint', async () => {
  const policy = await govern(e.db);
  // Fifteen rows a block: about as many batches as blocks are a first batch's.
  await e.db.sql('alter table things set (fillfactor = 10)');
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - interval '40 days' from generate_series(1, 60000)`,
    [NOW.toISOString()],
  );
  await e.db.sql('vacuum analyze things');
  const { redis } = e.services;
  const other = randomUUID();
  let batches = 0;
  const database: Database = {
    transaction: async (statements, options) => {
      // As where the count takes too long: then few rows go by blocks, too.
      if (statements.some((s) => s.text.includes('lapse.due'))) {
        throw new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout (test)');
      }
      if (statements.some((s) => s.text.includes('confirm_batch')) && ++batches === 1) {
        await redis.eval(
          `return redis.call('set', KEYS[1], ARGV[1], 'px', 60000)`,
          [`${redis.prefix}things:lease`],
          [other],
        );
      }
      return e.services.database.transaction(statements, options);
    },
  };
  const one = { ...e.services.settings, lanes: 1 };
  const result = await runPolicy({ ...e.services, settings: one, database }, policy, runRequest(NOW));
  expect(result).toMatchObject({ outcome: 'interrupted', reason: 'lease', path: 'heap' });
  // The checkpoint of the first travels while the second works.
  expect(batches).toBe(2);
});

it('a table that hides rows from the run after its preflight is never called drained', async () => {
  const policy = await govern(e.db);
  await protect(e.db, policy);
  await things(e.db, [40 * DAY, 41 * DAY]);
  let hidden = false;
  const database: Database = {
    transaction: async (statements, options) => {
      if (!hidden && statements.some((s) => s.text.includes('confirm_batch'))) {
        hidden = true;
        await e.db.sql('alter table things enable row level security');
      }
      return e.services.database.transaction(statements, options);
    },
  };
  const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
  expect(result).toMatchObject({
    outcome: 'errored',
    deleted: 0,
    message: expect.stringMatching(/row-level security/),
  });
  expect(await left(e.db)).toBe(2);
});
