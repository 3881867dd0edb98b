/** `npm run proof:schema`, small: the schema of somebody else goes exactly as PostgreSQL itself would take it, or it is noticed. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { proveSchema } from '@/lib/dev/proof/schema/proof';
import { type PrivateCloud, privateCloud } from '../support/cloud';

let cloud: PrivateCloud;
beforeAll(async () => {
  cloud = await privateCloud();
});
afterAll(() => cloud?.stop());

const school = () => ({
  cloud,
  schema: readFileSync('lib/dev/proof/school.sql', 'utf8'),
  rows: 40,
  seed: 3,
  say: () => undefined,
});

it('what adopt drafts for tables with others below them, and below themselves, goes as one DELETE with cascades', async () => {
  const proof = await proveSchema({ ...school(), only: ['Lesson', 'office.letters', 'studio.folders'] });
  expect(proof.wrong).toEqual([]);
  expect(proof.exact).toBe(3);
  expect(proof.rows).toBeGreaterThan(30);
});

it('reads a date that may be missing as adopt drafts it, and counts each table once', async () => {
  const proof = await proveSchema({
    ...school(),
    schema: `create table entry (id int primary key, happened_at timestamptz, created_at timestamptz not null);
      create table part (id int primary key, entry int not null references entry)`,
  });
  expect(proof).toMatchObject({ exact: 1, refused: [], wrong: [] });
  expect(proof.rows).toBeGreaterThan(10);
});

it('says of a table why it cannot be governed', async () => {
  const proof = await proveSchema({ ...school(), only: ['studio.outbox'] });
  expect(proof.refused).toEqual([expect.stringMatching(/trigger "keep"/)]);
});

it.each([
  ['a row too many', 'delete from "Tag" where id = (select min(id) from "Tag")', /PostgreSQL leaves .*"Tag"/],
  ['a row that was changed', `update "User" set name = 'changed'`, /"User".*, others/],
  [
    'a row that is in no receipt',
    'delete from "LessonNote" where id = (select min(id) from "LessonNote")',
    /receipts name/,
  ],
])('notices %s', async (_, statement, words) => {
  const proof = await proveSchema({
    ...school(),
    only: ['Lesson'],
    meddle: (owner) => owner.query(statement),
  });
  expect(proof.exact).toBe(0);
  expect(proof.wrong.join('\n')).toMatch(words);
});
