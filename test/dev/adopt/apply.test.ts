import { afterAll, beforeAll, expect, it } from 'vitest';
import { apply } from '@/lib/dev/adopt/apply';
import { repeatable } from '@/lib/dev/adopt/judge';
import { grown, stepsOf } from '@/lib/dev/adopt/sql-file';
import { type TestDatabase, testDatabase } from '@/test/support/database';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.stop());

const run = (...statements: string[]) =>
  apply(
    db.ownerUrl,
    statements.map((statement) => ({ statement, why: 'a test asks for it' })),
    () => undefined,
  );
const valid = async (index: string) =>
  (await db.sql('select indisvalid from pg_index where indexrelid = to_regclass($1)', [index]))[0]
    ?.indisvalid;

it('builds an index anew that an interrupted build has left, under the same name', async () => {
  await db.sql('create table pages (n int)');
  await db.sql('insert into pages values (1), (1)');
  await expect(db.sql('create unique index concurrently lapse_pages_n on pages (n)')).rejects.toThrow(
    /duplicate|could not create/,
  );
  expect(await valid('lapse_pages_n')).toBe(false);
  const done = await run('CREATE INDEX CONCURRENTLY IF NOT EXISTS lapse_pages_n ON "public"."pages" ("n");');
  expect(done.map((d) => d.error)).toEqual([null]);
  expect(await valid('lapse_pages_n')).toBe(true);
});

it('says which statement failed, runs the others, and may be run again', async () => {
  await db.sql('create table letters (n int)');
  const statements = [
    'GRANT SELECT ON "public"."nowhere" TO public;',
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS lapse_letters_n ON "public"."letters" ("n");',
  ];
  for (const _ of [1, 2]) {
    const [first, second] = await run(...statements);
    expect(first!.error).toMatch(/does not exist \(42P01\)/);
    expect(second!.error).toBeNull();
  }
  expect(await valid('lapse_letters_n')).toBe(true);
});

it('runs what a statement answers, each by itself, and nothing when it is run again', async () => {
  await db.sql(
    `create table visits (id int, n int) partition by hash (id); create table visits_0 partition of visits for values with (modulus 1, remainder 0)`,
  );
  const { text } = grown(null, [
    {
      policy: 'visits',
      steps: [
        {
          statement: repeatable(`SELECT retention.index_statements('"public"."visits"', '"n"');`),
          why: 'no index',
        },
      ],
    },
  ]);
  const [step] = stepsOf(text);
  expect(step!.statement).toMatch(/\) \\gexec$/);
  for (const _ of [1, 2]) expect((await run(step!.statement)).map((d) => d.error)).toEqual([null]);
  expect(
    await db.sql(
      'select indrelid::regclass::text as t, indisvalid as valid from pg_index where indrelid::regclass::text ~ $1 order by 1',
      ['^visits'],
    ),
  ).toEqual([
    { t: 'visits', valid: true },
    { t: 'visits_0', valid: true },
  ]);
});
