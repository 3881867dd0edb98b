/** What Lapse needs of a governed table: to read it, to delete from it, and to lock its rows; not to write in it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { appLogin } from '../support/app-login';
import { DAY, type Engine, engine, fitsDatabase, govern, left, things } from '../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

it('a run works with the right to update the key alone, and the app can set no clock back', async () => {
  const policy = await govern(e.db);
  await e.db.sql('revoke update on things from lapse_app; grant update (id) on things to lapse_app');
  await things(e.db, [40 * DAY, DAY]);
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await left(e.db)).toBe(1);
  const app = await appLogin(e.db);
  expect(await app.refusal("update things set at = '2000-01-01'")).toBe('42501');
  await app.end();
});

it('what the preflight asks to be granted is just enough', async () => {
  const policy = await govern(e.db);
  await e.db.sql('revoke all on things from lapse_app');
  const [problem] = await fitsDatabase(e, policy);
  expect(problem?.remedy).toBe('GRANT SELECT, DELETE, UPDATE ("id") ON "public"."things" TO lapse_app;');
  await e.db.sql(problem!.remedy!);
  expect(await fitsDatabase(e, policy)).toEqual([]);
});
