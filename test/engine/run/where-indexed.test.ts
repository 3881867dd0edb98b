/** A partial index whose condition is the policy's own: rows for which it is not true are never looked at. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { legsOf } from '@/lib/engine/statement/leg';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { askOne } from '@/lib/platform/session';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { measure } from '@/lib/watch/backlog/measure';
import { calendar } from '@/lib/watch/calendar/calendar';
import { ago, DAY, type Engine, engine, fitsDatabase, NOW, thingsPolicy } from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
  await e.db.sql(`create table things (id int primary key, at timestamptz, state text, pinned boolean, org int);
    grant select, update, delete on things to lapse_app; select retention.protect('public.things')`);
  await e.db.sql(
    `insert into things select i, $1::timestamptz + i * interval '1 minute', 'done', i % 3 = 0 from generate_series(1, 9) i`,
    [ago(40 * DAY)],
  );
});
afterEach(() => e.stop());

const policyOf = (changes: Partial<PolicyInput> = {}): Policy =>
  thingsPolicy({ key: [{ column: 'id' }], scope: {}, where: 't.pinned is not true', ...changes });
const INDEX = 'create index on things (at, id) where pinned is not true';

it('is offered where PostgreSQL itself finds the rows by it, and walked by once it is said', async () => {
  await e.db.sql(INDEX);
  expect(await refused(e, policyOf())).toContain('; or say whereIndexed: true in the policy');
  const policy = policyOf({ whereIndexed: true });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 6, kept: { condition: 0 }, complete: true });
  const services = { ...e.services, policies: [policy] };
  // Whoever asks is told the condition all the same.
  expect((await explainRow(services, 'public.things', '3')).here[0]).toMatchObject({ status: 'condition' });
  const [late] = await askOne(e.services.database, measure(policy, legsOf(policy, NOW), NOW.toISOString())!, {
    statementMs: 10_000,
  });
  expect(late).toMatchObject({ waiting: 6, arriving: 0 });
  const [entry] = await calendar(services, { policies: [policy], days: 2, inTime: () => true });
  expect(entry?.days[0]?.rows).toBe(6);
  expect(await e.run(policy, { batchSize: 2 })).toMatchObject({ outcome: 'succeeded', deleted: 6 });
  expect(await named(e)).toEqual([1, 2, 4, 5, 7, 8].map((id) => `public.things ${id}`));
});

it('is refused where its index has other rows, too: they would be read on the way', async () => {
  const policy = policyOf({ whereIndexed: true });
  for (const index of ['create index on things (at, id)', 'create index on things (at, id) where id > 0']) {
    await e.db.sql(index);
    expect(await refused(e, policy)).toContain('take whereIndexed out of the policy');
  }
  await e.db.sql(INDEX);
  expect(await fitsDatabase(e, policy)).toEqual([]);
});

it('goes with rules, and organization by organization', async () => {
  await e.db.sql(`update things set org = 1 + id % 2; create table orgs (id int primary key, plan text); grant select on orgs to lapse_app;
    insert into orgs values (1, 'free'), (2, 'pro'); create index on things (state, at, id) where pinned is not true;
    create index on things (org, at, id) where pinned is not true`);
  const ruled = policyOf({
    whereIndexed: true,
    rules: [{ label: 'done', keepFor: days(30), match: { state: 'done' } }],
  });
  expect(await fitsDatabase(e, ruled)).toEqual([]);
  expect((await e.run(ruled, { dryRun: true })).preview).toMatchObject({ expired: 6 });
  const tiers = policyOf({
    whereIndexed: true,
    tenants: {
      column: 'org',
      table: { name: 'orgs' },
      key: { column: 'id', type: 'integer' },
      label: 'o.plan',
    },
    rules: [
      { label: 'free', keepFor: days(30) },
      { label: 'pro', keepFor: days(300) },
    ],
  });
  expect(await follow(e, tiers)).toEqual([]);
  expect(await e.run(tiers, { batchSize: 1 })).toMatchObject({ outcome: 'succeeded', deleted: 3 });
});

it('keeps a row whose condition changes while it is judged', async () => {
  await e.db.sql(INDEX);
  const policy = policyOf({ whereIndexed: true });
  const other = await e.db.session();
  await other.sql('begin');
  await other.sql('update things set pinned = true where id = 1');
  const run = e.run(policy);
  expect(await run).toMatchObject({ deleted: 5 });
  await other.sql('commit');
  other.end();
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
});

it('needs a condition, and stands neither with partitions nor with a notice', () => {
  expect(() => thingsPolicy({ whereIndexed: true })).toThrow('there is none');
  expect(() => policyOf({ whereIndexed: true, partitioned: { by: 'other' } })).toThrow(
    'not together with partitioned',
  );
});
