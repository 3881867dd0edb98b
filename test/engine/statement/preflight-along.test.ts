/** Whatever would go or change along with a receipt's rows, and be in none, is refused by name. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { permanentTables } from '@/lib/policies';
import { definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, left, thingsPolicy } from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const policy = (input: Partial<PolicyInput>): Policy => {
  const { scope: _, ...base } = thingsPolicy();
  return definePolicy({ ...base, key: id, ...input });
};
const id = [{ column: 'id', type: 'integer' }];
const old = ago(99 * DAY);
type Fate = 'delete' | 'keep' | 'block';
const child = (name: string, references: string[], fate: Fate = 'delete', more: object = {}) => ({
  table: { name },
  key: id,
  references,
  fate,
  ...more,
});
const notes = policy({ table: { name: 'doc' }, dependants: [child('note', ['doc'])] });

async function docs(noteMore = '', onDelete = 'on delete cascade'): Promise<void> {
  await e.db.sql('create table doc (id int primary key, at timestamptz)');
  await e.db.sql(`create table note (id int primary key, doc int references doc ${onDelete}${noteMore})`);
  await e.db.sql('create index on doc (at, id); create index on note (doc)');
  await e.db.sql('grant select, update, delete on doc, note to lapse_app');
  await e.db.sql('insert into doc values (1, $1), (2, $2)', [old, ago(0)]);
  await e.db.sql('insert into note (id, doc) values (10, 1), (20, 2)');
}

describe('a governed table that refers to itself', () => {
  it.each(['cascade', 'set null', 'set default'])(
    'is refused on delete %s unless its rows are declared to go',
    async (action) => {
      await e.db.sql(
        `create table folder (id int primary key, parent int references folder on delete ${action}, at timestamptz)`,
      );
      await e.db.sql('create index on folder (at, id); create index on folder (parent)');
      await e.db.sql('grant select, update, delete on folder to lapse_app');
      await e.db.sql('insert into folder values (1, null, $1), (2, 1, $2), (3, 2, $2), (4, 3, $2)', [
        old,
        ago(0),
      ]);
      const bare = policy({ table: { name: 'folder' } });
      expect(await refused(e, bare)).toContain('public.folder (parent) references the table');
      const kept = policy({ table: { name: 'folder' }, dependants: [child('folder', ['parent'], 'keep')] });
      expect(await refused(e, kept)).toContain(
        'refers to itself by "folder_parent_fkey" and is declared \'keep\'',
      );
      const blocked = policy({
        table: { name: 'folder' },
        dependants: [child('folder', ['parent'], 'block')],
      });
      expect(await refused(e, blocked)).toContain("is declared 'block', but foreign key");
      expect(await follow(e, blocked)).toEqual([]);
      expect(await e.run(blocked)).toMatchObject({
        outcome: 'succeeded',
        deleted: 0,
        kept: { referenced: 1 },
      });
      expect(await left(e.db, 'folder')).toBe(4);
    },
  );

  it("without an effect goes from its end when it is declared 'block', all in one run", async () => {
    await e.db.sql('create table folder (id int primary key, parent int references folder, at timestamptz)');
    await e.db.sql('create index on folder (at, id); create index on folder (parent)');
    await e.db.sql('grant select, update, delete on folder to lapse_app');
    await e.db.sql(
      "insert into folder select i, nullif(i - 1, 0), $1::timestamptz + i * interval '1 hour' from generate_series(1, 6) i",
      [old],
    );
    await e.db.sql('insert into folder values (7, null, $1), (8, 7, $2)', [old, ago(0)]);
    const tree = policy({ table: { name: 'folder' }, dependants: [child('folder', ['parent'], 'block')] });
    expect(await e.run(tree)).toMatchObject({ outcome: 'succeeded', deleted: 6 });
    expect(await named(e)).toEqual([1, 2, 3, 4, 5, 6].map((n) => `public.folder ${n}`));
  });
});

describe('what a dependant would take along', () => {
  it.each(['cascade', 'set null', 'set default', 'no action', 'restrict'])(
    'is refused on delete %s until it is declared, also where the dependant refers to itself',
    async (action) => {
      await docs(`, reply_to int references note on delete ${action}`);
      await e.db.sql(`create table seen (id int primary key, note int references note on delete ${action})`);
      await e.db.sql('create index on note (reply_to); create index on seen (note)');
      await e.db.sql(
        'grant select, update, delete on seen to lapse_app; insert into note values (21, 2, 10)',
      );
      const fate = action.startsWith('set') ? 'keep' : 'delete';
      const said = await refused(e, notes);
      const line = (table: string, column: string, f: string) =>
        `{ table: { name: '${table}' }, via: { name: 'note' }, key: [{ column: 'id', type: 'integer' }], references: ['${column}'], fate: '${f}' }`;
      expect(said).toContain(line('note', 'reply_to', fate));
      expect(said).toContain(line('seen', 'note', fate));
      const via = { via: { name: 'note' } };
      const whole = policy({
        table: { name: 'doc' },
        dependants: [
          child('note', ['doc']),
          child('note', ['reply_to'], 'delete', via),
          child('seen', ['note'], fate, via),
        ],
      });
      expect(await follow(e, whole)).toEqual([]);
      expect(await e.run(whole)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 2 });
    },
  );

  it('is refused at any depth, one branch after the other', async () => {
    await docs();
    await e.db.sql('create table version (id int primary key, note int references note on delete cascade)');
    await e.db.sql(
      'create table page (id int primary key, version int references version on delete cascade)',
    );
    await e.db.sql('create index on version (note); create index on page (version)');
    await e.db.sql('insert into version values (100, 10); insert into page values (1000, 100)');
    expect(await refused(e, notes)).toContain(
      'public.version (note) references public.note and is not declared: its rows would go with the row',
    );
    const versions = child('version', ['note'], 'delete', { via: { name: 'note' } });
    const further = policy({ table: { name: 'doc' }, dependants: [child('note', ['doc']), versions] });
    const said = await refused(e, further);
    expect(said).toContain('public.page (version) references public.version and is not declared');
    expect(said).toContain('GRANT SELECT, DELETE ON "public"."version" TO lapse_app;');
    expect(await left(e.db, 'page')).toBe(1);
  });

  it('takes the right to lock what others hang on', async () => {
    await docs();
    await e.db.sql('create table version (id int primary key, note int references note on delete cascade)');
    await e.db.sql(
      'create index on version (note); revoke update on note from lapse_app; grant select, delete on version to lapse_app',
    );
    const versions = child('version', ['note'], 'delete', { via: { name: 'note' } });
    const whole = policy({ table: { name: 'doc' }, dependants: [child('note', ['doc']), versions] });
    expect(await refused(e, whole)).toContain(
      'GRANT SELECT, DELETE, UPDATE ("id") ON "public"."note" TO lapse_app;',
    );
    expect(await follow(e, whole)).toEqual([]);
    expect(await e.run(whole)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
  });

  it.skipIf(permanentTables.length === 0)('is refused into a permanent table at any depth', async () => {
    await docs();
    await e.db.sql('alter table email_blacklist add column note int references note on delete cascade');
    await e.db.sql('create index on email_blacklist (note)');
    expect(await refused(e, notes)).toContain('public.email_blacklist, which is permanent');
  });
});

describe('a trigger or rule of another table than the governed one', () => {
  const function_ = `create function others() returns trigger language plpgsql security definer as $$ begin
    delete from doc where id = 2; return old; end $$`;

  it('on DELETE of a dependant is refused until the dependant declares it', async () => {
    await docs();
    await e.db.sql(function_);
    await e.db.sql('create trigger others before delete on note for each row execute function others()');
    expect(await refused(e, notes)).toContain('name it in dependants.0.knownTriggers');
    await e.db.sql(
      'create or replace function others() returns trigger language plpgsql as $$ begin return old; end $$',
    );
    const known = policy({
      table: { name: 'doc' },
      dependants: [child('note', ['doc'], 'delete', { knownTriggers: ['others'] })],
    });
    expect(await e.run(known)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
  });

  it('on one partition of a dependant is refused', async () => {
    await e.db.sql('create table doc (id int primary key, at timestamptz)');
    await e.db.sql(
      'create table note (id int primary key, doc int references doc on delete cascade) partition by range (id)',
    );
    await e.db.sql('create table note_a partition of note for values from (0) to (100)');
    await e.db.sql('create index on doc (at, id); create index on note (doc)');
    await e.db.sql('grant select, update, delete on doc, note to lapse_app');
    expect(await follow(e, notes)).toEqual([]);
    await e.db.sql(function_);
    await e.db.sql('create trigger others before delete on note_a for each row execute function others()');
    expect(await refused(e, notes)).toContain('trigger "others" of "public"."note_a"');
  });

  it('on UPDATE of rows that lose their reference is refused, but not one for other columns', async () => {
    await docs(', text text', 'on delete set null');
    await e.db.sql(function_);
    await e.db.sql(
      'create trigger other_column before update of text on note for each row execute function others()',
    );
    const keeping = policy({ table: { name: 'doc' }, dependants: [child('note', ['doc'], 'keep')] });
    expect(await follow(e, keeping)).toEqual([]);
    await e.db.sql('create trigger others before update on note for each row execute function others()');
    expect(await refused(e, keeping)).toContain('trigger "others" of "public"."note" fires on UPDATE');
  });

  it('on UPDATE of a table that is soft-deleted from is refused', async () => {
    await docs();
    await e.db.sql('alter table doc add column gone timestamptz');
    await e.db.sql(function_);
    await e.db.sql('create trigger others after update on doc for each row execute function others()');
    const soft = policy({
      table: { name: 'doc' },
      strategy: { kind: 'soft-delete', column: 'gone', purgeAfter: { seconds: DAY } },
    });
    expect(await refused(e, soft)).toContain('trigger "others" of "public"."doc" fires on UPDATE');
  });

  it('a rule of a dependant is refused, and gone once the printed statement has run', async () => {
    await docs();
    await e.db.sql('create rule stay as on delete to note do instead nothing');
    expect(await refused(e, notes)).toContain('DROP RULE "stay" ON "public"."note";');
    expect(await follow(e, notes)).toEqual([]);
  });
});
