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
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 1, kept: { referenced: 6 }, mayFollow: 6 });
  expect(dry.message).toContain('up to 6 rows more may go');
  const result = await e.run(policy);
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 7, dependantsDeleted: 6 });
  expect(result.kept.referenced).toBe(0);
  expect(await present(e, 'doc', 'invite')).toEqual([]);
});

it('promises nothing more where what keeps a row never leaves', async () => {
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz);
    create table note (id int primary key, doc int not null references doc on delete cascade);
    create table pin (id int primary key, doc int not null references doc);
    insert into doc select n, '${OLD}' from generate_series(1, 3) n;
    insert into note select n, n from generate_series(1, 3) n;
    insert into pin values (1, 1)`,
  );
  const policy = treePolicy([on('note', null, 'doc'), on('pin', null, 'doc', { fate: 'block' })]);
  const { preview, message } = await e.run(policy, { dryRun: true });
  expect(preview).toMatchObject({ expired: 2, kept: { referenced: 1 }, mayFollow: 0 });
  expect(message).toBe('dry run: nothing was deleted');
});
