/** How many tables a row has below it is no bound: PostgreSQL passes a hundred arguments to a function, not more. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Engine, engine, protect } from '../../support/engine';
import { named } from '../../support/preflight';
import { FRESH, OLD, on, planted, treePolicy } from '../../support/tree';

const TABLES = 120;

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

it('goes with the rows of a hundred and twenty tables below it, as the dry run said', async () => {
  const children = Array.from({ length: TABLES }, (_, i) => `child_${i}`);
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz);
    insert into doc values (1, '${OLD}'), (2, '${FRESH}');
    ${children.map((c) => `create table ${c} (id int primary key, doc int references doc on delete cascade); insert into ${c} values (1, 1), (2, 2);`).join('\n')}`,
  );
  const policy = treePolicy(children.map((c) => on(c, null, 'doc')));
  await protect(e.db, policy);
  const dry = await e.run(policy, { dryRun: true });
  expect(Object.values(dry.preview?.dependants ?? {})).toEqual(children.map(() => 1));
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: TABLES });
  expect((await named(e)).length).toBe(TABLES + 1);
});
