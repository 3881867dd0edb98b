/** The guard: a table that rows leave by a batch has it, or its policy is refused with the statement that mends it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DAY, type Engine, engine, fitsDatabase, govern, things, thingsPolicy } from '../../support/engine';
import { addMonth, partitioned } from '../../support/partitioned';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const without = async (...tables: string[]) => {
  for (const t of tables) await e.db.sql(`drop trigger lapse_guard on ${t}`);
};

/** Follows each remedy as it is printed. */
async function mend(problems: readonly { remedy: string }[]) {
  for (const { remedy } of problems) await e.db.sql(remedy);
}

it('a governed table without it is refused, and fits when the remedy is followed', async () => {
  const policy = await govern(e.db);
  await without('things');
  // Another trigger of Lapse's is no guard.
  await e.db.sql(
    'create trigger lapse_touch before update on things for each row execute function retention.touch()',
  );
  const problems = await fitsDatabase(e, policy);
  expect(problems.map((p) => p.remedy)).toEqual([`SELECT retention.protect('public.things');`]);
  await mend(problems);
  expect(await fitsDatabase(e, policy)).toEqual([]);
});

it('a guard that is switched off does not count', async () => {
  const policy = await govern(e.db);
  await e.db.sql('alter table things disable trigger lapse_guard');
  const problems = await fitsDatabase(e, policy);
  expect(problems).toHaveLength(1);
  await mend(problems);
  expect(await fitsDatabase(e, policy)).toEqual([]);
});

it('a dependant that goes along needs it, one that stays does not', async () => {
  await govern(e.db);
  const dependant = (name: string, fate: 'delete' | 'keep') => ({
    table: { name },
    key: [{ column: 'id', type: 'integer' }],
    references: ['thing'],
    fate,
  });
  for (const [name, rule] of [
    ['goes', 'cascade'],
    ['stays', 'set null'],
  ]) {
    await e.db.sql(
      `create table ${name} (id int primary key, thing uuid references things on delete ${rule})`,
    );
    await e.db.sql(`create index on ${name} (thing)`);
    await e.db.sql(`grant select, update, delete on ${name} to lapse_app`);
  }
  const policy = thingsPolicy({ dependants: [dependant('goes', 'delete'), dependant('stays', 'keep')] });
  const problems = await fitsDatabase(e, policy);
  expect(problems.map((p) => p.remedy)).toEqual([`SELECT retention.protect('public.goes');`]);
  await mend(problems);
  expect(await fitsDatabase(e, policy)).toEqual([]);
});

it('each partition needs it, for rows leave by their partitions', async () => {
  const policy = await partitioned(e.db);
  await addMonth(e.db, '2026-04');
  await without('visits_2026_04');
  const problems = await fitsDatabase(e, policy);
  expect(problems.map((p) => p.remedy)).toEqual([`SELECT retention.protect('public.visits_2026_04');`]);
  await mend(problems);
  expect(await fitsDatabase(e, policy)).toEqual([]);
});

it('the guard lets a superuser who does not own the table delete, as it does the owner', async () => {
  await govern(e.db);
  await things(e.db, [40 * DAY]);
  await e.db.sql('alter table things owner to pg_database_owner');
  expect(await e.db.sql('delete from things returning 1')).toHaveLength(1);
});

it.each(['lapse_app', 'lapse_operator', 'lapse_reader'])(
  'the guard stops also a login that has the rights of %s only by changing its role',
  async (role) => {
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    const login = `guarded_${e.db.name.slice(-12)}`;
    await e.db.sql(
      `create role ${login} login noinherit in role ${role}; grant select, delete on things to ${role}`,
    );
    try {
      const session = await e.db.session();
      await session.sql(`set session authorization ${login}`);
      await session.sql(`set role ${role}`);
      await expect(session.sql('delete from things')).rejects.toMatchObject({ code: 'LP012' });
      session.end();
      expect(await e.db.sql('select 1 from things')).toHaveLength(1);
    } finally {
      await e.db.sql(`drop role ${login}`);
    }
  },
);
