/** R6: what a receipt says is gone is gone when the batch commits. */
import { afterEach, expect, it } from 'vitest';
import { DAY, type Engine, engine, govern, receipted, things } from '../../support/engine';

let e: Engine;
afterEach(() => e?.stop());

it('names no row that a declared trigger put back under its key: it is set aside, and the others go', async () => {
  e = await engine();
  const policy = await govern(e.db, { knownTriggers: ['undo'] });
  await things(
    e.db,
    Array.from({ length: 20 }, (_, i) => (40 + i) * DAY),
  );
  await e.db.sql(`create function undo() returns trigger language plpgsql security definer as $$ begin
    if old.note = 'keep' then insert into things select old.*; end if; return null; end $$`);
  await e.db.sql('create trigger undo after delete on things for each row execute function undo()');
  await e.db.sql(`update things set note = 'keep' where id = (select id from things order by at limit 1)`);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 19, kept: { dead_letter: 1 } });
  const [kept, ...others] = await e.db.sql('select id::text from things');
  expect(others).toEqual([]);
  expect((await receipted(e.db)).size).toBe(19);
  expect((await receipted(e.db)).has(String(kept?.id))).toBe(false);
  expect(await e.db.sql('select row_key, sql_state from retention.dead_letter')).toEqual([
    { row_key: kept?.id, sql_state: 'LP007' },
  ]);
});
