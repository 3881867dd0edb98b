import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import type { Policy } from '@/lib/policies/contract';
import { type DataMapInput, defineDataMap } from '@/lib/policies/data-map-contract';
import type { Finding } from '@/lib/watch/drift/judge';
import { lookForDrift } from '@/lib/watch/drift/look';
import { type Engine, engine, thingsPolicy } from '../../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
  // A schema with nothing in it but what a test makes.
  await e.db.sql('drop schema public cascade');
  await e.db.sql('create schema public');
  await e.db.sql('grant usage on schema public to lapse_app');
});
afterEach(() => e.stop());

const look = (map: DataMapInput, policies: readonly Policy[] = []): Promise<Finding[]> =>
  lookForDrift(e.services.database, { dataMap: defineDataMap(map), policies });
/** The line as the map would read it. */
const read = (line: string): DataMapInput => new Function(`return {${line}}`)() as DataMapInput;

const people = () =>
  e.db.sql(`create table "Person" (id bigint primary key, email text not null, "birthDate" date, city text);
    create table visits (id bigint primary key, person_id bigint references "Person" on delete cascade, ip inet, seen timestamptz)`);

describe('a table without a decision', () => {
  it('is named with the exact line to add, and with it nothing is left but the decision', async () => {
    await people();
    const found = await look({});
    expect(found.map((f) => [f.kind, f.subject])).toEqual([
      ['table', 'public.Person'],
      ['table', 'public.visits'],
    ]);
    expect(found[0]?.problem).toBe(
      'public.Person has no decision in the data map; email, birthDate look personal',
    );
    expect(found[0]?.remedy).toBe(
      `  'public.Person': { undecided: true, confidential: { delete: ['email', 'birthDate'] } },`,
    );
    const followed = await look({ ...read(found[0]!.remedy), ...read(found[1]!.remedy) });
    expect(followed.filter((f) => f.kind !== 'foreign-key').map((f) => [f.kind, f.subject])).toEqual([
      ['undecided', 'public.Person'],
      ['undecided', 'public.visits'],
    ]);
  });

  it('is given to the policy that governs it', async () => {
    await e.db.sql('create table things (id uuid primary key, at timestamptz, org uuid, person uuid)');
    const [found] = await look({}, [thingsPolicy()]);
    expect(found?.remedy).toBe(`  'public.things': { policy: 'things' },`);
  });

  it('may lie in any schema, be partitioned or a view that keeps rows, and is told once', async () => {
    await e.db.sql(`create schema crm; create table crm."Lead" (id int primary key);
      create table log (at timestamptz) partition by range (at);
      create table log_2026 partition of log for values from ('2026-01-01') to ('2027-01-01');
      create materialized view summary as select 1 as n; create view seen as select 1 as n`);
    expect((await look({})).map((f) => f.subject)).toEqual(['crm.Lead', 'public.log', 'public.summary']);
  });
});

describe('a column that looks personal', () => {
  const decided = {
    'public.visits': { technical: 'a table of the tests', confidential: { delete: ['person_id'] } },
  };

  it('is named with the whole line, which then is enough', async () => {
    await people();
    const map: DataMapInput = {
      ...decided,
      'public.Person': { kept: 'while the account lasts', confidential: { delete: ['email'] } },
    };
    const columns = (await look(map)).filter((f) => f.kind === 'column');
    expect(columns.map((f) => f.subject)).toEqual(['public.Person.birthDate', 'public.visits.ip']);
    expect(columns[0]?.remedy).toBe(
      `  'public.Person': { kept: 'while the account lasts', confidential: { delete: ['email', 'birthDate'] } },`,
    );
    const followed = { ...map, ...read(columns[0]!.remedy), ...read(columns[1]!.remedy) };
    expect((await look(followed)).filter((f) => f.kind === 'column')).toEqual([]);
  });

  it('is masked where the row stays, by a hash where it cannot be empty', async () => {
    await people();
    const map: DataMapInput = {
      ...decided,
      'public.Person': { permanent: 'the law says so', confidential: { mask: { birthDate: null } } },
    };
    const [found] = (await look(map)).filter((f) => f.subject === 'public.Person.email');
    expect(found?.remedy).toContain(`confidential: { mask: { birthDate: null, email: 'hash' } }`);
    expect(() => defineDataMap(read(found!.remedy))).not.toThrow();
  });

  it('is nobody’s where the map says impersonal', async () => {
    await people();
    const map: DataMapInput = {
      ...decided,
      'public.Person': { kept: 'while it lasts', impersonal: ['email', 'birthDate'] },
    };
    expect((await look(map)).filter((f) => f.subject.startsWith('public.Person.'))).toEqual([]);
  });
});

describe('a foreign key without an index', () => {
  it('is named with the statement where rows go from its table, and no more once it is run', async () => {
    await people();
    const map: DataMapInput = {
      'public.Person': { kept: 'while the account lasts', confidential: { delete: ['email', 'birthDate'] } },
      'public.visits': { technical: 'a table of the tests', confidential: { delete: ['person_id', 'ip'] } },
    };
    const [found, ...rest] = await look(map);
    expect(rest).toEqual([]);
    expect(found).toMatchObject({ kind: 'foreign-key', subject: 'public.visits.visits_person_id_fkey' });
    expect(found?.remedy).toBe('CREATE INDEX CONCURRENTLY ON "public"."visits" ("person_id");');
    await e.db.sql(found!.remedy);
    expect(await look(map)).toEqual([]);
  });

  it('is told once, though the policy’s own preflight asks for it as well', async () => {
    await e.db.sql(`create table things (id uuid primary key, at timestamptz, org uuid, person uuid);
      create schema crm; create table crm."Part" (id int primary key, thing uuid references things)`);
    const map: DataMapInput = {
      'public.things': { policy: 'things' },
      'crm.Part': { technical: 'a table of the tests' },
    };
    const statement = 'CREATE INDEX CONCURRENTLY ON "crm"."Part" ("thing");';
    const kinds = (await look(map, [thingsPolicy()]))
      .filter((f) => f.remedy === statement)
      .map((f) => f.kind);
    expect(kinds).toEqual(['foreign-key']);
  });

  it('does not matter where no row ever goes', async () => {
    await e.db.sql(
      `create table country (id int primary key); create table city (id int primary key, country int references country)`,
    );
    const map: DataMapInput = {
      'public.country': { technical: 'a list of countries' },
      'public.city': { technical: 'a list of cities' },
    };
    expect(await look(map)).toEqual([]);
  });
});

describe('the map and the policies', () => {
  it('are told apart from what is there: tables, columns and policies that went', async () => {
    await people();
    const found = await look(
      {
        'public.Person': { policy: 'persons', confidential: { delete: ['email', 'birthDate', 'phone'] } },
        'public.visits': { policy: 'things', confidential: { delete: ['person_id', 'ip'] } },
        'public.gone': { technical: 'a table of the tests' },
      },
      [thingsPolicy()],
    );
    expect(found.filter((f) => f.kind === 'map').map((f) => f.problem)).toEqual([
      'the data map names phone, and public.Person has no such column',
      'the data map assigns public.Person to persons, and there is no such policy',
      'things takes no row of public.visits',
      'the data map has public.gone, and there is no such table',
    ]);
    // A policy whose table went, as its next run would be refused.
    expect(found.filter((f) => f.kind === 'policy')[0]?.problem).toMatch(/"public"."things" does not exist/);
  });

  it('do not disagree: a policy deletes only where the map says so', async () => {
    await e.db.sql('create table things (id uuid primary key, at timestamptz, org uuid, person uuid)');
    const found = await look({ 'public.things': { kept: 'forever and a day' } }, [thingsPolicy()]);
    expect(found.find((f) => f.kind === 'map')).toMatchObject({
      problem: 'things deletes from public.things, and the data map says kept',
      remedy: `  'public.things': { policy: 'things' },`,
    });
  });

  it('name a clock without an index, a column that went, and go quiet when it is mended', async () => {
    await e.db.sql('create table things (id uuid primary key, at timestamptz, org uuid)');
    const map: DataMapInput = { 'public.things': { policy: 'things' } };
    const found = await look(map, [thingsPolicy()]);
    const problems = found.map((f) => f.problem).join('\n');
    expect(problems).toMatch(/has no index on \("at", "id"\)/);
    expect(problems).toMatch(/person/);
    await e.db.sql('alter table things add person uuid');
    for (const { remedy } of await look(map, [thingsPolicy()])) await e.db.sql(remedy);
    expect(await look(map, [thingsPolicy()])).toEqual([]);
  });

  it('do not empty a column that cannot be empty', async () => {
    await people();
    const [found] = (
      await look({
        'public.Person': {
          kept: 'while the account lasts',
          confidential: { mask: { email: null, birthDate: null } },
        },
      })
    ).filter((f) => f.kind === 'map');
    expect(found).toMatchObject({
      subject: 'public.Person.email',
      remedy: `mask it with 'hash' or a constant`,
    });
  });
});

it('a policy that cannot be looked at is told as such, and hides no other', async () => {
  await e.db.sql('create table things (id uuid primary key, at timestamptz, org uuid, person uuid)');
  const database: Database = {
    transaction: (statements, options) =>
      JSON.stringify(statements).includes('not_answered')
        ? Promise.reject(new DatabaseError('timeout', '57014', 'PostgreSQL 57014'))
        : e.services.database.transaction(statements, options),
  };
  const silent = thingsPolicy({ name: 'silent', table: { name: 'not_answered' } });
  const dataMap = defineDataMap({ 'public.things': { policy: 'things' } });
  const found = await lookForDrift(database, { dataMap, policies: [silent, thingsPolicy()] });
  expect(found[0]).toMatchObject({ kind: 'unread', subject: 'silent', problem: 'PostgreSQL 57014' });
  expect(found.slice(1).every((f) => f.kind === 'policy' && f.subject === 'things')).toBe(true);
  expect(found.length).toBeGreaterThan(1);
});

it('catalogs that cannot be read are told as such, and each policy is looked at all the same', async () => {
  const database: Database = {
    transaction: (statements, options) =>
      statements.some((s) => s.text.includes('unindexed'))
        ? Promise.reject(new DatabaseError('timeout', '57014', 'PostgreSQL 57014'))
        : e.services.database.transaction(statements, options),
  };
  const found = await lookForDrift(database, { dataMap: [], policies: [thingsPolicy()] });
  expect(found.map((f) => [f.kind, f.subject, f.problem])).toEqual([
    ['unread', 'data map', 'PostgreSQL 57014'],
    ['policy', 'things', expect.stringContaining('does not exist')],
  ]);
});

it('reads the catalogs alone, a page of tables a request, however many there are', async () => {
  await e.db.sql(`do $$ begin
    for i in 1..900 loop execute format('create table t%s (id int primary key, email text)', lpad(i::text, 4, '0')); end loop;
  end $$`);
  const sent: string[] = [];
  const database: Database = {
    transaction: (statements, options) => {
      expect(options.readOnly).toBe(true);
      sent.push(...statements.slice(1).map((s) => s.text));
      return e.services.database.transaction(statements, options);
    },
  };
  const found = await lookForDrift(database, { dataMap: [], policies: [] });
  expect(found).toHaveLength(900);
  expect(new Set(found.map((f) => f.subject)).size).toBe(900);
  expect(sent).toHaveLength(3);
  expect(sent.join()).not.toMatch(/public\./);
  // Tables beyond the last page that is read: told, and no line of the map is called stale for them.
  const dataMap = defineDataMap({ 'public.t0900': { undecided: true } });
  const first = await lookForDrift(database, { dataMap, policies: [] }, () => true, 2);
  expect(first).toHaveLength(801);
  expect(first.filter((f) => f.kind !== 'table')).toMatchObject([
    { kind: 'unread', subject: 'data map', problem: 'only the first 800 tables were looked at' },
  ]);
});
