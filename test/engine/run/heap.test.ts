import { randomUUID } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { acquire, release, save } from '@/lib/engine/run/checkpoint';
import type { RunResult } from '@/lib/engine/run/result';
import { runPolicy } from '@/lib/engine/run/run';
import { verify } from '@/lib/operators/audit/verify';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import type { Policy } from '@/lib/policies/contract';
import { versionOf } from '@/lib/policies/fingerprint';
import {
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  receipted,
  runRequest,
  thingsPolicy,
} from '../../support/engine';

let e: Engine;
afterEach(async () => {
  vi.restoreAllMocks();
  await e?.stop();
});

const noAnswer = () => new DatabaseError('unknown', null, 'no answer (test)');
const isBatch = (statements: Parameters<Database['transaction']>[0]) =>
  statements.some((s) => s.text.includes('enter_batch'));

/** Where a batch by blocks begins: "(block,0)". */
const rangeOf = (statements: Parameters<Database['transaction']>[0]): string | undefined =>
  statements[2]!.params.map(String).find((p) => /^\(\d+,0\)$/.test(p));

/** `expired` rows in an order that has nothing to do with age, among half as many that stay. */
async function backlog(expired: number, fillfactor = 100): Promise<Policy> {
  e = await engine();
  const policy = await govern(e.db);
  await e.db.sql(`alter table things set (fillfactor = ${fillfactor})`);
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(secs => (case when i % 3 = 0 then 5 else 40 end) * ${DAY} + (i * 7919) % 86400)
     from generate_series(1, ${expired * 1.5}) i`,
    [NOW.toISOString()],
  );
  await e.db.sql('vacuum analyze things');
  return policy;
}

/** More than the bounded count tells. */
const LARGE = 110_000;

/** Few rows, but fifteen of them a block: 2,000 blocks, where no four batches come to more than 1,536. */
const SMALL = 20_000;
const scattered = () => backlog(SMALL, 10);

/** As where the count at the beginning takes too long: then a few rows may go by the blocks of their table, too. */
function uncounted(database: Database = e.services.database): Database {
  return {
    async transaction(statements, options) {
      if (statements.some((s) => s.text.includes('lapse.due'))) {
        throw new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout (test)');
      }
      return database.transaction(statements, options);
    },
  };
}
const byBlocks = (policy: Policy, database?: Database, now = () => NOW): Promise<RunResult> =>
  runPolicy({ ...e.services, clock: now, database: uncounted(database) }, policy, runRequest(NOW));

async function expectDone(expired: number) {
  const named = await receipted(e.db);
  expect(named.size).toBe(expired);
  expect([...named.values()].every((n) => n === 1)).toBe(true);
  expect(await left(e.db)).toBe(expired / 2);
}

it('takes a large backlog block by block in lanes, and proves it drained', async () => {
  const policy = await backlog(LARGE);
  // A dry run says which way a run would go.
  expect(await e.run(policy, { dryRun: true })).toMatchObject({ path: 'heap', preview: { expired: LARGE } });
  const result = await e.run(policy);
  expect(result).toMatchObject({ outcome: 'succeeded', path: 'heap', deleted: LARGE });
  expect(result.batches).toBeLessThan(80);
  await expectDone(LARGE);
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
});

it('keeps what is held, and counts it, though it walks past it', async () => {
  const policy = await scattered();
  await e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by)
     select 'item', id::text, 'public.things', 'm', 'a' from things where at < $1::timestamptz - interval '30 days' limit 40`,
    [NOW.toISOString()],
  );
  expect(await byBlocks(policy)).toMatchObject({
    outcome: 'succeeded',
    path: 'heap',
    deleted: SMALL - 40,
    kept: { held: 40 },
  });
});

it('steps over a row somebody has locked, and comes back for it', async () => {
  const policy = await scattered();
  const other = await e.db.session();
  await other.sql('begin');
  await other.sql(`select 1 from things where at < $1::timestamptz - interval '30 days' limit 1 for update`, [
    NOW.toISOString(),
  ]);
  expect(await byBlocks(policy)).toMatchObject({
    outcome: 'interrupted',
    reason: 'busy',
    path: 'heap',
    deleted: SMALL - 1,
  });
  other.end();
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  await expectDone(SMALL);
});

it('killed in the middle of its lanes and called again, ends as if undisturbed, with no gap in its receipts', async () => {
  const policy = await scattered();
  let batches = 0;
  const dead = await byBlocks(policy, {
    async transaction(statements, options) {
      if (isBatch(statements)) batches += 1;
      if (batches > 4) throw noAnswer();
      const mine = batches;
      const rows = await e.services.database.transaction(statements, options);
      // Before that, one answer is lost as well.
      if (isBatch(statements) && mine === 2) throw noAnswer();
      return rows;
    },
  });
  expect(dead.outcome).toBe('errored');
  await e.services.redis.eval(
    "return redis.call('del', KEYS[1])",
    [`${e.services.redis.prefix}things:lease`],
    [],
  );
  expect(await byBlocks(policy)).toMatchObject({ outcome: 'succeeded', path: 'heap' });
  await expectDone(SMALL);
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
});

it('gives the number of a batch of which nothing is known to no other range', async () => {
  const policy = await scattered();
  let now = NOW;
  let failed = () => {};
  const hasFailed = new Promise<void>((done) => {
    failed = done;
  });
  let looks = () => {};
  const isLooking = new Promise<void>((done) => {
    looks = done;
  });
  const ranges = new Map<unknown, Set<unknown>>();
  let attempts = 0;
  const result = await byBlocks(
    policy,
    {
      async transaction(statements, options) {
        if (!isBatch(statements)) {
          // The second lane looks at the catalogs before its next batch, while the first lane's comes to nothing.
          if (now > NOW && attempts > 0) {
            looks();
            await hasFailed;
          }
          return e.services.database.transaction(statements, options);
        }
        const seq = statements[1]!.params[3];
        ranges.set(seq, (ranges.get(seq) ?? new Set()).add(rangeOf(statements)));
        if (Number(seq) === 1) {
          attempts += 1;
          await isLooking;
          // After its last attempt, and all that follows from it.
          if (attempts === e.services.backoff.retries + 1) setImmediate(failed);
          throw noAnswer();
        }
        const rows = await e.services.database.transaction(statements, options);
        now = new Date(NOW.getTime() + 11_000);
        return rows;
      },
    },
    () => now,
  );
  expect(result.outcome).toBe('errored');
  expect(ranges.size).toBeGreaterThan(2);
  expect([...ranges.values()].map((r) => r.size)).toEqual([...ranges].map(() => 1));
});

it.each([
  ['goes on where it was, in the same file of the table', true],
  ['begins anew where the table was written into another file', false],
])('resumed, %s', async (_, isSame) => {
  const policy = await scattered();
  const [file] = await e.db.sql(`select pg_relation_filenode('things')::text as node`);
  const runId = randomUUID();
  const { redis } = e.services;
  await acquire(redis, policy.name, runId);
  await save(redis, policy.name, runId, {
    pass: randomUUID(),
    asOf: NOW.toISOString(),
    version: versionOf(policy),
    leg: 0,
    position: { clock: null, key: [], block: 1_000, end: 2_000, filenode: isSame ? String(file!.node) : '1' },
    runId,
    processed: 0,
    total: null,
    updatedAt: NOW.toISOString(),
    kept: {},
  });
  await release(redis, policy.name, runId, false);
  const first: number[] = [];
  const result = await byBlocks(policy, {
    async transaction(statements, options) {
      if (isBatch(statements) && rangeOf(statements)) first.push(Number(rangeOf(statements)!.slice(1, -3)));
      return e.services.database.transaction(statements, options);
    },
  });
  expect(Math.min(...first)).toBe(isSame ? 1_000 : 0);
  // What lay before it is found by the last look.
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: SMALL });
});

it('begins no batch that may take longer than there is time', async () => {
  const policy = await scattered();
  let reading = 0;
  // By this clock each batch takes hours.
  vi.spyOn(performance, 'now').mockImplementation(() => {
    reading += 3_600_000;
    return reading;
  });
  const result = await byBlocks(policy);
  expect(result).toMatchObject({ outcome: 'interrupted', reason: 'time', path: 'heap' });
  // One a lane.
  expect(result.batches).toBeLessThanOrEqual(2);
});

it('keeps to the index for a limit, a batch size of its own, a trigger that may put rows back, or rows that go with others', async () => {
  const policy = await backlog(LARGE);
  expect(await e.run(policy, { limit: 10 })).toMatchObject({ path: 'index', deleted: 10 });
  expect(await e.run(policy, { batchSize: 5, limit: 10 })).toMatchObject({ path: 'index', deleted: 10 });
  const declared = { ...policy, knownTriggers: ['undo'] };
  expect(await e.run(declared, { dryRun: true })).toMatchObject({ path: 'index' });
  await e.db.sql(`create table parts (id uuid primary key, thing uuid references things);
    create index on parts (thing); grant select, delete on parts to lapse_app`);
  const parts = {
    table: { name: 'parts' },
    key: [{ column: 'id', type: 'uuid' }],
    references: ['thing'],
    fate: 'delete' as const,
  };
  const withParts = thingsPolicy({ dependants: [parts] });
  expect(await e.run(withParts, { dryRun: true })).toMatchObject({
    path: 'index',
    preview: { expired: LARGE - 20, blockers: [] },
  });
});

it('looks ahead over what stays, and misses nothing behind it', async () => {
  e = await engine();
  const policy = await govern(e.db);
  await e.db.sql('alter table things set (fillfactor = 10)');
  // A batch is 768 blocks at most, a look 4,096: 1,000 blocks of expired rows, 3,000 of young ones, 1,000 expired.
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(days => case when i between 15001 and 60000 then 5 else 40 end)
     from generate_series(1, 75000) i`,
    [NOW.toISOString()],
  );
  await e.db.sql('vacuum analyze things');
  let looks = 0;
  const result = await byBlocks(policy, {
    async transaction(statements, options) {
      if (statements.some((s) => s.text.includes('as block'))) looks += 1;
      return e.services.database.transaction(statements, options);
    },
  });
  expect(result).toMatchObject({ outcome: 'succeeded', path: 'heap', deleted: 30_000 });
  expect(looks).toBeGreaterThan(0);
  expect(await left(e.db)).toBe(45_000);
});

it('a range of blocks that takes too long is left to the index, and every row goes all the same', async () => {
  const policy = await scattered();
  let refused = 0;
  const result = await byBlocks(policy, {
    async transaction(statements, options) {
      if (!isBatch(statements) || !rangeOf(statements))
        return e.services.database.transaction(statements, options);
      refused += 1;
      throw new DatabaseError('timeout', '57014', 'too slow (test)');
    },
  });
  expect(refused).toBeGreaterThan(0);
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: SMALL });
  expect(await e.db.sql('select 1 from retention.dead_letter')).toEqual([]);
});
