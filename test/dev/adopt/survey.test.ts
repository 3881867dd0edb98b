import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCatalog } from '@/lib/dev/adopt/catalog';
import { subjectsOf, technicalBecause } from '@/lib/dev/adopt/conventions';
import { reading } from '@/lib/dev/adopt/read-only';
import { report } from '@/lib/dev/adopt/report';
import type { Sample } from '@/lib/dev/adopt/sample';
import { type Survey, survey } from '@/lib/dev/adopt/survey';
import { type Verdict, verdicts } from '@/lib/dev/adopt/verdicts';
import { type TestDatabase, testDatabase } from '@/test/support/database';
import { school } from '@/test/support/school';

let db: TestDatabase;
let seen: Survey;
let found: readonly Verdict[];
let words: string;

beforeAll(async () => {
  db = await school();
  await reading(db.ownerUrl, async (reader) => {
    seen = await survey(reader);
    found = await verdicts(reader, seen, { policies: [], permanent: [] });
  });
  words = report(seen, found);
});
afterAll(() => db.stop());

const of = (kind: Verdict['kind']) => found.filter((v) => v.kind === kind).map((v) => v.table.label);
const table = (label: string) => seen.tables.find((t) => t.label === label)!;
const refusal = (label: string) => {
  const verdict = found.find((v) => v.table.label === label);
  return verdict?.kind === 'refused'
    ? verdict.problems.map((p) => `${p.problem}: ${p.remedy}`).join('\n')
    : verdict?.kind;
};

describe('a database seen for the first time', () => {
  it('offers by itself only rows whose clock says that they are over', () => {
    expect(of('proposed').sort()).toEqual([
      'Lesson',
      'Session',
      'VerificationToken',
      'office.letters',
      'site.django_admin_log',
      'site.django_session',
      'studio.folders',
      'studio.recordings',
      'studio.usage_events',
    ]);
  });

  it('leaves to a person what is only old: users, invoices, attachments', () => {
    expect(of('possible').sort()).toEqual([
      'User',
      'office.active_storage_attachments',
      'office.invoices',
      'office.scans',
      'site.auth_user',
      'studio.device_events',
    ]);
  });

  it('refuses what the engine would refuse, in its words and with its remedy', () => {
    expect(of('refused').sort()).toEqual(['office.unsubscribed', 'studio.login_attempts', 'studio.outbox']);
    expect(refusal('studio.login_attempts')).toMatch(/row-level security[\s\S]*BYPASSRLS/);
    expect(refusal('office.unsubscribed')).toMatch(/key email[\s\S]*names no person/);
    expect(refusal('studio.outbox')).toMatch(/trigger "keep"[\s\S]*knownTriggers/);
  });

  it('knows the books of Prisma, Rails, Django and Drizzle as technical', () => {
    expect(of('technical').sort()).toEqual([
      '_prisma_migrations',
      'drizzle.__drizzle_migrations',
      'office.ar_internal_metadata',
      'office.schema_migrations',
      'site.django_migrations',
    ]);
  });

  it("leaves Supabase's own schemas to Supabase, and takes the same names elsewhere for tables like any other", () => {
    const users = { ...table('User').facts, schema: 'auth', name: 'users' };
    expect(technicalBecause(users, true)).toContain('Supabase');
    expect(technicalBecause(users, false)).toBeNull();
  });

  it('leaves nothing out: every table has one verdict', () => {
    expect(found).toHaveLength(seen.tables.length);
    expect(seen.tables.filter((t) => t.facts.kind !== 'v')).toHaveLength(28);
    expect(of('view')).toEqual(['studio.loud']);
  });
});

describe('what it knows of a table', () => {
  it('finds the clock that says most, with its type and how often it is empty', () => {
    expect(table('Lesson').clocks.map((c) => [c.column, c.type, c.meaning])).toEqual([
      ['deletedAt', 'timestamp', 'deleted'],
      ['endedAt', 'timestamp', 'ended'],
    ]);
    expect(table('Lesson').sample).toMatchObject({ looked: 400, whole: true });
    expect(words).toMatch(/Lesson +deletedAt \(deleted, 75 % empty\) +400 +92 +77 +8 /);
    // A row a day is added to it.
    expect(words).toMatch(/studio\.usage_events +occurred_at \(happened\) +400 +30 +370 +310 +35 /);
  });

  it('counts foreign keys that no index answers for', () => {
    expect(words).toContain('10 foreign keys, 8 of them without an index');
  });

  it('finds subjects by foreign key and by name', () => {
    expect(table('Session').subjects).toEqual({ user: 'userId' });
    expect(table('studio.recordings').subjects).toEqual({ organization: 'org_id' });
  });

  it('takes no reference into several tables for a user: an erasure would reach rows of others', () => {
    const [column] = table('Session').facts.columns;
    const named = (...names: string[]) =>
      subjectsOf(
        { ...table('Session').facts, columns: names.map((name) => ({ ...column!, name })) },
        [],
        () => undefined,
      );
    expect(named('owner_type', 'owner_id')).toEqual({});
    expect(named('ownerId', 'ownerType')).toEqual({});
    expect(named('owner_id', 'mime_type')).toEqual({ user: 'owner_id' });
  });

  it('takes the user of a row before any other, and no program that asks for tokens', async () => {
    const own = await testDatabase({ empty: true });
    try {
      await own.sql(`create table users (id bigint primary key); create table oauth_clients (id uuid primary key, secret text);
        create table user_sessions (id bigint primary key, client_id uuid references oauth_clients, created_by bigint references users,
          user_id bigint references users);
        create table oauth_tokens (id bigint primary key, client_id uuid not null, expires_at timestamptz);
        create table visits (id bigint primary key, client_id uuid not null)`);
      const { tables } = await reading(own.ownerUrl, (reader) => survey(reader));
      const subjects = Object.fromEntries(tables.map((t) => [t.label, t.subjects]));
      expect(subjects).toMatchObject({
        user_sessions: { user: 'user_id' },
        oauth_tokens: {},
        visits: { user: 'client_id' },
      });
      expect(subjects.oauth_tokens).toEqual({});
    } finally {
      await own.stop();
    }
  });

  it('finds columns that name files of the store, and the folder they share', () => {
    expect(table('studio.recordings').files).toEqual([
      { column: 'audio_url', where: 'store', folder: 'recordings/', suffixed: true },
    ]);
  });

  it('counts a partitioned table with its partitions, which are no tables of their own', () => {
    expect(table('studio.usage_events').facts.partitioned).toMatchObject({
      columns: ['occurred_at'],
      partitions: 18,
    });
    expect(seen.tables.some((t) => t.facts.name.startsWith('usage_events_'))).toBe(false);
  });

  it('finds personal columns by the shape of their values where the name says nothing', () => {
    const shapes = (label: string) =>
      table(label)
        .personal.filter((p) => p.shape)
        .map((p) => [p.column, p.shape]);
    expect(shapes('VerificationToken')).toEqual([['identifier', 'email']]);
    expect(shapes('studio.login_attempts')).toEqual([
      ['who', 'email'],
      ['at_host', 'ip'],
    ]);
  });

  it('looks at rows of every age, wherever they lie: of a plain table, and of one with partitions', async () => {
    const own = await testDatabase({ empty: true });
    await own.sql(`
      create table plain (id bigint, created_at timestamptz not null);
      create table parted (id bigint, created_at timestamptz not null) partition by range (created_at);
      create table parted_old partition of parted for values from (minvalue) to (now() - interval '30 days');
      create table parted_mid partition of parted for values from (now() - interval '30 days') to (now() - interval '15 days');
      create table parted_new partition of parted for values from (now() - interval '15 days') to (now() - interval '1 day');
      create table parted_last partition of parted for values from (now() - interval '1 day') to (maxvalue);
      insert into plain select i, now() - (200000 - i) * interval '60 days' / 200000 from generate_series(1, 200000) i;
      insert into parted select * from plain;
      analyze plain`);
    const { tables } = await reading(own.ownerUrl, (reader) => survey(reader));
    const half = (label: string) => {
      const sample = tables.find((t) => t.label === label)!.sample as Sample;
      return sample.ages.get('created_at')!.day30 / sample.looked;
    };
    // Half of the rows are older than 30 days, and some ten thousand of 400 blocks were looked at.
    for (const label of ['plain', 'parted']) expect(half(label)).toSatisfy((x: number) => x > 0.3 && x < 0.7);
    await own.stop();
  });

  it('shows no value of any row', () => {
    const values = ['example.org', '198.51.100', 'Practice', 'Dear parent', 'take-', 'Pupil'];
    const everything = words + JSON.stringify(seen, (_, v) => (v instanceof Map ? [...v] : v));
    expect(values.filter((value) => everything.includes(value))).toEqual([]);
    expect(everything).toContain('recordings/');
  });
});

describe('the way it looks', () => {
  it('takes no role that may make roles for the login of the app, though it made lapse_app and so is in it', async () => {
    const { sql, end } = await db.session();
    const nobody = `nobody_${randomUUID().replaceAll('-', '')}`;
    await sql('begin');
    await sql(`create role ${nobody} login createrole in role lapse_app`);
    const { logins } = await readCatalog({ ask: (text, params) => sql(text, params) as never });
    await sql('rollback');
    end();
    expect(logins.map((l) => l.name)).not.toContain(nobody);
  });

  it('has nothing compiled: a database that compiles questions would take minutes for a survey', async () => {
    const asked = await reading(db.ownerUrl, (reader) => reader.ask<{ jit: string }>('show jit'));
    expect(asked).toEqual([{ jit: 'off' }]);
  });

  it('cannot change the database, whatever is asked', async () => {
    const change = (text: string) => reading(db.ownerUrl, (reader) => reader.ask(text));
    await expect(change('delete from public."Tag"')).rejects.toThrow(/read-only transaction/);
    await expect(change('create table public.x ()')).rejects.toThrow(/read-only transaction/);
  });

  it('describes a table that it may not read by the catalog alone, and says so', async () => {
    await db.sql(`create role lapse_${db.name} login password 'x'`);
    try {
      await db.sql(`grant usage on schema office to lapse_${db.name}`);
      const url = new URL(db.ownerUrl);
      url.username = `lapse_${db.name}`;
      url.password = 'x';
      const seen = await reading(url.href, (reader) => survey(reader, { schemas: ['office'] }));
      expect(seen.tables.find((t) => t.label === 'office.letters')?.sample).toMatch(/permission denied/);
      expect(report(seen, [])).toContain('PostgreSQL');
    } finally {
      await db.sql(`drop owned by lapse_${db.name}`);
      await db.sql(`drop role lapse_${db.name}`);
    }
  });
});
