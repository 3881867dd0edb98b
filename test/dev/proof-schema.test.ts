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

it.each([
  [
    'domains of domains, as keys and as clocks',
    `create domain public_id as text check (length(value) > 40); create domain part_id as public_id not null;
      create domain biguint as bigint check (value >= 0); create domain moment as timestamptz; create domain instant as moment;
      create table entry (id part_id primary key, event_time biguint not null, event_name text);
      create table part (id part_id primary key, entry public_id not null references entry, created_at instant not null)`,
    2,
  ],
  [
    'keys whose uniqueness waits, and triggers and rules of its own on new rows',
    `create function no() returns trigger language plpgsql as 'begin raise exception ''no''; end';
      create table entry (id int primary key, place int unique deferrable, created_at timestamptz not null);
      create table part (id int primary key, entry int not null references entry on delete cascade, created_at timestamptz not null);
      create trigger no before insert on entry for each row execute function no();
      create rule no as on insert to part do instead nothing`,
    2,
  ],
  [
    'tables that inherit, whose rows are counted once',
    `create table base (id int, created_at timestamptz); create table note (primary key (id)) inherits (base);
      alter table note alter created_at set not null`,
    1,
  ],
  [
    'references that are set to null one after the other, to rows that go at several depths',
    `create table organization (id int primary key, created_at timestamptz not null);
      create table client (id int primary key, organization int not null references organization on delete cascade);
      create table token (id int primary key, client int not null references client on delete cascade);
      create table log (id int primary key, organization int references organization on delete set null,
        client int references client on delete set null, token int references token on delete set null)`,
    1,
  ],
])('knows %s', async (_, schema, exact) => {
  const proof = await proveSchema({ ...school(), schema });
  expect(proof).toMatchObject({ exact, wrong: [], empty: [] });
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
