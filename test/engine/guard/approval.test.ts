import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { days, type Policy } from '@/lib/policies/contract';
import { databaseClock, govern, left, NOW, runRequest, thingsPolicy } from '@/test/support/engine';
import { aged, type Guarded, guarded, later } from '@/test/support/guarded';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded();
  policy = await govern(e.db);
  await aged(e, 1, 100, 30);
  await e.analyze();
});
afterEach(() => e.stop());

const preview = () => e.run(policy, { dryRun: true });
const minutes = (n: number) => new Date(NOW.getTime() + n * 60_000);
const approvals = () =>
  e.db.sql(
    'select used_at is not null as used, done_at is not null as done, void_reason from retention.approval',
  );

it('lets exactly what was previewed go, at the previewed cutoff, and is used up', async () => {
  const seen = await preview();
  await e.approve(seen);
  const expired = seen.preview?.expired ?? 0;
  expect(expired).toBeGreaterThan(2_000);
  // What expires after the preview is not part of it.
  const result = await e.at(later(0.9), policy);
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: expired, asOf: NOW.toISOString() });
  expect(await approvals()).toEqual([{ used: true, done: true, void_reason: null }]);
  await aged(e, 50, 100, 60);
  await e.analyze();
  expect(await e.at(later(0.95), policy)).toMatchObject({
    outcome: 'skipped',
    reason: 'guarded',
    deleted: 0,
  });
});

it('is resumed by later runs when its first one runs out of time, and then no further', async () => {
  const seen = await preview();
  await e.approve(seen);
  const first = await e.at(minutes(5), policy, { limit: 700, batchSize: 100 });
  expect(first).toMatchObject({ outcome: 'interrupted', deleted: 700 });
  const second = await e.at(minutes(65), policy);
  expect(second).toMatchObject({ outcome: 'succeeded', deleted: (seen.preview?.expired ?? 0) - 700 });
  expect(await approvals()).toEqual([{ used: true, done: true, void_reason: null }]);
});

it('is void when one row has changed since', async () => {
  await e.approve(await preview());
  await e.db.sql('delete from things where id in (select id from things order by at limit 1)');
  const result = await e.at(minutes(5), policy);
  expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
  expect(result.message).toContain('the data has changed');
  expect((await approvals())[0]).toMatchObject({
    used: false,
    void_reason: expect.stringContaining('changed'),
  });
  expect(await left(e.db)).toBe(2_999);
});

/** What a trickster would do: the counts, the bytes and the oldest and newest row are as they were. */
async function swapOne(): Promise<void> {
  const [row] = await e.db.sql<{ at: string }>(
    'delete from things where id = (select id from things order by at, id offset 5 limit 1) returning at::text',
  );
  await e.db.sql('insert into things (at) values ($1::timestamptz)', [row?.at]);
}

it('is void when one of its rows was exchanged for another, however equal the counts', async () => {
  const seen = await preview();
  await e.approve(seen);
  await swapOne();
  const again = await e.at(minutes(1), policy, { dryRun: true });
  expect(again.preview).toMatchObject({ expired: seen.preview?.expired, bytes: seen.preview?.bytes });
  expect(again.preview?.rowsSha256).not.toBe(seen.preview?.rowsSha256);
  const result = await e.at(minutes(5), policy);
  expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
  expect(result.message).toContain('not all of them the same');
  expect((await approvals())[0]).toMatchObject({
    used: false,
    void_reason: expect.stringContaining('changed'),
  });
});

it('is void when a row came out of a hold in another’s place', async () => {
  const place = (offset: number) =>
    e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by)
       select 'item', id::text, 'public.things', 'case 7', 'alice' from things order by at, id offset $1 limit 1`,
      [offset],
    );
  await place(3);
  await e.approve(await preview());
  await e.db.sql(
    "update retention.hold set released_at = now(), released_by = 'bob', release_reason = 'over'",
  );
  await place(9);
  expect(await e.at(minutes(5), policy)).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
});

it('is void as soon as a row is under another rule, though as many go', async () => {
  await e.db.sql('create index on things (note, at, id)');
  await e.db.sql(
    "update things set note = case when extract(second from at)::int % 2 = 0 then 'a' else 'b' end",
  );
  await e.analyze();
  const rules = (['a', 'b'] as const).map((note) => ({ label: note, keepFor: days(30), match: { note } }));
  policy = thingsPolicy({ rules });
  await e.approve(await preview());
  await e.db.sql(`with x as (select id, note from things order by at, id limit 1)
    update things t set note = case x.note when 'a' then 'b' else 'a' end from x where t.id = x.id`);
  expect(await e.at(minutes(5), policy)).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
});

it('is void when a row’s dependants are others, though as many', async () => {
  await e.db.sql(`create table notes (id serial primary key, thing uuid references things on delete cascade);
    create index on notes (thing); grant select, delete on notes to lapse_app;
    insert into notes (thing) select id from things order by at, id limit 3`);
  policy = thingsPolicy({
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'integer' }],
        references: ['thing'],
        fate: 'delete',
      },
    ],
  });
  const seen = await preview();
  expect(seen.preview?.dependants).toEqual({ 'public.notes': 3 });
  await e.approve(seen);
  await e.db.sql('update notes set id = id + 100 where id = 2');
  expect(await e.at(minutes(5), policy)).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
});

it('of more rows than one page of the count can be used, and does not depend on where the pages end', async () => {
  await aged(e, 40, 40, 21_000);
  // Between the two counts a row that stays goes away: the pages fall otherwise, the rows that go are the same.
  await e.db.sql(
    "insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) select 'public.things', id::text, '2099-01-01', 'r', 'a' from things order by at, id limit 7",
  );
  await e.analyze();
  await e.approve(await preview());
  await e.db.sql('delete from things where id in (select row_key::uuid from retention.extension limit 3)');
  const result = await e.at(minutes(5), policy);
  expect(result).toMatchObject({ outcome: 'succeeded', bounded: { by: 'approval' }, kept: { extended: 4 } });
  expect(result.deleted).toBeGreaterThan(21_000);
});

it('resumed, deletes no more than was approved in all', async () => {
  const seen = await preview();
  await e.approve(seen);
  const expired = seen.preview?.expired ?? 0;
  await e.at(minutes(5), policy, { limit: 700, batchSize: 100 });
  await aged(e, 50, 60, 10);
  const second = await e.at(minutes(65), policy);
  expect(second).toMatchObject({ outcome: 'interrupted', reason: 'approval', deleted: expired - 700 });
  expect(second.bounded).toEqual({ by: 'approval', rows: expired - 700 });
  expect(second.message).toContain('others have become due');
  expect(await approvals()).toEqual([{ used: true, done: true, void_reason: null }]);
});

it('counts what stays as the dry run did, also behind its last row', async () => {
  await e.db.sql(`insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
    select 'public.things', id::text, '2099-01-01', 'r', 'a' from things where extract(second from at)::int % 3 = 0 or at > '2026-01-25'`);
  const seen = await preview();
  await e.approve(seen);
  expect(seen.preview?.kept.extended).toBeGreaterThan(500);
  const result = await e.at(minutes(5), policy);
  expect(result).toMatchObject({
    outcome: 'succeeded',
    deleted: seen.preview?.expired,
    kept: seen.preview?.kept,
  });
});

it('begun, ends after three days', async () => {
  await e.approve(await preview());
  expect(await e.at(minutes(5), policy, { limit: 700 })).toMatchObject({ deleted: 700 });
  await aged(e, 40, 100, 30);
  await e.analyze();
  expect(await e.at(later(3.1), policy)).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
});

it('is not begun after its day by a machine whose clock is behind', async () => {
  await e.approve(await preview());
  await databaseClock(e.db, later(1.01));
  expect(await runPolicy(e.services, policy, runRequest(NOW))).toMatchObject({
    reason: 'guarded',
    deleted: 0,
  });
});

it('is void when a hold keeps one of its rows', async () => {
  await e.approve(await preview());
  await e.db.sql(`insert into retention.hold (scope, subject, table_name, reason, placed_by)
    select 'item', id::text, 'public.things', 'case 7', 'alice' from things order by at limit 1`);
  expect(await e.at(minutes(5), policy)).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
});

it('does not count for another version of the policy', async () => {
  await e.approve(await preview());
  const other = thingsPolicy({ rules: [{ label: 'all', keepFor: days(31) }] });
  expect(await e.at(minutes(5), other)).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
});

it('does not count after a day', async () => {
  await e.approve(await preview());
  expect(await e.at(later(1.01), policy)).toMatchObject({
    outcome: 'skipped',
    reason: 'guarded',
    deleted: 0,
  });
});

it('cannot be given twice for one preview', async () => {
  const seen = await preview();
  await e.approve(seen);
  await expect(e.approve(seen)).rejects.toThrow(/approval_digest/);
});

it('two previews of the same data at different times are two digests', async () => {
  const [a, b] = [await preview(), await e.at(minutes(1), policy, { dryRun: true })];
  expect(a.preview?.approvable?.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(a.preview?.approvable?.digest).not.toBe(b.preview?.approvable?.digest);
});
