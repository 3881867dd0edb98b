/** What adopt drafts of schemas that others have made: where a table refers to itself, or by names alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { draftOf } from '@/lib/dev/adopt/draft';
import type { Chosen } from '@/lib/dev/adopt/keys';
import { reading } from '@/lib/dev/adopt/read-only';
import { type Survey, survey } from '@/lib/dev/adopt/survey';
import { type Verdict, verdicts } from '@/lib/dev/adopt/verdicts';
import { migrate } from '@/lib/dev/migrate';
import { type TestDatabase, testDatabase } from '@/test/support/database';

/** As British schemas have it. */
const SPELLED_OTHERWISE = 'organi_ation'.replace('_', 's');

let db: TestDatabase;
let seen: Survey;
let found: readonly Verdict[];

beforeAll(async () => {
  db = await testDatabase({ empty: true });
  await db.sql(`
    create table ${SPELLED_OTHERWISE} (id uuid primary key, created_at timestamptz not null);
    create table project (id uuid primary key, owner uuid not null references ${SPELLED_OTHERWISE} on delete cascade, deleted_at timestamptz);
    create table api_key (id uuid primary key, project uuid not null references project on delete cascade, made_by uuid references api_key on delete set null);
    create table folder (id uuid primary key, parent uuid references folder on delete set null, deleted_at timestamptz);
    create table invoice (id uuid primary key, customer uuid not null, issued_at timestamptz not null);
    create table fee (id uuid primary key, invoice uuid not null references invoice, original uuid references fee);
    create table tax (id uuid primary key, fee uuid not null references fee on delete restrict);
    create table website_event (event_id uuid primary key, created_at timestamptz not null);
    create table event_data (id uuid primary key, website_event_id uuid not null, folder_id text, note text);
  `);
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  await reading(db.ownerUrl, async (reader) => {
    seen = await survey(reader);
    found = await verdicts(reader, seen, { policies: [], permanent: [] });
  });
});
afterAll(() => db.stop());

const table = (label: string) => seen.tables.find((t) => t.label === label)!;
function draft(label: string, chosen: Chosen = {}) {
  const made = draftOf(seen, table(label), chosen);
  if ('problem' in made) throw new Error(made.problem);
  return made;
}
const kind = (label: string) => found.find((v) => v.table.label === label)?.kind;

describe('a table that refers to itself and lets go', () => {
  it.each([
    ['folder', { table: { name: 'folder' }, references: ['parent'], fate: 'set-null' }],
    [
      'project',
      { table: { name: 'api_key' }, via: { name: 'api_key' }, references: ['made_by'], fate: 'set-null' },
    ],
  ])('has the name taken out by the batch, in a policy of %s, and the engine takes it', (label, expected) => {
    expect(draft(label).input.dependants).toContainEqual(expect.objectContaining(expected));
    expect(['proposed', 'possible']).toContain(kind(label));
  });
});

it('takes along what would keep the rows, at any depth, only where a person says so', () => {
  const fates = (chosen: Chosen) =>
    draft('invoice', chosen).input.dependants?.map((d) => `${d.table.name}.${d.references} ${d.fate}`);
  expect(fates({})).toEqual(['fee.invoice block']);
  expect(fates({ along: true })).toEqual(['fee.invoice delete', 'fee.original delete', 'tax.fee delete']);
});

it('says which columns may name the rows without a foreign key, by name and type', () => {
  expect(draft('website_event').notes).toEqual([
    expect.stringMatching(/without a foreign key by event_data\.website_event_id: .*foreignKey: false/),
  ]);
  // Of another type.
  expect(draft('folder').notes).toEqual([]);
});

it('knows an organization however it is spelled', () => {
  expect(table('project').subjects).toEqual({ organization: 'owner' });
});

it('names the triggers that a person has read: of the table, and of what goes along', () => {
  const { input } = draft('invoice', {
    along: true,
    knownTriggers: ['audit', 'fee.audit', 'public.tax.log'],
  });
  expect(input.knownTriggers).toEqual(['audit']);
  expect(input.dependants?.map((d) => [d.table.name, d.knownTriggers])).toEqual([
    ['fee', ['audit']],
    ['fee', ['audit']],
    ['tax', ['log']],
  ]);
});
