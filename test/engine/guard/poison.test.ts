import { afterEach, beforeEach, expect, test } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
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
  thingsPolicy,
} from '@/test/support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const letters = () =>
  e.db.sql(
    'select * , extract(epoch from next_attempt_at - $1::timestamptz)::int as waits from retention.dead_letter order by created_at, row_key',
    [NOW.toISOString()],
  );

/** A trigger that refuses rows whose note says so, with a class of its own. */
async function refusing(note = 'bad'): Promise<void> {
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
    if old.note = '${note}' then raise exception 'no: %', old.id using errcode = 'P0001', constraint = 'house_rule'; end if;
    return old; end $$`);
  await e.db.sql('create trigger refuse before delete on things for each row execute function refuse()');
}

test('one poison row in 10,000: the other 9,999 go in the same run', async () => {
  const policy = await govern(e.db, { knownTriggers: ['refuse'] });
  await refusing();
  await e.db.sql(
    `insert into things (at, note) select $1::timestamptz - make_interval(secs => i), case when i = 7000 then 'bad' end
     from generate_series(1, 10000) i`,
    [ago(40 * DAY)],
  );
  const result = await e.run(policy);
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 9_999 });
  expect(await left(e.db)).toBe(1);
  const [letter, ...others] = await letters();
  expect(others).toEqual([]);
  expect(letter).toMatchObject({
    policy: 'things',
    table_name: 'public.things',
    sql_state: 'P0001',
    constraint_name: 'house_rule',
    state: 'open',
    attempts: 1,
    waits: 3600,
  });
  const named = await receipted(e.db);
  expect(named.size).toBe(9_999);
  expect(named.has(String(letter?.row_key))).toBe(false);
});

test('a foreign key that was found out only by the delete sets its rows aside by constraint', async () => {
  const policy = await govern(e.db, {
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'int' }],
        references: ['thing'],
        fate: 'block',
      },
    ],
  });
  await e.db.sql('create table notes (id int primary key, thing uuid references things)');
  await e.db.sql('create index on notes (thing)');
  await e.db.sql('create table hidden (thing uuid)');
  // A constraint trigger is what an undeclared reference looks like to the delete.
  await e.db.sql(`create function guard_hidden() returns trigger language plpgsql as $$ begin
    if exists (select 1 from hidden where thing = old.id) then
      raise exception 'referenced' using errcode = '23503', constraint = 'hidden_thing_fkey'; end if; return null; end $$`);
  await e.db.sql(
    'create constraint trigger refuse after delete on things deferrable initially deferred for each row execute function guard_hidden()',
  );
  const ids = await things(
    e.db,
    [40, 41, 42, 43].map((d) => d * DAY),
  );
  await e.db.sql('grant select on notes, hidden to lapse_app');
  await e.db.sql('insert into notes values (1, $1::uuid)', [ids[0]]);
  await e.db.sql('insert into hidden values ($1::uuid), ($2::uuid)', [ids[1], ids[2]]);
  const result = await e.run({ ...policy, knownTriggers: ['refuse'] });
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 1, kept: { referenced: 1, dead_letter: 2 } });
  expect((await letters()).map((l) => [l.row_key, l.sql_state, l.constraint_name]).sort()).toEqual(
    [ids[1], ids[2]].map((id) => [id, '23503', 'hidden_thing_fkey']).sort(),
  );
});

test('a dead letter waits for its own time, twice as long after each failure, and is resolved when it goes', async () => {
  const policy = await govern(e.db, { knownTriggers: ['refuse'] });
  await refusing();
  const [bad] = await things(e.db, [40 * DAY, 41 * DAY]);
  await e.db.sql("update things set note = 'bad' where id = $1::uuid", [bad]);
  const at = (hours: number) => new Date(NOW.getTime() + hours * 3_600_000);
  const run = (now: Date) => runPolicy({ ...e.services, clock: () => now }, policy, runRequest(now));

  expect(await run(NOW)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await run(at(0.5))).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { dead_letter: 1 } });
  expect(await letters()).toMatchObject([{ attempts: 1 }]);
  await run(at(2));
  expect(await letters()).toMatchObject([{ attempts: 2, waits: 4 * 3600, state: 'open' }]);
  await run(at(3));
  expect(await letters()).toMatchObject([{ attempts: 2 }]);
  await e.db.sql('update things set note = null');
  expect(await run(at(4.5))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await letters()).toMatchObject([{ attempts: 2, state: 'resolved' }]);
  expect(await left(e.db)).toBe(0);
});

test('what a dead letter keeps holds no content of the row', async () => {
  const policy = await govern(e.db, { knownTriggers: ['refuse'] });
  await refusing('secret-of-a-person');
  await things(e.db, [40 * DAY]);
  await e.db.sql("update things set note = 'secret-of-a-person'");
  await e.run(policy);
  expect(JSON.stringify(await letters())).not.toContain('secret-of-a-person');
  expect(await letters()).toHaveLength(1);
});

test('rows that refuse only together go one by one', async () => {
  const policy = await govern(e.db, { knownTriggers: ['together'] });
  await e.db.sql(`create function together() returns trigger language plpgsql as $$ begin
    if (select count(*) from gone) > 1 then raise exception 'too many' using errcode = '23514'; end if; return null; end $$`);
  await e.db.sql(
    'create trigger together after delete on things referencing old table as gone for each statement execute function together()',
  );
  await things(
    e.db,
    [40, 41, 42, 43, 44].map((d) => d * DAY),
  );
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5, batches: 5 });
  expect(await letters()).toEqual([]);
});

test('a row of a taken key is set aside again under one open letter', async () => {
  const policy = thingsPolicy({ knownTriggers: ['refuse'] });
  await govern(e.db);
  await refusing();
  await things(e.db, [40 * DAY]);
  await e.db.sql("update things set note = 'bad'");
  await e.run(policy);
  await e.db.sql('update retention.dead_letter set next_attempt_at = $1::timestamptz', [ago(1)]);
  await e.run(policy);
  expect(await letters()).toMatchObject([{ attempts: 2 }]);
});

test('a row that fails for the thousandth time is tried again in a week at most', async () => {
  const policy = await govern(e.db, { knownTriggers: ['refuse'] });
  await refusing();
  await things(e.db, [40 * DAY]);
  await e.db.sql("update things set note = 'bad'");
  await e.run(policy);
  for (const attempts of [8, 5_000]) {
    await e.db.sql('update retention.dead_letter set attempts = $1::int, run = null, next_attempt_at = $2', [
      attempts,
      ago(1),
    ]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded' });
    expect(await letters()).toMatchObject([{ attempts: attempts + 1, waits: 7 * DAY }]);
  }
});

test('a row that an operator discarded stays, and is counted', async () => {
  const policy = await govern(e.db);
  const [id] = await things(e.db, [40 * DAY, 41 * DAY]);
  await e.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, sql_state, state, next_attempt_at)
     values ('things', 'public.things', $1, 'P0001', 'discarded', $2)`,
    [id, ago(DAY)],
  );
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1, kept: { dead_letter: 1 } });
  expect(await e.db.sql('select id from things')).toEqual([{ id }]);
});

test.each(['40P01', '53100', '55P03', '57014', '58030', '08006'])(
  'a lock or a shortage (%s) blames no row: the whole request may be asked again',
  async (state) => {
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql(`create function short() returns trigger language plpgsql as $$ begin
      raise exception 'not now' using errcode = '${state}'; end $$`);
    await e.db.sql('create trigger short before delete on things for each row execute function short()');
    const trying = e.db.sql(`select * from retention.try_each(array(select ctid from things), null,
      'delete from things t where t.ctid = $1 returning id::text', 'select exists (select 1 from things where id::text = $1)')`);
    await expect(trying).rejects.toMatchObject({ code: state });
  },
);
