/** Rows that only other rows keep go in the run that takes those: it looks again as long as it deletes. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Engine, engine } from '../../support/engine';
import { OLD, on, planted, present, treePolicy } from '../../support/tree';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

it('frees, one after the other, rows kept by rows of another table that go along with the next', async () => {
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz);
    create table invite (id int primary key, creator int not null references doc, acceptor int not null references doc on delete cascade);
    insert into doc select n, '${OLD}' from generate_series(1, 7) n;
    insert into invite select n, n, n + 1 from generate_series(1, 6) n`,
  );
  const policy = treePolicy([
    on('invite', null, 'creator', { fate: 'block' }),
    on('invite', null, 'acceptor'),
  ]);
  const result = await e.run(policy);
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 7, dependantsDeleted: 6 });
  expect(result.kept.referenced).toBe(0);
  expect(await present(e, 'doc', 'invite')).toEqual([]);
});
