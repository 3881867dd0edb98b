/** Accidents that happened elsewhere, replayed: each deletes something in a version without the guard rails. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { days, type PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, govern, left, NOW, receipted, things, thingsPolicy } from '@/test/support/engine';
import { aged, type Guarded, guarded, later } from '@/test/support/guarded';

let e: Guarded;
beforeEach(async () => {
  e = await guarded({ LAPSE_PROGRESSIVE_ROLLOUT: 'on' });
});
afterEach(() => e.stop());

const keeping = (n: number, more: Partial<PolicyInput> = {}) =>
  thingsPolicy({ rules: [{ label: 'all', keepFor: days(n) }], ...more });

it('a wrong default that makes 5,352 of 5,593 rows eligible deletes none', async () => {
  const policy = await govern(e.db);
  // Rows copied by an import, their clock at its default instead of their own date.
  await e.db.sql('insert into things (at) select $1::timestamptz from generate_series(1, 5352)', [
    ago(200 * DAY),
  ]);
  await e.db.sql('insert into things (at) select $1::timestamptz from generate_series(1, 241)', [ago(DAY)]);
  await e.analyze();
  for (const day of [0, 1, 2]) {
    const result = await e.at(later(day), policy);
    expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
    expect(result.message).toContain('25 % of about 5593 rows');
  }
  expect(await left(e.db)).toBe(5_593);
});

it('a 5 typed for 50 deletes nothing that 50 days kept, also after the cooling-off', async () => {
  await govern(e.db);
  await aged(e, 0, 60, 100);
  await e.analyze();
  const right = keeping(50, { rollout: false });
  for (let day = 0; day < 6; day += 1) {
    expect(await e.at(later(day), right)).toMatchObject({ outcome: 'succeeded' });
  }
  const typo = keeping(5, { rollout: false });
  const before = await left(e.db);
  // During the cooling-off the old period still counts: a day's worth a day.
  for (let day = 6; day < 13; day += 1) {
    expect(await e.at(later(day), typo)).toMatchObject({ outcome: 'succeeded', deleted: 100 });
  }
  // After it the guard stands in the way of the jump.
  await e.analyze();
  const result = await e.at(later(14), typo);
  expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
  expect(await left(e.db)).toBe(before - 700);
});

it('a downgrade from 30 to 7 days deletes nothing of the organization for seven more days', async () => {
  await govern(e.db);
  await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text);
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create index on things (org, at, id); grant select on orgs to lapse_app`);
  const [org] = await e.db.sql<{ id: string }>("insert into orgs (plan) values ('pro') returning id");
  await things(
    e.db,
    [8, 12, 20, 29].map((d) => d * DAY),
  );
  await e.db.sql('update things set org = $1', [org?.id]);
  const policy = thingsPolicy({
    rules: [
      { label: 'free', keepFor: days(7) },
      { label: 'pro', keepFor: days(30) },
    ],
    tenants: {
      table: { name: 'orgs' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.plan',
      judgedBy: [{ name: 'orgs' }],
    },
  });
  await e.at(NOW, policy);
  await e.db.sql("update orgs set plan = 'free'");
  for (const day of [0.5, 0.9]) expect(await e.at(later(day), policy)).toMatchObject({ deleted: 0 });
  expect(await left(e.db)).toBe(4);
  // What the old tier lets go, goes.
  expect(await e.at(later(6), policy)).toMatchObject({ deleted: 1 });
  expect(await e.at(later(8), policy)).toMatchObject({ deleted: 3 });
});

it('of 10,000 rows with one poison row 9,999 go in the same run', async () => {
  await govern(e.db);
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
    if old.note = 'bad' then raise exception 'no' using errcode = '23514'; end if; return old; end $$`);
  await e.db.sql('create trigger refuse before delete on things for each row execute function refuse()');
  await e.db.sql(
    `insert into things (at, note) select $1::timestamptz - make_interval(secs => i), case when i = 4321 then 'bad' end
     from generate_series(1, 10000) i`,
    [ago(40 * DAY)],
  );
  const policy = keeping(30, { rollout: false, guard: { share: 1 }, knownTriggers: ['refuse'] });
  await e.analyze();
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 9_999 });
  expect((await receipted(e.db)).size).toBe(9_999);
  expect(await e.db.sql('select sql_state, state from retention.dead_letter')).toEqual([
    { sql_state: '23514', state: 'open' },
  ]);
});

it.each([
  ['the right is missing', 'revoke execute on function retention.write_receipt from lapse_app'],
  [
    'the disk is full',
    `create function full_disk() returns trigger language plpgsql as $$ begin raise exception 'full' using errcode = '53100'; end $$;
     create trigger full_disk before insert on retention.receipt for each row execute function full_disk()`,
  ],
])('an audit table that cannot be written (%s): 0 rows deleted', async (_, sql) => {
  const policy = await govern(e.db);
  await things(
    e.db,
    [40, 41, 42].map((d) => d * DAY),
  );
  await e.db.sql(sql);
  expect(await e.run(policy)).toMatchObject({ outcome: 'errored', deleted: 0 });
  expect(await left(e.db)).toBe(3);
});

it('an audit chain that cannot be written lets no further run begin', async () => {
  const policy = keeping(30, { rollout: false });
  await govern(e.db);
  await things(e.db, [40 * DAY]);
  await e.db.sql(`create function refuse_entry() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger refuse before insert on retention.audit_entry for each row execute function refuse_entry()`);
  await e.run(policy);
  const gone = 1 - (await left(e.db));
  await things(e.db, [41 * DAY, 42 * DAY]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'errored', deleted: 0 });
  expect(await left(e.db)).toBe(2 + 1 - gone);
});
