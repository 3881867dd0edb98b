import { afterEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database } from '@/lib/platform/database';
import { DatabaseError, RedisError } from '@/lib/platform/errors';
import type { RedisClient } from '@/lib/platform/redis';
import {
  ago,
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  receipted,
  runRequest,
  things,
} from '../../support/engine';

let e: Engine;
afterEach(() => e?.stop());

const ROWS = 40;
async function fill() {
  e = await engine();
  const policy = await govern(e.db);
  const ids = await things(
    e.db,
    Array.from({ length: ROWS }, (_, i) => 40 * DAY + i),
  );
  await things(e.db, [DAY]);
  return { policy, ids };
}

/** Every id in exactly one receipt, every expired row gone, no other. */
async function expectDone(ids: readonly string[]) {
  const named = await receipted(e.db);
  expect([...named.keys()].sort()).toEqual([...ids].sort());
  expect([...named.values()].every((n) => n === 1)).toBe(true);
  expect(await left(e.db)).toBe(1);
}

/** What the network may do to the n-th request. */
function breaking(database: Database, breaks: (n: number) => 'before' | 'after' | null): Database {
  let n = 0;
  const lost = () => new DatabaseError('unknown', null, 'no answer from the database (test)');
  return {
    async transaction(statements, options) {
      const how = breaks(++n);
      if (how === 'before') throw lost();
      const rows = await database.transaction(statements, options);
      if (how === 'after') throw lost();
      return rows;
    },
  };
}

describe('lost answers', () => {
  it('are asked for again under the same number, and every row is in exactly one receipt', async () => {
    const { policy, ids } = await fill();
    const database = breaking(e.services.database, (n) =>
      n % 3 === 2 ? 'after' : n % 5 === 0 ? 'before' : null,
    );
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 4 }));
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: ROWS, picked: ROWS });
    await expectDone(ids);
  });

  it.each([ROWS, 0])(
    'of the first request meet their own record without harm, with %i rows due',
    async (rows) => {
      const { policy, ids } = await fill();
      if (rows === 0) await e.db.sql('delete from things where at < $1', [ago(30 * DAY)]);
      const database = breaking(e.services.database, (n) => (n <= 2 ? 'after' : null));
      const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
      expect(result).toMatchObject({ outcome: 'succeeded', deleted: rows });
      await expectDone(rows === 0 ? [] : ids);
      expect(
        await e.db.sql('select outcome, fence::int as fence, deleted::int as deleted from retention.run'),
      ).toEqual([{ outcome: 'succeeded', fence: 1, deleted: rows }]);
      expect(await e.db.sql('select run_now from retention.policy_state')).toEqual([{ run_now: null }]);
    },
  );

  it('of a first request, sent again after another run began, delete nothing', async () => {
    const { policy } = await fill();
    let first = true;
    const database: Database = {
      async transaction(statements, options) {
        const rows = await e.services.database.transaction(statements, options);
        if (!first) return rows;
        first = false;
        await e.services.redis.eval(
          "return redis.call('del', KEYS[1])",
          [`${e.services.redis.prefix}things:lease`],
          [],
        );
        expect(await e.run(policy, { limit: 3 })).toMatchObject({ deleted: 3 });
        throw new DatabaseError('unknown', null, 'no answer from the database (test)');
      },
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'fenced', deleted: 0 });
    expect(await left(e.db)).toBe(ROWS + 1 - 3);
  });

  it.each(Array.from({ length: 9 }, (_, i) => i + 1))(
    'killed at request %i and called again, ends as if undisturbed',
    async (at) => {
      const { policy, ids } = await fill();
      for (const when of ['before', 'after'] as const) {
        // From the given request on nothing gets through any more, as for a killed process.
        let gone = false;
        const dead = breaking(e.services.database, (n) => {
          if (gone) return 'before';
          gone = n === at;
          return gone ? when : null;
        });
        const hour = new Date(NOW.getTime() + 1);
        await runPolicy({ ...e.services, database: dead }, policy, {
          ...runRequest(NOW, { batchSize: 6, limit: 18 }),
          deadline: new Date(hour.getTime() + 4_000),
        });
        await e.services.redis.eval(
          "return redis.call('del', KEYS[1])",
          [`${e.services.redis.prefix}things:lease`],
          [],
        );
      }
      expect(await e.run(policy, { batchSize: 6 })).toMatchObject({ outcome: 'succeeded' });
      await expectDone(ids);
      const open = await e.db.sql('select 1 from retention.run where finished_at is null');
      expect(open).toEqual([]);
    },
  );
});

describe('services that are down', () => {
  it('keep a run from deleting when Redis cannot grant a lease, and say what to check', async () => {
    const { policy } = await fill();
    const redis: RedisClient = {
      ...e.services.redis,
      eval: () => Promise.reject(new RedisError('Upstash Redis did not answer')),
    };
    const result = await runPolicy({ ...e.services, redis }, policy, runRequest(NOW));
    expect(result).toMatchObject({ outcome: 'errored', reason: 'redis', deleted: 0, runId: null });
    expect(await left(e.db)).toBe(ROWS + 1);
  });

  it('stop a run when Redis goes away in the middle; the next run finishes the work', async () => {
    const { policy, ids } = await fill();
    let commands = 0;
    const redis: RedisClient = {
      ...e.services.redis,
      eval: (...a) =>
        ++commands > 3
          ? Promise.reject(new RedisError('Upstash Redis did not answer'))
          : e.services.redis.eval(...a),
    };
    const result = await runPolicy({ ...e.services, redis }, policy, runRequest(NOW, { batchSize: 5 }));
    expect(result).toMatchObject({ outcome: 'errored', reason: 'redis' });
    expect(result.deleted).toBeGreaterThan(0);
    expect(result.deleted).toBeLessThan(ROWS);
    await e.services.redis.eval(
      "return redis.call('del', KEYS[1])",
      [`${e.services.redis.prefix}things:lease`],
      [],
    );
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded' });
    await expectDone(ids);
  });

  it('end a run as errored, with the class of the failure, when the database is down', async () => {
    const { policy } = await fill();
    const database: Database = {
      transaction: () =>
        Promise.reject(new DatabaseError('fatal', null, 'the database refused the user or the password')),
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
    expect(result).toMatchObject({ outcome: 'errored', reason: 'database.fatal', deleted: 0 });
    expect(await left(e.db)).toBe(ROWS + 1);
  });

  it('halves the batch when a statement times out, and goes on', async () => {
    const { policy, ids } = await fill();
    let timeouts = 0;
    const database: Database = {
      transaction(statements, options) {
        const limit = statements.some((s) => s.text.includes('enter_batch')) && timeouts++ < 2;
        return limit
          ? Promise.reject(new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout'))
          : e.services.database.transaction(statements, options);
      },
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 20 }));
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: ROWS });
    expect(result.batches).toBeGreaterThanOrEqual(8);
    await expectDone(ids);
  });

  it('is not drained where the last look takes too long, and says so', async () => {
    const { policy, ids } = await fill();
    const database: Database = {
      transaction: (statements, options) =>
        statements.some((s) => s.text.includes(' as left, '))
          ? Promise.reject(new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout'))
          : e.services.database.transaction(statements, options),
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'unproved', deleted: ROWS });
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    await expectDone(ids);
  });
});
