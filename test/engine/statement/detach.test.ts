/** Dependants that stay and lose their reference: by the batch, in bounded form, and named in its receipt. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { cleanupReport } from '@/lib/operators/audit/report';
import { verify } from '@/lib/operators/audit/verify';
import type { Dependant, PolicyInput } from '@/lib/policies/contract';
import { definePolicy } from '@/lib/policies/contract';
import {
  ago,
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  govern,
  left,
  NOW,
  things,
  thingsPolicy,
} from '../../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { CLEANUP_LANES: '1' } });
  await govern(e.db);
});
afterEach(() => e.stop());

const id = [{ column: 'id', type: 'uuid' }];
const ratings = (more: Partial<PolicyInput> = {}, of: Partial<Dependant> = {}) =>
  thingsPolicy({
    dependants: [{ table: { name: 'ratings' }, key: id, references: ['thing'], fate: 'set-null', ...of }],
    ...more,
  });
const withRatings = () =>
  e.db.sql(`create table ratings (id uuid primary key default gen_random_uuid(), thing uuid references things, org uuid);
    create index on ratings (thing); grant select, update (thing) on ratings to lapse_app`);
const rate = (ids: readonly string[]) =>
  e.db.sql<{ id: string; thing: string }>(
    'insert into ratings (thing) select unnest($1::uuid[]) returning id::text, thing::text',
    [ids],
  );
const named = async (): Promise<string[]> =>
  (
    await e.db.sql<{ k: string }>(
      `select jsonb_array_elements_text(detached -> 'public.ratings') as k from retention.receipt order by 1`,
    )
  ).map((r) => r.k);

it('what refers to a row that goes stays, loses its reference and is named in the receipt', async () => {
  await withRatings();
  const ids = await things(e.db, [...Array.from({ length: 7 }, (_, i) => (40 + i) * DAY), DAY]);
  const rated = await rate([...ids, ...ids]);
  const policy = ratings();
  Object.assign(e.services, { policies: [policy] });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 7, dependants: {}, detached: { 'public.ratings': 14 } });
  expect(await e.db.sql('select 1 from ratings where thing is null')).toEqual([]);

  expect(await e.run(policy, { batchSize: 3 })).toMatchObject({ outcome: 'succeeded', deleted: 7 });
  const lost = rated.filter((r) => r.thing !== ids[7]).map((r) => r.id);
  expect(await named()).toEqual(lost.sort());
  expect(await e.db.sql('select count(*)::int as n from ratings where thing is null')).toEqual([{ n: 14 }]);
  expect(await left(e.db, 'ratings')).toBe(16);
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
  const why = await explainRow(e.services, 'public.ratings', lost[0]!);
  expect(why.deletions).toMatchObject([{ detached: true, as_dependant: true, policy: 'things' }]);
  expect(why.summary).toContain('lost its reference');
  const period = { from: new Date(NOW.getTime() - DAY * 1000), to: new Date(Date.now() + DAY * 1000) };
  expect((await cleanupReport(e.services, period)).policies).toMatchObject([
    { rows_deleted: 7, references_cleared: 14 },
  ]);
  // A second run finds nothing, and its receipts name nothing.
  expect(await e.run(policy)).toMatchObject({ deleted: 0 });
  expect(await named()).toHaveLength(14);
});

it('the chain of receipts shows that a name was taken out of what lost its reference', async () => {
  await withRatings();
  await rate(await things(e.db, [40 * DAY, 41 * DAY]));
  await e.run(ratings());
  await e.db.sql('alter table retention.receipt disable trigger user');
  await e.db.sql(`update retention.receipt set detached = '{"public.ratings": []}'`);
  expect(await verify(e.services.database)).toMatchObject({ ok: false });
});

it('two references of one row are both taken away, and each is named', async () => {
  await e.db.sql(`create table ratings (id uuid primary key default gen_random_uuid(), thing uuid references things, other uuid references things);
    create index on ratings (thing); create index on ratings (other); grant select, update (thing, other) on ratings to lapse_app`);
  const [a, b, fresh] = await things(e.db, [40 * DAY, 41 * DAY, DAY]);
  await e.db.sql('insert into ratings (thing, other) values ($1, $1), ($1, $2), ($1, $3), ($3, $2)', [
    a,
    b,
    fresh,
  ]);
  const one = { table: { name: 'ratings' }, key: id, fate: 'set-null' as const };
  const policy = thingsPolicy({
    dependants: [
      { ...one, references: ['thing'] },
      { ...one, references: ['other'] },
    ],
  });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview?.detached).toEqual({ 'public.ratings': 6 });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  expect(await e.db.sql('select thing::text, other::text from ratings order by thing, other')).toEqual([
    { thing: fresh, other: null },
    { thing: null, other: fresh },
    { thing: null, other: null },
    { thing: null, other: null },
  ]);
  expect(await named()).toHaveLength(6);
});

it('a revision that stays and names a predecessor that goes lets go of it', async () => {
  // directus#25163: the chain has no `on delete` action, and half of it is past its period.
  await e.db.sql('alter table things add before uuid references things; create index on things (before)');
  const ids = await things(
    e.db,
    [44, 43, 42, 41, 20, 10].map((d) => d * DAY),
  );
  await e.db.sql(
    'update things t set before = x.before from unnest($1::uuid[], $2::uuid[]) x(id, before) where t.id = x.id',
    [ids.slice(1), ids.slice(0, -1)],
  );
  await e.db.sql('update things set before = id where id = $1', [ids[0]]);
  const policy = thingsPolicy({
    dependants: [{ table: { name: 'things' }, key: id, references: ['before'], fate: 'set-null' }],
  });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy, { batchSize: 3 })).toMatchObject({ outcome: 'succeeded', deleted: 4 });
  expect(await e.db.sql('select id::text, before::text from things order by at')).toEqual([
    { id: ids[4], before: null },
    { id: ids[5], before: ids[4] },
  ]);
  // The row of the first batch whose successor stayed until the second, and the survivor.
  expect(
    await e.db.sql(`select detached from retention.receipt where detached is not null order by seq`),
  ).toEqual([{ detached: { 'public.things': [ids[3]] } }, { detached: { 'public.things': [ids[4]] } }]);
});

it('of a reference of several columns only those that are declared become null', async () => {
  await e.db.sql(`create table docs (org int, id int, at timestamptz, primary key (org, id)); create index on docs (at, org, id);
    create table ratings (id int primary key, org int not null, doc int, foreign key (org, doc) references docs);
    create index on ratings (org, doc); grant select, delete, update on docs to lapse_app; grant select, update (doc) on ratings to lapse_app`);
  await e.db.sql(`insert into docs values (1, 1, $1), (1, 2, $2), (2, 1, $1)`, [ago(40 * DAY), ago(DAY)]);
  await e.db.sql('insert into ratings values (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, null)');
  const declared = (of: Partial<Dependant>) => {
    const { scope: _, ...base } = thingsPolicy();
    return definePolicy({
      ...base,
      table: { name: 'docs' },
      key: [
        { column: 'org', type: 'integer' },
        { column: 'id', type: 'integer' },
      ],
      dependants: [
        {
          table: { name: 'ratings' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['org', 'doc'],
          fate: 'set-null',
          ...of,
        },
      ],
    });
  };
  await e.db.sql(`select retention.protect('public.docs')`);
  expect(await fitsDatabase(e, declared({}))).toMatchObject([
    { remedy: expect.stringContaining(`clears: ['doc']`) },
    { remedy: expect.stringContaining('GRANT SELECT, UPDATE ("org", "doc")') },
  ]);
  const policy = declared({ clears: ['doc'] });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  expect(await e.db.sql('select org, doc from ratings order by id')).toEqual([
    { org: 1, doc: null },
    { org: 1, doc: 2 },
    { org: 2, doc: null },
    { org: 2, doc: null },
  ]);
});

it('a hold on a row that would lose its reference keeps the row it refers to', async () => {
  await withRatings();
  const ids = await things(e.db, [40 * DAY, 41 * DAY]);
  const [held] = await rate(ids);
  await e.db.sql(
    `insert into retention.hold (scope, table_name, subject, reason, placed_by) values ('item', 'public.ratings', $1, 'm', 'a')`,
    [held!.id],
  );
  expect(await e.run(ratings())).toMatchObject({ deleted: 1, kept: { held: 1 } });
  expect(await e.db.sql('select id::text from ratings where thing is not null')).toEqual([{ id: held!.id }]);
});

it('rows of tenants lose theirs by the tenant’s own rule', async () => {
  await withRatings();
  await e.db.sql(`create table orgs (id uuid primary key, plan text); grant select on orgs to lapse_app;
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create index on things (org, at, id)`);
  const ids = await things(e.db, [40 * DAY, 40 * DAY]);
  await e.db.sql('update things set org = id');
  await e.db.sql(`insert into orgs values ($1, 'short'), ($2, 'long')`, ids);
  await rate(ids);
  const policy = ratings({
    rules: [
      { label: 'short', keepFor: { seconds: 30 * DAY } },
      { label: 'long', keepFor: { seconds: 60 * DAY } },
    ],
    tenants: { table: { name: 'orgs' }, key: id[0]!, column: 'org', label: 'o.plan' },
  });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ deleted: 1, byRule: { short: { deleted: 1 } } });
  expect(await e.db.sql('select thing::text from ratings where thing is not null')).toEqual([
    { thing: ids[1] },
  ]);
});

it('a reference written while a batch runs is either refused or taken away', async () => {
  await withRatings();
  const ids = await things(
    e.db,
    Array.from({ length: 300 }, (_, i) => (40 + i / 100) * DAY),
  );
  const running = e.run(ratings(), { batchSize: 7 });
  let refused = 0;
  for (let i = 0; i < 300; i += 1)
    await rate([ids[(i * 7) % 300]!, ids[(i * 7 + 3) % 300]!]).catch(() => {
      refused += 1;
    });
  expect(await running).toMatchObject({ outcome: 'succeeded', deleted: 300 });
  expect(await e.db.sql('select 1 from ratings where thing is not null')).toEqual([]);
  expect(await named()).toHaveLength((300 - refused) * 2);
});

it('a row that refuses to go is set aside, and keeps what refers to it', async () => {
  await withRatings();
  await e.db.sql(`create function stubborn() returns trigger language plpgsql as $$ begin
      if old.note = 'stays' then raise exception 'no' using errcode = '23514'; end if; return old; end $$;
    create trigger stubborn before delete on things for each row execute function stubborn();
    alter table ratings add other uuid references things; create index on ratings (other);
    grant update (other) on ratings to lapse_app`);
  const ids = await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
  await e.db.sql(`update things set note = 'stays' where id = $1`, [ids[1]]);
  // Both references of a row to one that goes: without the first the second would refuse.
  await e.db.sql('insert into ratings (thing, other) select x, x from unnest($1::uuid[]) x', [ids]);
  const one = { table: { name: 'ratings' }, key: id, fate: 'set-null' as const };
  const policy = thingsPolicy({
    knownTriggers: ['stubborn'],
    dependants: [
      { ...one, references: ['thing'] },
      { ...one, references: ['other'] },
    ],
  });
  expect(await e.run(policy)).toMatchObject({ deleted: 2 });
  expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([{ row_key: ids[1] }]);
  expect(await e.db.sql('select thing::text, other::text from ratings where thing is not null')).toEqual([
    { thing: ids[1], other: ids[1] },
  ]);
});

describe('is refused before the first delete, and runs when the remedy was followed', () => {
  const ready = async (alter: string) => {
    await withRatings();
    await e.db.sql(alter);
    await rate(await things(e.db, [40 * DAY]));
  };
  it.each([
    ['the column may not be null', 'alter table ratings alter thing set not null', {}],
    ['no foreign key says so', 'alter table ratings drop constraint ratings_thing_fkey', {}],
    [
      'the foreign key takes its rows along',
      'alter table ratings drop constraint ratings_thing_fkey, add constraint ratings_thing_fkey foreign key (thing) references things on delete cascade',
      {},
    ],
    [
      'the role may not write the column',
      'revoke update on ratings from lapse_app; revoke update (thing) on ratings from lapse_app',
      {},
    ],
    [
      'a constraint could refuse',
      'alter table ratings add constraint rated check (thing is not null or org is null)',
      { knownConstraints: ['rated'] },
    ],
    [
      'a trigger could keep it',
      `create function seen() returns trigger language plpgsql as $$ begin return new; end $$;
       create trigger seen before update of thing on ratings for each row execute function seen()`,
      { knownTriggers: ['seen'] },
    ],
    ['a rule would replace it', 'create rule nothing as on update to ratings do instead nothing', {}],
  ])('%s', async (_, alter, named) => {
    await ready(alter);
    const [problem, ...more] = await fitsDatabase(e, ratings());
    expect(more).toEqual([]);
    expect(problem).toBeDefined();
    expect(await e.run(ratings())).toMatchObject({ outcome: 'errored', deleted: 0 });
    const policy = ratings({}, named);
    const statement = /^(ALTER|GRANT|DROP)[^;]*;/.exec(problem!.remedy)?.[0];
    if (statement) await e.db.sql(statement);
    expect(await fitsDatabase(e, policy)).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await e.db.sql('select thing from ratings')).toEqual([{ thing: null }]);
  });
});

it.each([
  ['clears something else', { clears: ['org'] }, 'dependants.0.clears: org is not one of its references'],
  [
    'names columns of another fate',
    { fate: 'keep' as const, clears: ['thing'] },
    'dependants.0.clears: only',
  ],
  [
    'names constraints of another fate',
    { fate: 'keep' as const, knownConstraints: [] },
    'dependants.0.knownConstraints: only',
  ],
])('a declaration that %s does not start', (_, of, problem) => {
  expect(() => ratings({}, of)).toThrow(problem);
});

it('a partitioned table, which loses whole partitions, takes no reference away', () => {
  expect(() =>
    ratings(
      { partitioned: { by: 'day' }, key: [...id, { column: 'at', type: 'timestamptz' }] },
      { references: ['thing', 'at'] },
    ),
  ).toThrow('dependants.0.fate: a partition is dropped whole');
});

it('asks for no null in a primary key: for columns that take one, or another fate', async () => {
  await e.db.sql(`create table marks (org uuid, thing uuid references things, n int, primary key (thing, n));
    create index on marks (thing); grant select, update (thing) on marks to lapse_app`);
  const policy = ratings(
    {},
    {
      table: { schema: 'public', name: 'marks' },
      key: [{ column: 'thing' }, { column: 'n' }],
    },
  );
  expect(await fitsDatabase(e, policy)).toEqual([
    {
      problem: 'dependants.0: "thing" of "public"."marks" is to become null, and is part of the primary key',
      remedy: "declare 'delete' or 'block' in dependants.0 of the policy: no row can be without it",
    },
  ]);
});

it('names the column of a reference that can become null where another is part of the primary key', async () => {
  await e.db.sql(`create table pairs (org uuid, id uuid, at timestamptz, primary key (org, id));
    create index on pairs (at, org, id); grant select, update, delete on pairs to lapse_app; select retention.protect('public.pairs');
    create table marks (org uuid, pair uuid, n int, primary key (org, n), foreign key (org, pair) references pairs);
    create index on marks (org, pair); grant select, update (pair) on marks to lapse_app`);
  const { scope: _, ...base } = thingsPolicy();
  const policy = definePolicy({
    ...base,
    table: { name: 'pairs' },
    key: [{ column: 'org' }, { column: 'id' }],
    dependants: [
      {
        table: { name: 'marks' },
        key: [{ column: 'org' }, { column: 'n' }],
        references: ['org', 'pair'],
        fate: 'set-null',
      },
    ],
  });
  const remedies = (await fitsDatabase(e, policy)).map((p) => p.remedy);
  expect(remedies).toContain(
    "declare clears: ['pair'] in dependants.0 of the policy: no row can be without it",
  );
  const [child] = policy.dependants;
  expect(await fitsDatabase(e, { ...policy, dependants: [{ ...child!, clears: ['pair'] }] })).toEqual([]);
});

it('a row held by its organization keeps its reference to a row of the same table, which stays for it', async () => {
  await e.db.sql(
    'alter table things add column before uuid references things; create index on things (before)',
  );
  await e.db.sql('grant update (before) on things to lapse_app');
  const [old, young] = await things(e.db, [40 * DAY, DAY]);
  const org = '00000000-0000-4000-8000-00000000000f';
  await e.db.sql('update things set before = $1::uuid, org = $2::uuid where id = $3::uuid', [
    old,
    org,
    young,
  ]);
  await e.db.sql(
    `insert into retention.hold (scope, subject, reason, placed_by) values ('organization', $1, 'a case', 'counsel')`,
    [org],
  );
  // Its organization is the policy's own to say, not that of the reference.
  const policy = ratings({}, { table: { schema: 'public', name: 'things' }, references: ['before'] });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect((await e.run(policy, { dryRun: true })).preview).toMatchObject({ expired: 0, kept: { held: 1 } });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
  expect(await left(e.db)).toBe(2);
});

it('takes no reference away from a row that a trigger keeps, also where it is the only one of its batch', async () => {
  await withRatings();
  const [kept, gone] = await things(e.db, [41 * DAY, 40 * DAY]);
  await e.db.sql(`update things set note = 'keep' where id = $1::uuid`, [kept]);
  await e.db.sql(`create function keep() returns trigger language plpgsql as $$ begin
    if old.note = 'keep' then return null; end if; return old; end $$;
    create trigger keep before delete on things for each row execute function keep()`);
  await rate([kept!, gone!]);
  const policy = ratings({ knownTriggers: ['keep'] });
  expect(await e.run(policy, { batchSize: 1 })).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await e.db.sql('select thing::text from ratings where thing is not null')).toEqual([
    { thing: kept },
  ]);
  expect(await e.db.sql('select row_key, sql_state from retention.dead_letter')).toEqual([
    { row_key: kept, sql_state: 'LP007' },
  ]);
});

it('a row of a tenant goes with the governed rows below it, and what refers to them loses its reference', async () => {
  await withRatings();
  await e.db.sql(`create table orgs (id uuid primary key, plan text); grant select on orgs to lapse_app;
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    alter table things add column before uuid references things; create index on things (before); create index on things (org, at, id)`);
  const org = '00000000-0000-4000-8000-00000000000f';
  await e.db.sql(`insert into orgs values ($1::uuid, 'free')`, [org]);
  const [top, below] = await things(e.db, [41 * DAY, 40 * DAY]);
  await e.db.sql('update things set org = $1::uuid', [org]);
  await e.db.sql('update things set before = $1::uuid where id = $2::uuid', [top, below]);
  await rate([top!, below!]);
  const base = ratings();
  const policy = definePolicy({
    ...base,
    tenants: { table: { name: 'orgs' }, key: { column: 'id', type: 'uuid' }, column: 'org', label: 'o.plan' },
    rules: [{ label: 'free', keepFor: { seconds: 30 * DAY } }],
    dependants: [
      ...base.dependants,
      { table: { name: 'things' }, key: id, references: ['before'], fate: 'delete' },
    ],
  });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  expect(await e.db.sql('select 1 from ratings where thing is not null')).toEqual([]);
});

it('sets aside the one row that a trigger keeps where a whole tree goes with it, and takes no reference away', async () => {
  await withRatings();
  await e.db.sql(`create table notes (id int primary key, thing uuid references things on delete cascade);
    create table lines (id int primary key, note int references notes on delete cascade);
    create index on notes (thing); create index on lines (note);
    grant select, update, delete on notes, lines to lapse_app; select retention.protect('public.notes'); select retention.protect('public.lines');
    create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger keep before delete on things for each row execute function keep()`);
  const [kept] = await things(e.db, [41 * DAY]);
  await rate([kept!]);
  const base = ratings({ knownTriggers: ['keep'] });
  const key = [{ column: 'id', type: 'integer' }];
  const policy = definePolicy({
    ...base,
    dependants: [
      ...base.dependants,
      { table: { name: 'notes' }, key, references: ['thing'], fate: 'delete' },
      { table: { name: 'lines' }, via: { name: 'notes' }, key, references: ['note'], fate: 'delete' },
    ],
  });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { dead_letter: 1 } });
  expect(await e.db.sql('select 1 from ratings where thing is null')).toEqual([]);
});
