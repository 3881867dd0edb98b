import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { readCatalog } from '@/lib/dev/docs/catalog';
import { dataModel } from '@/lib/dev/docs/data-model';
import { problemsOf } from '@/lib/dev/docs/data-model-rules';
import { KEPT, readMarks } from '@/lib/dev/docs/marks';
import { type TestDatabase, testDatabase } from '../../support/database';

let db: TestDatabase;
afterEach(() => db?.stop());

it('docs/DATA-MODEL.md is what the database says: npm run docs:data-model writes it again', async () => {
  db = await testDatabase();
  expect(readFileSync('docs/DATA-MODEL.md', 'utf8')).toBe(dataModel(await readCatalog(db.ownerUrl)));
});

it('every table, column and index of Lapse says what it is for, how it is classified and how long it is kept', async () => {
  db = await testDatabase();
  expect(problemsOf(await readCatalog(db.ownerUrl))).toEqual([]);
});

it('each kind of old records that a job takes away belongs to a table that says so, and no table names another', async () => {
  db = await testDatabase();
  const named = (await readCatalog(db.ownerUrl)).flatMap((t) => readMarks(t.comment).kept);
  expect([...new Set(named)].sort()).toEqual(Object.keys(KEPT).sort());
});

describe('a new table that says nothing', () => {
  it('is named with the lines that mend it, and following them does', async () => {
    db = await testDatabase();
    await db.sql('create table retention.bare (id uuid primary key, note text, n int)');
    await db.sql('create index bare_n on retention.bare (n)');
    const problems = problemsOf(await readCatalog(db.ownerUrl));
    expect(problems.map((p) => p.split(" is '")[0])).toEqual([
      'comment on table retention.bare',
      'comment on column retention.bare.id',
      'comment on column retention.bare.note',
      'comment on column retention.bare.n',
      'comment on index retention.bare_n',
      'alter table retention.bare add column created_at timestamptz not null default now();',
      'alter table retention.bare add column updated_at timestamptz not null default now();',
      'create trigger lapse_touch before update on retention.bare for each row execute function retention.touch();',
    ]);
    for (const problem of problems) await db.sql(problem);
    // The two columns that were added are to be explained in turn.
    const left = problemsOf(await readCatalog(db.ownerUrl));
    expect(left.map((p) => p.split(" is '")[0])).toEqual([
      'comment on column retention.bare.created_at',
      'comment on column retention.bare.updated_at',
    ]);
    for (const problem of left) await db.sql(problem);
    expect(problemsOf(await readCatalog(db.ownerUrl))).toEqual([]);
  });

  it.each([
    ['secret; kept: current', 'comment on table retention.bare'],
    ['internal', 'comment on table retention.bare'],
    ['internal; kept: a while', 'says "kept: a while", which has no meaning here'],
    ['internal; kept: current; forever', 'says "forever", which has no meaning here'],
    ['restricted; kept: current', 'revoke select on retention.bare from lapse_app'],
    ['internal; kept: current; append-only', 'revoke update on retention.bare from lapse_app'],
  ])('is refused as [%s]', async (brackets, problem) => {
    db = await testDatabase();
    await db.sql(`create table retention.bare (id uuid primary key, created_at timestamptz not null);
      grant select, update on retention.bare to lapse_app;
      comment on table retention.bare is 'Of a test. [${brackets}]'`);
    expect(problemsOf(await readCatalog(db.ownerUrl)).join('\n')).toContain(problem);
  });

  it.each(['', 'confidential; personal: a name', 'confidential; handling: evidence'])(
    'is refused with a column of text that says [%s]',
    async (brackets) => {
      db = await testDatabase();
      await db.sql(`create table retention.bare (id uuid primary key, created_at timestamptz not null, note text);
        comment on table retention.bare is 'Of a test. [internal; kept: current]';
        comment on column retention.bare.note is 'A note. ${brackets && `[${brackets}]`}'`);
      expect(problemsOf(await readCatalog(db.ownerUrl))).toContainEqual(
        expect.stringContaining('comment on column retention.bare.note is'),
      );
    },
  );
});
