/** What the rows refer to goes with the last row that does, and with no other. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { verify } from '@/lib/operators/audit/verify';
import { type Content, days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { policyReach } from '@/lib/policies/effective';
import {
  ago,
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  NOW,
  runRequest,
  thingsPolicy,
} from '../../support/engine';
import { advisory, untilWaiting } from '../../support/waiting';

let e: Engine;
const start = async (env: Record<string, string> = { CLEANUP_LANES: '1' }) => {
  e = await engine({ env });
  await e.db.sql(`create table blobs (id int primary key, path text, size int, org uuid);
    create table docs (id int primary key generated always as identity, at timestamptz, data int references blobs, preview int references blobs, org uuid);
    create index on docs (at, id); create index on docs (data); create index on docs (preview);
    grant select, update, delete on docs to lapse_app; grant select, delete, update (id) on blobs to lapse_app;
    select retention.protect('public.docs'), retention.protect('public.blobs')`);
};
beforeEach(() => start());
afterEach(() => e.stop());

const key = [{ column: 'id', type: 'integer' }];
const docs = (content: Partial<Content> = {}, changes: Partial<PolicyInput> = {}): Policy =>
  thingsPolicy({
    name: 'docs',
    table: { name: 'docs' },
    key,
    scope: { organization: 'org' },
    contents: [
      {
        table: { name: 'blobs' },
        key,
        references: [['data'], ['preview']],
        fate: 'with-last-reference',
        ...content,
      },
    ],
    ...changes,
  });
/** Documents, each with its age in days, its data and its preview. */
async function write(
  ...all: readonly (readonly [age: number, data: number | null, preview?: number | null])[]
) {
  await e.db.sql(
    'insert into blobs (id) select distinct b from unnest($1::int[]) b where b is not null on conflict do nothing',
    [all.flatMap(([, data, preview]) => [data, preview ?? null])],
  );
  await e.db.sql(
    `insert into docs (at, data, preview) select $4::timestamptz - make_interval(secs => a * 86400), d, p
     from unnest($1::float8[], $2::int[], $3::int[]) with ordinality x(a, d, p, n) order by n`,
    [all.map((d) => d[0]), all.map((d) => d[1]), all.map((d) => d[2] ?? null), NOW.toISOString()],
  );
}
const blobs = async () =>
  (await e.db.sql<{ id: number }>('select id from blobs order by id')).map((r) => r.id);
const nobodys = () =>
  e.db.sql('select id from blobs b where not exists (select 1 from docs where b.id in (data, preview))');

it('goes with the last row that refers to it, wherever the batches end, and is named in a receipt', async () => {
  // 1 is shared by two that go, 2 also by one that stays, 3 is named twice by one row, 4 by nobody here.
  await write([50, 1, 3], [49, 2, 3], [48, 1], [47, null, null], [1, 2, 5]);
  await e.db.sql('insert into blobs (id) values (9)');
  const policy = docs();
  Object.assign(e.services, { policies: [policy] });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 4, dependants: { 'public.blobs': 2 } });
  expect(await e.run(policy, { batchSize: 1 })).toMatchObject({
    outcome: 'succeeded',
    deleted: 4,
    dependantsDeleted: 2,
  });
  expect(await blobs()).toEqual([2, 5, 9]);
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
  const named = await e.db.sql(
    `select jsonb_array_elements_text(dependants -> 'public.blobs') as k from retention.receipt order by 1`,
  );
  expect(named).toEqual([{ k: '1' }, { k: '3' }]);
  const why = await explainRow(e.services, 'public.blobs', '1');
  expect(why.deletions).toMatchObject([{ policy: 'docs', as_dependant: true }]);
});

it.each([1, 3, 1000])('a dry run, by pages and rules, says what goes in batches of %i', async (batchSize) => {
  await e.db.sql(`alter table docs add kind text not null default 'a'; create index on docs (kind, at, id)`);
  const roll = (i: number, n: number) => ((i * 7919 + 13) >>> 3) % n;
  await write(
    ...Array.from(
      { length: 120 },
      (_, i) => [20 + roll(i, 60), 1 + roll(i * 3, 50), roll(i, 4) ? null : 1 + roll(i * 5, 50)] as const,
    ),
  );
  await e.db.sql(`update docs set kind = 'b' where id % 3 = 0`);
  await e.db.sql(
    `insert into retention.hold (scope, table_name, subject, reason, placed_by) values ('item', 'public.docs', '8', 'm', 'a')`,
  );
  const policy = docs(
    {},
    {
      rules: [
        { label: 'a', keepFor: days(30), match: { kind: 'a' } },
        { label: 'b', keepFor: days(45), match: { kind: 'b' } },
      ],
    },
  );
  const before = await blobs();
  const dry = await e.run(policy, { dryRun: true });
  const result = await e.run(policy, { batchSize });
  expect(dry.preview).toMatchObject({
    expired: result.deleted,
    dependants: { 'public.blobs': result.dependantsDeleted },
  });
  const after = await blobs();
  expect(before.length - after.length).toBe(result.dependantsDeleted);
  expect(result.dependantsDeleted).toBeGreaterThan(10);
  expect(await nobodys()).toEqual([]);
});

it('its files go to the outbox, and its bytes count for the rule of the row', async () => {
  await e.stop();
  await start({ CLEANUP_LANES: '1', BLOB_READ_WRITE_TOKEN: 'vercel_blob_rw_store_secret' });
  await write([50, 1], [49, 1], [48, 2], [1, 3]);
  await e.db.sql(`update blobs set path = 'data/' || id || '.bin', size = 10`);
  const files = [{ column: 'path', bytes: 'size', fate: 'delete' as const, prefix: 'data/' }];
  const policy = docs({ files } as Partial<Content>);
  for (const { remedy } of await fitsDatabase(e, policy)) await e.db.sql(remedy);
  expect(await fitsDatabase(e, policy)).toEqual([]);
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ files: 2, bytes: 20 });
  expect(await e.run(policy)).toMatchObject({ filesQueued: 2, byRule: { all: { deleted: 3, bytes: 20 } } });
  expect(await e.db.sql('select url, table_name from retention.outbox order by url')).toEqual([
    { url: 'data/1.bin', table_name: 'public.blobs' },
    { url: 'data/2.bin', table_name: 'public.blobs' },
  ]);
});

it('a hold on it keeps every row that refers to it, and one on another such row keeps it', async () => {
  await write([50, 1], [49, 2], [48, 2], [47, 3]);
  await e.db.sql(`insert into retention.hold (scope, table_name, subject, reason, placed_by)
    values ('item', 'public.blobs', '1', 'm', 'a'), ('item', 'public.docs', '3', 'm', 'a')`);
  const dry = await e.run(docs(), { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 2, dependants: { 'public.blobs': 1 }, kept: { held: 2 } });
  expect(await e.run(docs())).toMatchObject({ deleted: 2, dependantsDeleted: 1, kept: { held: 2 } });
  expect(await blobs()).toEqual([1, 2]);
  await e.db.sql(`update retention.hold set released_at = now(), released_by = 'b', release_reason = 'r'`);
  expect(await e.run(docs())).toMatchObject({ deleted: 2, dependantsDeleted: 2 });
});

describe('what another table refers to', () => {
  const shared = { sharedWith: [{ table: { schema: 'public', name: 'drafts' }, columns: ['data'] }] };
  it('stays, by a foreign key', async () => {
    await e.db.sql(
      'create table drafts (data int references blobs); create index on drafts (data); grant select on drafts to lapse_app',
    );
    await write([50, 1], [49, 2]);
    await e.db.sql('insert into drafts values (1)');
    // Every foreign key of the catalog has to be declared.
    expect(await fitsDatabase(e, docs())).toMatchObject([
      {
        remedy: `add { table: { schema: 'public', name: 'drafts' }, columns: ['data'] } to contents.0.sharedWith of the policy`,
      },
    ]);
    expect(await e.run(docs())).toMatchObject({ outcome: 'errored', deleted: 0 });
    expect(await fitsDatabase(e, docs(shared))).toEqual([]);
    const dry = await e.run(docs(shared), { dryRun: true });
    expect(dry.preview).toMatchObject({ dependants: { 'public.blobs': 1 } });
    expect(await e.run(docs(shared))).toMatchObject({ deleted: 2, dependantsDeleted: 1 });
    expect(await blobs()).toEqual([1]);
  });

  it('stays without one, when its table has a gate', async () => {
    await e.db.sql(
      'create table drafts (data int); create index on drafts (data); grant select on drafts to lapse_app',
    );
    await write([50, 1], [49, 2]);
    await e.db.sql('insert into drafts values (1)');
    const [problem, ...more] = await fitsDatabase(e, docs(shared));
    expect(more).toEqual([]);
    expect(problem!.remedy).toContain('CREATE TRIGGER lapse_gate');
    await e.db.sql(problem!.remedy);
    expect(await e.run(docs(shared))).toMatchObject({
      outcome: 'succeeded',
      deleted: 2,
      dependantsDeleted: 1,
    });
    expect(await blobs()).toEqual([1]);
  });
});

it('of two batches that each take one of its last two rows the second takes it along', async () => {
  // The first waits in the middle of its deleting statement, whose snapshot has both rows.
  await e.db.sql(`create function waits() returns trigger language plpgsql as $$ begin
      if old.id = 1 then perform pg_advisory_xact_lock_shared(4242); end if; return old; end $$;
    create trigger waits before delete on docs for each row execute function waits()`);
  await write([50, 1], [49, 1]);
  const knownTriggers = ['waits'];
  const first = docs({}, { knownTriggers, where: 't.id = 1' });
  const second = docs({}, { name: 'others', knownTriggers, where: 't.id = 2' });
  const app = await e.db.session();
  await app.sql('select pg_advisory_lock(4242)');
  const running = e.run(first);
  await untilWaiting(e.db, advisory(4242), running);
  await runPolicy(e.services, second, runRequest(NOW));
  await app.sql('select pg_advisory_unlock(4242)');
  app.end();
  await running;
  await e.run(second);
  await e.run(first);
  expect(await e.db.sql('select id from docs')).toEqual([]);
  expect(await blobs()).toEqual([]);
});

it('in lanes, beside an application that writes new references, none is left alone and none goes twice', async () => {
  await e.stop();
  await start({ CLEANUP_LANES: '3', CLEANUP_BATCH_SIZE: '7' });
  await write(
    ...Array.from(
      { length: 600 },
      (_, i) => [40 + (i % 100) / 10, 1 + ((i * 17) % 90), i % 5 ? null : 1 + ((i * 29) % 90)] as const,
    ),
  );
  const contents = (await blobs()).length;
  let ended = false;
  // What is gone refuses a reference; what is not has one more, which goes as well.
  const writer = async () => {
    for (let i = 0; !ended; i += 1)
      await e.db
        .sql('insert into docs (at, data) values ($1, $2)', [ago(41 * DAY), 1 + ((i * 13) % 90)])
        .catch(() => undefined);
  };
  const writing = writer();
  for (let i = 0; i < 3; i += 1) await runPolicy(e.services, docs(), runRequest(NOW));
  ended = true;
  await writing;
  await runPolicy(e.services, docs(), runRequest(NOW));
  await runPolicy(e.services, docs(), runRequest(NOW));
  expect(await e.db.sql('select id from docs')).toEqual([]);
  expect(await blobs()).toEqual([]);
  const [named] = await e.db.sql(`select count(*)::int as n, count(distinct k)::int as different
    from retention.receipt r, jsonb_array_elements_text(r.dependants -> 'public.blobs') k`);
  expect(named).toEqual({ n: contents, different: contents });
});

it('while someone else decides about it, its rows wait for the next time', async () => {
  await write([50, 1], [49, 1], [48, 2]);
  const app = await e.db.session();
  await app.sql('begin');
  await app.sql('select 1 from blobs where id = 1 for update');
  const busy = await e.run(docs());
  expect(busy).toMatchObject({ deleted: 1, dependantsDeleted: 1 });
  expect(busy.kept.busy).toBeGreaterThanOrEqual(2);
  await app.sql('rollback');
  app.end();
  expect(await e.run(docs())).toMatchObject({ deleted: 2, dependantsDeleted: 1 });
});

it('a content that refuses to go keeps its row, as a dead letter', async () => {
  await e.db.sql(`create function stubborn() returns trigger language plpgsql as $$ begin
      if old.id = 2 then raise exception 'no' using errcode = '23514'; end if; return old; end $$;
    create trigger stubborn before delete on blobs for each row execute function stubborn()`);
  await write([50, 1], [49, 2], [48, 3]);
  expect(await fitsDatabase(e, docs())).toHaveLength(1);
  expect(await e.run(docs({ knownTriggers: ['stubborn'] }))).toMatchObject({
    deleted: 2,
    dependantsDeleted: 2,
  });
  expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([{ row_key: '2' }]);
  expect(await blobs()).toEqual([2]);
});

describe('is refused before the first delete', () => {
  it.each([
    ['the role may not delete it', 'revoke delete on blobs from lapse_app'],
    ['it has no guard', 'drop trigger lapse_guard on blobs'],
    ['a reference has no foreign key', 'alter table docs drop constraint docs_preview_fkey'],
    ['a reference has no index', 'drop index docs_preview_idx'],
  ])('where %s, and runs when the remedy was followed', async (_, alter) => {
    await write([50, 1, 1]);
    await e.db.sql(alter);
    const problems = await fitsDatabase(e, docs());
    expect(problems).toHaveLength(1);
    expect(await runPolicy(e.services, docs(), runRequest(NOW))).toMatchObject({
      outcome: 'errored',
      deleted: 0,
    });
    await e.db.sql(problems[0]!.remedy);
    expect(await e.run(docs())).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
  });

  it.each([
    ['a reference nobody declared', { references: [['data']] }, `add ['preview'] to contents.0.references`],
    [
      'a foreign key to another column',
      {},
      'name them as the key in contents.0',
      'alter table blobs add other int unique; create table odd (blob int references blobs (other)); create index on odd (blob); grant select on odd to lapse_app',
    ],
    ['a table that is not there', { table: { schema: 'public', name: 'nothing' } }, 'create it'],
  ])('where there is %s', async (_, content, remedy, alter?: string) => {
    await write([50, 1]);
    if (alter) await e.db.sql(alter);
    expect((await fitsDatabase(e, docs(content as Partial<Content>))).map((p) => p.remedy)).toContainEqual(
      expect.stringContaining(remedy),
    );
  });
});

it.each([
  [
    'its own table',
    { contents: [{ table: { name: 'docs' }, key, references: [['data']], fate: 'with-last-reference' }] },
    'contents.0.table',
  ],
  [
    'a reference of another length',
    {
      contents: [
        { table: { name: 'blobs' }, key, references: [['data', 'preview']], fate: 'with-last-reference' },
      ],
    },
    'contents.0.references',
  ],
  [
    'rows that stay with their reference',
    { strategy: { kind: 'mask', mark: 'gone', columns: [{ column: 'words', to: null }] } },
    'contents.0: rows that stay refer to it',
  ],
  ['an archive', { strategy: { kind: 'archive', keepFor: days(1) } }, 'contents: an archive'],
  ['partitions', { partitioned: { by: 'day' } }, 'contents: not of a partitioned table'],
])('a declaration with %s does not start', (_, changes, problem) => {
  expect(() => docs({}, changes as Partial<PolicyInput>)).toThrow(problem);
});

it('another content waits out the cooling-off', () => {
  expect(policyReach(docs())).not.toBe(policyReach(docs({ references: [['data']] })));
});
