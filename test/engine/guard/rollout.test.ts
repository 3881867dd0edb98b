import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { days, type Policy } from '@/lib/policies/contract';
import { confirmRequest, eraseSubject } from '@/lib/rights/erase';
import { ago, DAY, govern, left, thingsPolicy } from '@/test/support/engine';
import { aged, dice, type Guarded, guarded, later } from '@/test/support/guarded';

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

it('an approved clean run is the last step: the nights after delete all', async () => {
  await e.approve(await e.run(policy, { dryRun: true }));
  await e.run(policy);
  await aged(e, 40, 100, 30);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 61 * 30 });
  const other = thingsPolicy({ rules: [{ label: 'all', keepFor: days(29) }] });
  await aged(e, 40, 100, 1);
  expect(await e.run(other)).toMatchObject({ reason: 'rollout', deleted: 10 });
});

it('an approved run that stopped before its last row is none, nor is one that set rows aside', async () => {
  await e.approve(await e.run(policy, { dryRun: true }));
  expect(await e.run(policy, { limit: 30 })).toMatchObject({ reason: 'limit', deleted: 30 });
  const steps = async () =>
    Number((await e.db.sql('select clean_runs from retention.policy_version'))[0]?.clean_runs);
  expect(await steps()).toBe(0);
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger refuse before delete on things for each row when (old.note = 'bad') execute function refuse();
    update things set note = 'bad' where id in (select id from things order by at limit 1)`);
  const declared = { ...policy, knownTriggers: ['refuse'] };
  await e.approve(await e.run(declared, { dryRun: true }));
  expect(await e.run(declared)).toMatchObject({ outcome: 'succeeded', kept: { dead_letter: 1 } });
  await aged(e, 40, 100, 30);
  expect(await e.run(declared)).toMatchObject({ reason: 'rollout', deleted: 10 });
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
  const services = { ...e.services, policies: [policy], dataMap: [] };
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

describe('the step limits what goes, not what is looked at', () => {
  const stays = thingsPolicy({ where: "t.note is distinct from 'kept'" });

  it('where thousands of rows stay, ten go in a few requests', async () => {
    await aged(e, 200, 200, 9_000);
    await e.db.sql("update things set note = 'kept' where at < $1", [ago(199 * DAY)]);
    const first = await e.run(stays);
    expect(first).toMatchObject({ outcome: 'interrupted', reason: 'rollout', deleted: 10 });
    expect(first.kept.condition).toBe(9_000);
    expect(first.requests.postgres).toBeLessThan(30);
    expect(await e.run(stays)).toMatchObject({ reason: 'rollout', deleted: 100 });
  });

  it('the oldest go first, and the next run continues after the last of them', async () => {
    await e.db.sql("update things set note = 'kept' where extract(second from at)::int % 2 = 0");
    const due = (await e.db.sql('select id from things where note is null order by at, id limit 10')).map(
      (r) => r.id,
    );
    expect(await e.run(stays)).toMatchObject({ deleted: 10, picked: 20, kept: { condition: 10 } });
    const [receipt] = await e.db.sql<{ keys: string[] }>(
      'select retention.keys_of(r) as keys from retention.receipt r',
    );
    expect([...(receipt?.keys ?? [])].sort()).toEqual([...due].sort());
    expect(await e.run(stays)).toMatchObject({ deleted: 100, picked: 200, kept: { condition: 100 } });
  });

  it.each(['rule', 'tenants', 'dependants'])(
    'by %s: whatever stays, is locked or is cut off, exactly the limit goes, and in the end each row once',
    async (shape) => {
      await e.db.sql('delete from things where id not in (select id from things order by at, id limit 240)');
      const limited = await shaped(shape);
      const roll = dice(shape.length);
      const due = Number((await e.db.sql('select count(*)::int as n from things where note is null'))[0]?.n);
      let gone = 0;
      for (let i = 0; gone < due; i += 1) {
        const limit = 1 + roll(40);
        const locker = await e.db.session();
        await locker.sql('begin');
        await locker.sql('select 1 from things where note is null order by random() limit $1 for update', [
          roll(5),
        ]);
        const batchSize = [1, 7, 100, 3_000][roll(4)]!;
        const result = await e.run(limited, { limit, batchSize });
        expect(result.deleted).toBeLessThanOrEqual(limit);
        if (result.reason === 'limit') expect(result.deleted).toBe(limit);
        gone += result.deleted;
        await locker.sql('rollback');
        locker.end();
        expect(i).toBeLessThan(200);
      }
      expect(gone).toBe(due);
      expect(await e.db.sql('select count(*)::int as n from things where note is null')).toEqual([{ n: 0 }]);
      const twice = await e.db.sql(
        'select k from retention.receipt r, unnest(retention.keys_of(r)) k group by k having count(*) > 1',
      );
      expect(twice).toEqual([]);
      expect(await left(e.db)).toBe(240 - due);
    },
  );
});

/** The same rows, some of which stay, walked in one of the three orders. */
async function shaped(shape: string): Promise<Policy> {
  await e.db.sql("update things set note = 'kept' where hashtext(id::text) % 3 = 0");
  const where = "t.note is distinct from 'kept'";
  if (shape === 'dependants') {
    await e.db.sql(`create table notes (id serial primary key, thing uuid references things on delete cascade);
      create index on notes (thing); grant select, delete on notes to lapse_app;
      insert into notes (thing) select id from things, generate_series(1, 2)`);
    const key = [{ column: 'id', type: 'integer' }];
    return thingsPolicy({
      where,
      rollout: false,
      dependants: [{ table: { name: 'notes' }, key, references: ['thing'], fate: 'delete' }],
    });
  }
  if (shape === 'rule') return thingsPolicy({ where, rollout: false });
  await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text);
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create index on things (org, at, id); grant select on orgs to lapse_app;
    insert into orgs (plan) select 'free' from generate_series(1, 12);
    update things set org = (select id from orgs order by md5(things.id::text || orgs.id::text) limit 1)`);
  return thingsPolicy({
    where,
    rollout: false,
    rules: [{ label: 'free', keepFor: days(30) }],
    tenants: {
      table: { name: 'orgs' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.plan',
      judgedBy: [{ name: 'orgs' }],
    },
  });
}
