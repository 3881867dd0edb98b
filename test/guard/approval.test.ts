import { afterEach, beforeEach, expect, it } from 'vitest';
import { days, type Policy } from '@/lib/policies/contract';
import { govern, left, NOW, thingsPolicy } from '@/test/support/engine';
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
