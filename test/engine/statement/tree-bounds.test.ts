/** A batch is bounded by all rows it deletes: a row with more below it goes over several batches, the deepest rows first. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { type Engine, engine, NOW, protect, runRequest } from '../../support/engine';
import { named } from '../../support/preflight';
import { FRESH, OLD, on, planted, present, treePolicy } from '../../support/tree';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const receipts = () =>
  e.db.sql(
    'select deleted::int, dependants_deleted::int as along, dependants from retention.receipt order by seq',
  );

/** A root with thirty tables below it, 15,100 rows in one of them and a level below that. */
async function thirtyTables(): Promise<ReturnType<typeof treePolicy>> {
  const children = Array.from({ length: 30 }, (_, i) => `child_${i}`);
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz);
    ${children.map((c) => `create table ${c} (id int primary key, doc int references doc on delete cascade);`).join('\n')}
    create table leaf (id int primary key, child int references child_7 on delete cascade);
    insert into doc values (1, '${OLD}'), (2, '${OLD}'), (3, '${FRESH}');
    ${children.map((c, _i) => `insert into ${c} select n, 1 + (n > 20)::int + (n > 30)::int from generate_series(1, 40) n;`).join('\n')}
    insert into child_7 select n, 1 from generate_series(100, 15199) n;
    insert into leaf select n, n from generate_series(100, 2099) n`,
  );
  return treePolicy([...children.map((c) => on(c, null, 'doc')), on('leaf', 'child_7', 'child')]);
}

it('takes a row with more below it than a batch apart, and the row itself last', async () => {
  const policy = await thirtyTables();
  const rows = 2 + 30 * 30 + 15_100 + 2_000;
  const real = await e.run(policy, { batchSize: 100 });
  expect(real).toMatchObject({ outcome: 'succeeded', deleted: 2, dependantsDeleted: rows - 2 });
  const all = await receipts();
  expect(all.length).toBeGreaterThan(16);
  for (const r of all) expect(Number(r.deleted) + Number(r.along)).toBeLessThanOrEqual(1_000);
  // The deepest first, and nothing below a row after it.
  expect(Object.keys(all[0]!.dependants as object)).toContain('public.leaf');
  expect(all.findIndex((r) => Number(r.deleted) > 0)).toBeGreaterThan(16);
  const gone = await named(e);
  expect(gone.length).toBe(rows);
  expect(new Set(gone).size).toBe(rows);
  expect(await present(e, 'doc', 'child_7', 'leaf')).toEqual([
    'public.child_7 31',
    ...Array.from({ length: 9 }, (_, i) => `public.child_7 ${32 + i}`),
    'public.doc 3',
  ]);
});

it('finds what hangs on rows behind others that it knows already', async () => {
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz);
    create table note (id int primary key, doc int not null references doc on delete cascade, note int references note on delete cascade);
    insert into doc values (1, '${OLD}'), (2, '${FRESH}');
    insert into note select n, 1, case when n > 1 then 1 end from generate_series(1, 15) n;
    insert into note select n, 2, 1 from generate_series(16, 19) n;
    insert into note values (20, 2, null)`,
  );
  const policy = treePolicy([on('note', null, 'doc'), on('note', 'note', 'note')]);
  // A batch takes twenty rows, of which sixteen are known before those of the other document are looked for.
  const real = await e.run(policy, { batchSize: 2 });
  expect(real, real.message).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 19 });
  expect((await named(e)).length).toBe(20);
  expect(await present(e, 'doc', 'note')).toEqual(['public.doc 2', 'public.note 20']);
});

describe('after a batch that says how many rows hang on one', () => {
  const chain = treePolicy([on('note', null, 'doc'), on('page', 'note', 'note')]);

  /** Documents with three notes each, and those with two pages; one of them has `most` notes. */
  async function planned(docs: number, most: number): Promise<void> {
    await planted(
      e,
      `create table doc (id int primary key, at timestamptz);
      create table note (id serial primary key, doc int not null references doc on delete cascade);
      create table page (id serial primary key, note int not null references note on delete cascade);
      insert into doc select n, timestamptz '${OLD}' + make_interval(secs => n) from generate_series(1, ${docs}) n;
      insert into note (doc) select n from generate_series(1, ${docs}) n, generate_series(1, 3) where n <> ${docs - 5};
      insert into page (note) select id from note, generate_series(1, 2);
      insert into note (doc) select ${docs - 5} from generate_series(1, ${most})`,
    );
  }

  /** Runs it, and says of each batch whether what has nothing below it was counted first, and what became of it. */
  async function asked(failing: (text: string) => DatabaseError | null = () => null) {
    await protect(e.db, chain);
    const seen: { counted: boolean; error: string | null }[] = [];
    const { database } = e.services;
    const watched: Database = {
      async transaction(statements, options) {
        const deleting = statements.find((s) => s.text.includes('write_receipt('));
        if (!deleting) return database.transaction(statements, options);
        const counted = !deleting.text.includes('refuse_more(');
        try {
          const error = failing(deleting.text);
          if (error) throw error;
          const rows = await database.transaction(statements, options);
          seen.push({ counted, error: null });
          return rows;
        } catch (error) {
          seen.push({ counted, error: (error as DatabaseError).sqlState });
          throw error;
        }
      },
    };
    const run = await runPolicy(
      { ...e.services, database: watched },
      chain,
      runRequest(NOW, { batchSize: 20 }),
    );
    return { run, seen };
  }

  it('counts the first, and of the next what has nothing below it only as it goes', async () => {
    await planned(60, 3);
    const { run, seen } = await asked();
    expect(run).toMatchObject({ outcome: 'succeeded', deleted: 60, dependantsDeleted: 60 * 3 + 59 * 6 });
    expect(seen.map((s) => s.counted)).toEqual([true, ...seen.slice(1).map(() => false)]);
    expect(seen.length).toBeGreaterThan(3);
    expect(seen.filter((s) => s.error !== null)).toEqual([]);
    expect(new Set(await named(e)).size).toBe(60 + 60 * 3 + 59 * 6);
  });

  it('takes a row apart that has far more below it than those before', async () => {
    await planned(60, 3_000);
    await e.db.sql('insert into page (note) select id from note where doc = 55');
    const { run, seen } = await asked();
    const rows = 60 + 59 * 9 + 6_000;
    expect(run).toMatchObject({ outcome: 'succeeded', deleted: 60, dependantsDeleted: rows - 60 });
    for (const r of await receipts()) expect(Number(r.deleted) + Number(r.along)).toBeLessThanOrEqual(400);
    const gone = await named(e);
    expect(gone.length).toBe(rows);
    expect(new Set(gone).size).toBe(rows);
    expect(await present(e, 'doc', 'note', 'page')).toEqual([]);
    expect(seen.some((s) => s.counted && s.error === null)).toBe(true);
  });

  it('lets nothing go where the deletion finds more than a batch may take, and counts first then', async () => {
    await planned(60, 1);
    await e.db.sql('insert into page (note) select id from note, generate_series(1, 900) where doc = 55');
    const { run, seen } = await asked();
    const rows = 60 + 59 * 9 + 1 + 900;
    expect(run).toMatchObject({ outcome: 'succeeded', deleted: 60, dependantsDeleted: rows - 60 });
    const overrun = seen.findIndex((s) => s.error === 'LP017');
    expect(seen[overrun]).toEqual({ counted: false, error: 'LP017' });
    expect(seen[overrun + 1]).toEqual({ counted: true, error: null });
    const gone = await named(e);
    expect(gone.length).toBe(rows);
    expect(new Set(gone).size).toBe(rows);
  });

  it('counts first where one that was not counted took too long', async () => {
    await planned(60, 3);
    const slow = new DatabaseError('timeout', '57014', 'canceling statement due to statement timeout');
    const { run, seen } = await asked((text) => (text.includes('refuse_more(') ? slow : null));
    expect(run).toMatchObject({ outcome: 'succeeded', deleted: 60 });
    expect(seen.some((s) => s.error === '57014')).toBe(true);
    expect(seen.filter((s) => s.error === null).every((s) => s.counted)).toBe(true);
    // None is divided for it: the same rows go at once in the other form.
    expect((await receipts()).length).toBe(3);
  });
});
