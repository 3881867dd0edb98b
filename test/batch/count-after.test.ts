/** R6: what a receipt says is gone is gone when the batch commits. */
import { afterEach, expect, it } from 'vitest';
import { DAY, type Engine, engine, govern, left, receipted, things } from '../support/engine';

let e: Engine;
afterEach(() => e?.stop());

it('rolls a batch back when a declared trigger put a row back under its key', async () => {
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
  expect(await e.run(policy)).toMatchObject({
    outcome: 'errored',
    message: expect.stringContaining('named 20, left 1'),
    deleted: 0,
  });
  expect(await receipted(e.db)).toEqual(new Map());
  expect(await left(e.db)).toBe(20);
});
