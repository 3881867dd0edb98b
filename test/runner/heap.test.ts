import { afterEach, expect, it } from 'vitest';
import { verify } from '@/lib/audit/verify';
import type { Database } from '@/lib/database';
import { DatabaseError } from '@/lib/errors';
import { runPolicy } from '@/lib/runner/run';
import { DAY, type Engine, engine, govern, left, NOW, order, receipted } from '../support/engine';

let e: Engine;
afterEach(() => e?.stop());

const EXPIRED = 110_000;
/** More than the bounded count tells, in an order that has nothing to do with age, among rows that stay. */
async function backlog() {
  e = await engine();
  const policy = await govern(e.db);
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(secs => (case when i % 3 = 0 then 5 else 40 end) * ${DAY} + (i * 7919) % 86400)
     from generate_series(1, ${EXPIRED * 1.5}) i`,
    [NOW.toISOString()],
  );
  await e.db.sql('vacuum analyze things');
  return policy;
}
async function expectDone() {
  const named = await receipted(e.db);
  expect(named.size).toBe(EXPIRED);
  expect([...named.values()].every((n) => n === 1)).toBe(true);
  expect(await left(e.db)).toBe(EXPIRED / 2);
}

it('takes a large backlog block by block in lanes, and proves it drained', async () => {
  const policy = await backlog();
  // A dry run says which way a run would go.
  expect(await e.run(policy, { dryRun: true })).toMatchObject({
    path: 'heap',
    preview: { expired: EXPIRED },
  });
  const result = await e.run(policy);
  expect(result).toMatchObject({ outcome: 'succeeded', path: 'heap', deleted: EXPIRED });
  expect(result.batches).toBeLessThan(80);
  await expectDone();
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
});

it('keeps what is held, and counts it, though it walks past it', async () => {
  const policy = await backlog();
  await e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by)
     select 'item', id::text, 'public.things', 'm', 'a' from things where at < $1::timestamptz - interval '30 days' limit 40`,
    [NOW.toISOString()],
  );
  const result = await e.run(policy);
  expect(result).toMatchObject({
    outcome: 'succeeded',
    path: 'heap',
    deleted: EXPIRED - 40,
    kept: { held: 40 },
  });
});

it('steps over a row somebody has locked, and comes back for it', async () => {
  const policy = await backlog();
  const other = await e.db.session();
  await other.sql('begin');
  await other.sql(`select 1 from things where at < $1::timestamptz - interval '30 days' limit 1 for update`, [
    NOW.toISOString(),
  ]);
  const result = await e.run(policy);
  expect(result).toMatchObject({ outcome: 'interrupted', reason: 'busy', deleted: EXPIRED - 1 });
  other.end();
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  await expectDone();
});

it('killed in the middle of its lanes and called again, ends as if undisturbed, with no gap in its receipts', async () => {
  const policy = await backlog();
  let batches = 0;
  const database: Database = {
    async transaction(statements, options) {
      const isBatch = statements.some((s) => s.text.includes('enter_batch'));
      if (isBatch) batches += 1;
      if (batches > 6) throw new DatabaseError('unknown', null, 'no answer (test)');
      const rows = await e.services.database.transaction(statements, options);
      // The answer of every fifth batch is lost as well.
      if (isBatch && batches % 5 === 0) throw new DatabaseError('unknown', null, 'no answer (test)');
      return rows;
    },
  };
  const dead = await runPolicy({ ...e.services, database }, policy, order(NOW));
  expect(dead.outcome).toBe('errored');
  await e.services.redis.eval(
    "return redis.call('del', KEYS[1])",
    [`${e.services.redis.prefix}things:lease`],
    [],
  );
  const result = await e.run(policy);
  expect(result).toMatchObject({ outcome: 'succeeded' });
  await expectDone();
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
});

it('keeps to the index for a limit, a batch size of its own, or a trigger that may put rows back', async () => {
  const policy = await backlog();
  expect(await e.run(policy, { limit: 10 })).toMatchObject({ path: 'index', deleted: 10 });
  expect(await e.run(policy, { batchSize: 5, limit: 10 })).toMatchObject({ path: 'index', deleted: 10 });
  const declared = { ...policy, knownTriggers: ['undo'] };
  expect(await e.run(declared, { dryRun: true })).toMatchObject({ path: 'index' });
});

it('looks ahead over what stays, and misses nothing behind it', async () => {
  e = await engine();
  const policy = await govern(e.db);
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(days => case when i between 60001 and 180000 then 5 else 40 end)
     from generate_series(1, 240000) i`,
    [NOW.toISOString()],
  );
  await e.db.sql('vacuum analyze things');
  let looks = 0;
  const database: Database = {
    async transaction(statements, options) {
      if (statements.some((s) => s.text.includes('as block'))) looks += 1;
      return e.services.database.transaction(statements, options);
    },
  };
  const result = await runPolicy({ ...e.services, database }, policy, order(NOW));
  expect(result).toMatchObject({ outcome: 'succeeded', path: 'heap', deleted: 120_000 });
  expect(looks).toBeGreaterThan(0);
  expect(await left(e.db)).toBe(120_000);
});
