/** A batch is bounded by all rows it deletes: a row with more below it goes over several batches, the deepest rows first. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Engine, engine } from '../../support/engine';
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
}, 60_000);
