/** Columns, types, rights and indexes of everything a run touches, each with a statement that mends it when followed. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { days, definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, govern, left, things, thingsPolicy } from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const note = (more: object = {}) => ({
  table: { name: 'notes' },
  key: [{ column: 'id', type: 'integer' }],
  references: ['thing'],
  fate: 'delete' as const,
  ...more,
});
const withNotes = (more: object = {}, changes: Partial<PolicyInput> = {}): Policy =>
  thingsPolicy({ dependants: [note(more)], ...changes });

/** Expired things with one note each; whatever the note's table still lacks is the test's. */
async function noted(columns: string): Promise<void> {
  await govern(e.db);
  await things(e.db, [40 * DAY, 41 * DAY]);
  await e.db.sql(`create table notes (${columns})`);
}
const fit = 'id int primary key, thing uuid references things on delete cascade';

describe('a dependant', () => {
  it('needs rights and an index, asked for in one go', async () => {
    await noted(fit);
    const said = await refused(e, withNotes());
    expect(said).toContain('GRANT SELECT, DELETE ON "public"."notes" TO lapse_app;');
    expect(said).not.toContain('cannot be compared');
    expect(said.split('CREATE INDEX CONCURRENTLY ON "public"."notes" ("thing");')).toHaveLength(2);
    await e.db.sql('insert into notes select row_number() over (), id from things');
    expect(await follow(e, withNotes())).toEqual([]);
    expect(await e.run(withNotes())).toMatchObject({
      outcome: 'succeeded',
      deleted: 2,
      dependantsDeleted: 2,
    });
  });

  it('that may be read and not deleted from is refused', async () => {
    await noted(fit);
    await e.db.sql('create index on notes (thing); grant select on notes to lapse_app');
    expect(await refused(e, withNotes())).toContain('the role may not DELETE from "public"."notes"');
    expect(await follow(e, withNotes())).toEqual([]);
  });

  it.each(['keep', 'block'] as const)(
    "that is to '%s' needs to be readable and indexed as well",
    async (fate) => {
      await noted(
        `id int primary key, thing uuid references things on delete ${fate === 'keep' ? 'set null' : 'no action'}`,
      );
      const said = await refused(e, withNotes({ fate }));
      expect(said).toContain('GRANT SELECT ON "public"."notes" TO lapse_app;');
      expect(said).toContain('CREATE INDEX CONCURRENTLY ON "public"."notes" ("thing");');
      expect(await follow(e, withNotes({ fate }))).toEqual([]);
    },
  );

  it('needs a key that is unique and never null, and a foreign key, so that a receipt names its rows and none stays behind', async () => {
    await noted('id int, thing uuid');
    await e.db.sql('create index on notes (id); grant select, delete on notes to lapse_app');
    const said = await refused(e, withNotes());
    expect(said).toContain('ALTER TABLE "public"."notes" ALTER COLUMN "id" SET NOT NULL;');
    expect(said).toContain('CREATE UNIQUE INDEX CONCURRENTLY ON "public"."notes" ("id");');
    expect(await follow(e, withNotes())).toEqual([]);
  });

  it('needs its table, its columns, and types that can be compared with the key', async () => {
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    expect(await refused(e, withNotes())).toContain('table "public"."notes" does not exist');
    await e.db.sql('create table notes (id int primary key, thing text)');
    expect(await refused(e, withNotes())).toContain(
      'dependants.0.references cannot be compared with the key (id)',
    );
    expect(await refused(e, withNotes({ references: ['topic'] }))).toContain(
      'column "topic" of "public"."notes"',
    );
    expect(await refused(e, withNotes({ scope: { user: 'author' } }))).toContain(
      'column "author" of "public"."notes"',
    );
    const key = [{ column: 'id', type: 'uuid' }];
    expect(await refused(e, withNotes({ key }))).toContain("{ column: 'id', type: 'integer' }");
  });

  it('published without an identity, seen in part, or with heirs is refused', async () => {
    await noted('id int not null unique, thing uuid references things on delete cascade');
    await e.db.sql('create index on notes (thing); grant select, delete on notes to lapse_app');
    expect(await follow(e, withNotes())).toEqual([]);
    await e.db.sql('create publication all_notes for table notes');
    expect(await refused(e, withNotes())).toContain('ALTER TABLE "public"."notes" REPLICA IDENTITY FULL;');
    expect(await follow(e, withNotes())).toEqual([]);
    await e.db.sql('alter table notes enable row level security');
    expect(await refused(e, withNotes())).toContain('"public"."notes" has row-level security');
    await e.db.sql(
      'alter table notes disable row level security; create table more_notes () inherits (notes)',
    );
    expect(await refused(e, withNotes())).toContain('"public"."notes" has inheriting tables');
  });
});

describe('the governed table', () => {
  it('needs a key that is never null', async () => {
    const policy = await govern(e.db);
    await e.db.sql('alter table things drop constraint things_pkey');
    await e.db.sql('alter table things alter column id drop not null; create unique index on things (id)');
    await things(e.db, [40 * DAY]);
    expect(await refused(e, policy)).toContain(
      'ALTER TABLE "public"."things" ALTER COLUMN "id" SET NOT NULL;',
    );
    expect(await follow(e, policy)).toEqual([]);
  });

  it('needs the right to lock a row, also where it may delete', async () => {
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('revoke update on things from lapse_app');
    expect(await refused(e, policy)).toContain('UPDATE (which locking a row takes)');
    expect(await follow(e, policy)).toEqual([]);
  });

  it.each([
    ['integer', 'uuid', "type: 'integer'"],
    ['numeric(10,3)', 'numeric(10,1)', "type: 'numeric'"],
    ['char(12)', 'char', "type: 'character(12)'"],
    ['text', 'no_such_type', "type: 'text'"],
  ])(
    'with a key of type %s declared as %s is refused, with the type to write',
    async (type, declared, remedy) => {
      await e.db.sql(`create table k (id ${type} primary key, at timestamptz)`);
      await e.db.sql('create index on k (at, id); grant select, update, delete on k to lapse_app');
      const { scope: _, ...base } = thingsPolicy();
      const policy = definePolicy({
        ...base,
        table: { name: 'k' },
        key: [{ column: 'id', type: declared, personal: false }],
      });
      expect(await refused(e, policy)).toContain(remedy);
    },
  );

  it('with row-level security is fit for a role to which it does not apply', async () => {
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    const [rows] = await e.services.database.transaction(
      [{ text: 'select current_user as role', params: [] }],
      {
        timeoutMs: 5_000,
      },
    );
    const role = String(rows?.[0]?.role);
    await e.db.sql('alter table things enable row level security');
    expect(await refused(e, policy)).toContain(`ALTER ROLE "${role}" BYPASSRLS;`);
    await e.db.sql(`alter table things owner to ${role}`);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    await e.db.sql('alter table things force row level security');
    expect(await refused(e, policy)).toContain('row-level security');
  });

  it('is soft-deleted from by a column that holds an instant', async () => {
    const policy = await govern(e.db, {
      strategy: { kind: 'soft-delete', column: 'gone', purgeAfter: days(30) },
    });
    await things(e.db, [40 * DAY]);
    await e.db.sql('alter table things add column gone timestamp');
    expect(await refused(e, policy)).toContain('has to hold an instant');
    expect(await follow(e, policy)).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });
});

describe('an index', () => {
  const rules = ['a', 'b'].map((label) => ({ label, keepFor: days(30), match: { note: label } }));

  it.each([
    ['at is not null', true],
    ['(at is not null) and (at is not null)', true],
    // A batch does not ask for it: PostgreSQL would reckon with a third of the rows.
    ['isfinite(at)', false],
    ['note is not null', false],
    [`at > '2020-01-01Z'`, false],
  ])('where %s counts: %s', async (predicate, counts) => {
    const policy = await govern(e.db);
    await e.db.sql('drop index things_at_id_idx');
    await things(e.db, [40 * DAY, null]);
    await e.db.sql(`create index partial on things (at, id) where ${predicate}`);
    if (!counts) return expect(await refused(e, policy)).toContain('CREATE INDEX CONCURRENTLY');
    await e.db.sql(
      `insert into things (at) select $1::timestamptz + i * interval '1 s' from generate_series(1, 3000) i`,
      [ago(0)],
    );
    await e.db.sql('analyze things');
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await left(e.db)).toBe(3001);
  });

  it.each([
    [`note = 'a'`, `note = 'b'`, true],
    [`note = 'a' and at is not null`, `note = 'b'`, true],
    [`note <> 'a'`, `note <> 'b'`, false],
    [`note = 'a'`, `note = 'a'`, false],
  ])('for each rule, where %s and where %s, counts: %s', async (a, b, counts) => {
    const policy = await govern(e.db, { rules });
    await e.db.sql('drop index things_at_id_idx');
    await e.db.sql(`create index on things (at, id) where ${a}; create index on things (at, id) where ${b}`);
    await things(e.db, [40 * DAY]);
    await e.db.sql(`update things set note = 'a'`);
    if (counts) expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    else expect(await refused(e, policy)).toContain('("note", "at", "id")');
  });

  it('that answers for several rules is printed once', async () => {
    const policy = await govern(e.db, { rules });
    await things(e.db, [40 * DAY]);
    const said = await refused(e, policy);
    expect(said.split('CREATE INDEX CONCURRENTLY ON "public"."things" ("note", "at", "id");')).toHaveLength(
      2,
    );
    expect(await follow(e, policy)).toEqual([]);
  });

  it('on what refers to the row may leave out the rows that refer to nothing', async () => {
    await noted(fit);
    await e.db.sql(
      'create index on notes (thing) where thing is not null; grant select, delete on notes to lapse_app',
    );
    expect(await follow(e, withNotes())).toEqual([]);
    await e.db.sql('insert into notes select row_number() over (), id from things');
    expect(await e.run(withNotes())).toMatchObject({
      outcome: 'succeeded',
      deleted: 2,
      dependantsDeleted: 2,
    });
    expect((await named(e)).length).toBe(4);
  });
});

describe('match', () => {
  it('that the column cannot hold is refused by name', async () => {
    const policy = await govern(e.db, {
      rules: [{ label: 'a', keepFor: days(30), match: { org: 'no uuid' } }],
    });
    await things(e.db, [40 * DAY]);
    expect(await refused(e, policy)).toContain('rules.match cannot be asked of "public"."things"');
  });
});
