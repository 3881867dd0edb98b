/**
 * What a batch's statements hold to by themselves, sent one by one: what only all of them together would catch does not
 * count here.
 */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BatchRequest, batch } from '@/lib/engine/statement/batch';
import { legsOf } from '@/lib/engine/statement/leg';
import type { Statement } from '@/lib/platform/database';
import { session } from '@/lib/platform/session';
import { days, type Policy } from '@/lib/policies/contract';
import type { TestSession } from '../../support/database';
import { ago, DAY, type Engine, engine, govern, left, NOW, things, thingsPolicy } from '../../support/engine';

let e: Engine;
let own: TestSession;
beforeEach(async () => {
  e = await engine();
  own = await e.db.session();
});
afterEach(() => e.stop());

const send = (s: Statement) => own.sql(s.text, s.params);
const BLOCKS = { from: 0, to: 100, end: 100 };

/** Begins a run of the policy and gives the order of its batch `seq`. */
async function begun(policy: Policy, changes: Partial<BatchRequest> = {}): Promise<BatchRequest> {
  const runId = randomUUID();
  const [row] = await e.db.sql<{ fence: string }>(
    `select fence::text from retention.begin_run('things', $1::uuid, 'v1', $2, 'cron', 'cron', 'test')`,
    [runId, NOW.toISOString()],
  );
  return {
    policy,
    version: 'v1',
    runId,
    fence: row!.fence,
    seq: 1,
    leg: legsOf(policy, NOW, 0)[0]!,
    position: null,
    limit: 10,
    asOf: NOW.toISOString(),
    actor: 'cron',
    reason: 'retention',
    statementTimeoutMs: 5_000,
    ...changes,
  };
}

/** Things of 40 days with a note each, which no foreign key ties to them. */
async function withNotes(): Promise<Policy> {
  await govern(e.db);
  await things(e.db, [40 * DAY, 41 * DAY]);
  await e.db.sql(`create table notes (id uuid primary key default gen_random_uuid(), thing uuid, author uuid);
    create index on notes (thing); grant select, update, delete on notes to lapse_app`);
  return thingsPolicy({
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'uuid' }],
        references: ['thing'],
        fate: 'delete',
        scope: { user: 'author' },
      },
    ],
  });
}

describe('the deciding statement deletes nothing', () => {
  it.each([
    ['picked rows', {}],
    ['a range of the index', { byRange: true }],
    ['a range of blocks', { blocks: { ...BLOCKS, skipLocked: false } }],
    ['a range of blocks with locked rows', { blocks: { ...BLOCKS, skipLocked: true } }],
  ])('of %s in a transaction that entered another batch', async (_, changes) => {
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY, 41 * DAY]);
    const order = await begun(policy, changes);
    const { entered, deleted } = batch(order).queries;
    await own.sql('begin');
    await send(session(5_000));
    await send(entered);
    expect(await send(batch({ ...order, seq: 2 }).queries.deleted)).toMatchObject([{ deleted: '0' }]);
    expect(await send(deleted)).toMatchObject([{ deleted: '2' }]);
    await own.sql('rollback');
  });

  it('of rows that another batch has locked', async () => {
    const order = await begun(await withNotes());
    const { entered, locked, compared, deleted } = batch(order).queries;
    await own.sql('begin');
    for (const s of [session(5_000), entered, locked!, compared!]) await send(s);
    expect(await send(batch({ ...order, seq: 2 }).queries.deleted)).toMatchObject([{ deleted: '0' }]);
    expect(await send(deleted)).toMatchObject([{ deleted: '2' }]);
    await own.sql('rollback');
  });

  it('of a row whose child with a held owner came after the row was locked', async () => {
    const order = await begun(await withNotes());
    const owner = randomUUID();
    await e.db.sql(
      `insert into retention.hold (scope, subject, reason, placed_by) values ('user', $1, 'matter', 'alice')`,
      [owner],
    );
    const { entered, locked, compared, deleted, confirmed } = batch(order).queries;
    await own.sql('begin');
    for (const s of [session(5_000), entered, locked!]) await send(s);
    await e.db.sql('insert into notes (thing, author) select id, $1::uuid from things order by at limit 1', [
      owner,
    ]);
    for (const s of [compared!, deleted, confirmed]) await send(s);
    await own.sql('commit');
    expect(await left(e.db)).toBe(1);
    expect(await e.db.sql('select author from notes')).toEqual([{ author: owner }]);
  });
});

it('marks no row a second time, however its rows are found', async () => {
  await govern(e.db);
  await e.db.sql('alter table things add deleted_at timestamptz');
  await things(e.db, [40 * DAY, 41 * DAY]);
  const marked = ago(5 * DAY);
  await e.db.sql('update things set deleted_at = $1 where id = (select id from things limit 1)', [marked]);
  const policy = thingsPolicy({
    strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: days(30) },
  });
  const order = await begun(policy, { blocks: { ...BLOCKS, skipLocked: false } });
  await own.sql('begin');
  for (const s of [session(5_000), ...Object.values(batch(order).queries)]) await send(s);
  await own.sql('commit');
  expect(await e.db.sql('select deleted::int from retention.receipt')).toEqual([{ deleted: 1 }]);
  expect(await e.db.sql('select 1 from things where deleted_at = $1', [marked])).toHaveLength(1);
});

it('gives way before the server looks for deadlocks, and has a limit for each statement', async () => {
  await own.sql('begin');
  await send(session(5_000));
  const limit = (name: string) => `current_setting('${name}')::interval`;
  expect(
    await own.sql(`select ${limit('lock_timeout')} between '1 ms' and ${limit('deadlock_timeout')} as soon,
      ${limit('statement_timeout')} = '5 s' as limited, ${limit('idle_in_transaction_session_timeout')} = '5 s' as idle`),
  ).toEqual([{ soon: true, limited: true, idle: true }]);
});
