import { afterEach, beforeEach, expect, it } from 'vitest';
import { confirmRequest, eraseSubject } from '@/lib/erasure/erase';
import { days, type Policy } from '@/lib/policies/contract';
import { ago, DAY, govern, left, thingsPolicy } from '@/test/support/engine';
import { aged, type Guarded, guarded, later } from '@/test/support/guarded';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({
    LAPSE_PROGRESSIVE_ROLLOUT: 'on',
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
  });
  policy = await govern(e.db);
  await aged(e, 31, 130, 20);
});
afterEach(() => e.stop());

it('a new version deletes 10, then 100, then 1000 rows, then all', async () => {
  const results = [];
  for (let i = 0; i < 4; i += 1) results.push(await e.run(policy));
  expect(results.map((r) => [r.outcome, r.reason, r.deleted])).toEqual([
    ['interrupted', 'rollout', 10],
    ['interrupted', 'rollout', 100],
    ['interrupted', 'rollout', 1000],
    ['succeeded', null, 890],
  ]);
  expect(results.map((r) => r.bounded?.rows)).toEqual([10, 100, 1000, undefined]);
  expect(results[0]?.message).toContain('step 1 of 4');
  expect(results[0]?.message).toContain('the next clean run may delete 100');
  expect(results[2]?.message).toContain('the next clean run may delete all');
});

it('another version starts again at ten, and the first one finds its step where it left it', async () => {
  const other = thingsPolicy({ rules: [{ label: 'all', keepFor: days(29) }] });
  expect(await e.run(policy)).toMatchObject({ deleted: 10 });
  expect(await e.run(other)).toMatchObject({ reason: 'rollout', deleted: 10 });
  expect(await e.run(policy)).toMatchObject({ deleted: 100 });
});

it('a run that failed, was limited by hand or deleted nothing is no step', async () => {
  expect(await e.run(policy, { limit: 4 })).toMatchObject({ reason: 'limit', deleted: 4 });
  await e.db.sql("update things set at = at + interval '200 days'");
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
  await e.db.sql("update things set at = at - interval '200 days'");
  await e.db.sql('revoke delete on things from lapse_app');
  expect(await e.run(policy)).toMatchObject({ outcome: 'errored', deleted: 0 });
  await e.db.sql('grant delete on things to lapse_app');
  expect(await e.run(policy)).toMatchObject({ reason: 'rollout', deleted: 10 });
});

it('a run that had to set rows aside is no step', async () => {
  await e.db.sql("update things set note = 'bad' where id in (select id from things order by at limit 3)");
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
      if old.note = 'bad' then raise exception 'no'; end if; return old; end $$`);
  await e.db.sql('create trigger refuse before delete on things for each row execute function refuse()');
  const declared = thingsPolicy({ knownTriggers: ['refuse'] });
  expect(await e.run(declared)).toMatchObject({ reason: 'rollout', deleted: 10, kept: { dead_letter: 3 } });
  expect(await e.run(declared)).toMatchObject({ reason: 'rollout', deleted: 10 });
  expect(await e.run(declared)).toMatchObject({ reason: 'rollout', deleted: 100 });
});

it('an approval of the preview replaces the steps', async () => {
  await e.approve(await e.run(policy, { dryRun: true }));
  expect(await e.run(policy)).toMatchObject({
    outcome: 'succeeded',
    deleted: 2_000,
    bounded: { by: 'approval', rows: 2_000 },
  });
});

it('a policy may declare that it needs none', async () => {
  expect(await e.run(thingsPolicy({ rollout: false }))).toMatchObject({
    outcome: 'succeeded',
    deleted: 2_000,
  });
  expect(await left(e.db)).toBe(0);
});

it('advances when the first step drained everything there was', async () => {
  await e.db.sql('delete from things where at > $1::timestamptz or at < $2::timestamptz', [
    ago(32 * DAY),
    ago(33 * DAY),
  ]);
  await e.db.sql('delete from things where id not in (select id from things limit 6)');
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 6 });
  await aged(e, 31, 131, 3);
  expect(await e.at(later(1), policy)).toMatchObject({ reason: 'rollout', deleted: 100 });
});

it('an erasure on request is no step, and no usual run', async () => {
  await e.run(policy, { limit: 4 });
  await e.db.sql(
    "update things set org = '00000000-0000-4000-8000-000000000009' where id in (select id from things order by at limit 40)",
  );
  await e.db.sql('create index on things (org)');
  const services = { ...e.services, policies: [policy] };
  const request = {
    subject: { scope: 'organization' as const, id: '00000000-0000-4000-8000-000000000009' },
    reason: 'request 7',
    dryRun: false,
    actor: 'alice',
    correlationId: 'c',
    deadline: later(1),
  };
  const { id } = await eraseSubject(services, request);
  expect(await confirmRequest(services, { ...request, id: id!, actor: 'bob' })).toMatchObject({
    deleted: 40,
  });
  expect(await e.run(policy)).toMatchObject({ reason: 'rollout', deleted: 10 });
});
