/** Rows that stay, masked or marked, while what belongs to them is deleted: e.g. a user without a name, whose sessions go. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { cleanupReport } from '@/lib/operators/audit/report';
import { verify } from '@/lib/operators/audit/verify';
import { type Dependant, days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { policyReach } from '@/lib/policies/effective';
import { inWords } from '@/lib/policies/in-words';
import { purgeOf } from '@/lib/policies/purge';
import {
  DAY,
  databaseClock,
  type Engine,
  engine,
  fitsDatabase,
  govern,
  NOW,
  runRequest,
  things,
  thingsPolicy,
} from '../../support/engine';

const BLOB = { BLOB_READ_WRITE_TOKEN: 'vercel_blob_rw_store_secret' };
let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { CLEANUP_LANES: '1', ...BLOB } });
  await govern(e.db);
  await e.db.sql(`alter table things add email text, add masked_at timestamptz;
    create table sessions (id uuid primary key default gen_random_uuid(), thing uuid references things on delete cascade, avatar text, size int);
    create index on sessions (thing); grant select, delete on sessions to lapse_app; select retention.protect('public.sessions')`);
});
afterEach(() => e.stop());

const MASK = {
  kind: 'mask' as const,
  mark: 'masked_at',
  columns: [{ column: 'email', to: null }],
  dependants: 'go' as const,
};
const masked = (more: Partial<PolicyInput> = {}, of: Partial<Dependant> = {}): Policy =>
  thingsPolicy({
    strategy: MASK,
    dependants: [
      {
        table: { name: 'sessions' },
        key: [{ column: 'id', type: 'uuid' }],
        references: ['thing'],
        fate: 'delete',
        ...of,
      },
    ],
    ...more,
  });
async function people(ages: readonly number[]): Promise<string[]> {
  const ids = await things(
    e.db,
    ages.map((d) => d * DAY),
  );
  await e.db.sql(`update things set email = 'p@example.com'`);
  await e.db.sql('insert into sessions (thing) select x from unnest($1::uuid[]) x, generate_series(1, 3)', [
    ids,
  ]);
  return ids;
}
const sessions = async () =>
  (await e.db.sql<{ thing: string }>('select thing::text from sessions order by thing')).map((r) => r.thing);

it('the row stays, masked, and what belongs to it goes, named in the same receipt', async () => {
  const [a, b, c, fresh] = await people([40, 41, 42, 1]);
  const policy = masked();
  Object.assign(e.services, { policies: [policy] });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  const theirs = await e.db.sql<{ id: string }>(
    'select id::text from sessions where thing <> $1 order by id',
    [fresh],
  );
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 3, dependants: { 'public.sessions': 9 } });
  expect(await e.run(policy, { batchSize: 2 })).toMatchObject({
    outcome: 'succeeded',
    deleted: 3,
    dependantsDeleted: 9,
  });
  expect(await e.db.sql('select id::text from things where email is null order by at')).toEqual(
    [c, b, a].map((id) => ({ id })),
  );
  expect(await sessions()).toEqual([fresh, fresh, fresh]);
  const [receipts] = await e.db.sql(
    `select array_agg(distinct action) as actions, sum(dependants_deleted)::int as n from retention.receipt`,
  );
  expect(receipts).toEqual({ actions: ['mask'], n: 9 });
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
  const why = await explainRow(e.services, 'public.sessions', theirs[0]!.id);
  expect(why.deletions).toMatchObject([{ action: 'mask', as_dependant: true, detached: false }]);
  const period = { from: new Date(NOW.getTime() - DAY * 1000), to: new Date(Date.now() + DAY * 1000) };
  expect((await cleanupReport(e.services, period)).totals).toMatchObject({
    rows_deleted: 3,
    dependants_deleted: 9,
  });
  // A session of a masked row that comes later is the application's own.
  await e.db.sql('insert into sessions (thing) values ($1)', [a]);
  expect(await e.run(policy)).toMatchObject({ deleted: 0, picked: 0 });
});

it('without saying so they stay with it, and nothing is demanded of them', async () => {
  await people([40]);
  const { dependants: _, ...stays } = MASK;
  await e.db.sql('revoke delete on sessions from lapse_app; drop trigger lapse_guard on sessions');
  const policy = masked({ strategy: stays });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ deleted: 1, dependantsDeleted: 0 });
  expect(await sessions()).toHaveLength(3);
  // Another decision about what is lost waits out the cooling-off.
  expect(policyReach(masked())).not.toBe(policyReach(policy));
  expect(inWords(masked())[0]).toContain('what belongs to it goes');
});

it('their files go to the outbox, and their sizes count for the rule of the row', async () => {
  await e.db.sql(`create table orgs (id uuid primary key, plan text); grant select on orgs to lapse_app;
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create index on things (org, at, id)`);
  await people([40, 41, 1]);
  await e.db.sql(`update things set org = id; insert into orgs select id, 'short' from things;
    update sessions set avatar = 'avatars/' || id || '.png', size = 7`);
  const files = [{ column: 'avatar', bytes: 'size', fate: 'delete' as const, prefix: 'avatars/' }];
  const tenants = {
    table: { name: 'orgs' },
    key: { column: 'id', type: 'uuid' },
    column: 'org',
    label: 'o.plan',
  };
  const policy = masked({ rules: [{ label: 'short', keepFor: days(30) }], tenants }, {
    files,
  } as Partial<Dependant>);
  for (const { remedy } of await fitsDatabase(e, policy)) await e.db.sql(remedy);
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({
    expired: 2,
    files: 6,
    bytes: 42,
    byRule: { short: { expired: 2, bytes: 42 } },
  });
  expect(await e.run(policy)).toMatchObject({
    deleted: 2,
    filesQueued: 6,
    byRule: { short: { deleted: 2, bytes: 42 } },
  });
  expect(await e.db.sql('select count(*)::int as n from retention.outbox')).toEqual([{ n: 6 }]);
});

it('a hold on one of them keeps the row as it is', async () => {
  const [a, b] = await people([40, 41]);
  await e.db.sql(
    `insert into retention.hold (scope, table_name, subject, reason, placed_by)
     select 'item', 'public.sessions', id::text, 'm', 'a' from sessions where thing = $1 limit 1`,
    [a],
  );
  expect(await e.run(masked())).toMatchObject({ deleted: 1, kept: { held: 1 } });
  expect(await e.db.sql('select id::text from things where email is null')).toEqual([{ id: b }]);
  expect(await sessions()).toEqual([a, a, a]);
});

it('a soft delete may take them at once, and its purge takes the row', async () => {
  await databaseClock(e.db, NOW);
  await people([40, 1]);
  await e.db.sql('alter table things add gone_at timestamptz; create index on things (gone_at, id)');
  const policy = masked({
    strategy: { kind: 'soft-delete', column: 'gone_at', purgeAfter: days(30), dependants: 'go' },
  });
  expect(await fitsDatabase(e, policy)).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ deleted: 1, dependantsDeleted: 3 });
  expect(inWords(policy)[0]).toContain('goes at once');
  expect(policyReach(policy)).not.toBe(
    policyReach(masked({ strategy: { kind: 'soft-delete', column: 'gone_at', purgeAfter: days(30) } })),
  );
  await e.db.sql(`update things set gone_at = gone_at - interval '31 days'`);
  expect(await e.run(purgeOf(policy)!)).toMatchObject({ deleted: 1, dependantsDeleted: 0 });
});

it('a row that refuses to be masked keeps what belongs to it', async () => {
  const [a] = await people([40, 41]);
  await e.db.sql(`alter table things add constraint reachable check (email is not null or note is null)`);
  await e.db.sql(`update things set note = 'x' where id = $1`, [a]);
  const policy = masked({
    strategy: { ...MASK, columns: [{ column: 'email', to: null, knownConstraints: ['reachable'] }] },
  });
  expect(await e.run(policy)).toMatchObject({ deleted: 1 });
  expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([{ row_key: a }]);
  expect(await sessions()).toEqual([a, a, a]);
});

describe('is refused before anything is masked', () => {
  it.each([
    ['the role may not delete them', 'revoke delete on sessions from lapse_app'],
    ['they are not guarded', 'drop trigger lapse_guard on sessions'],
    ['no foreign key says so', 'alter table sessions drop constraint sessions_thing_fkey'],
  ])('%s', async (_, alter) => {
    await people([40]);
    await e.db.sql(alter);
    const [problem, ...more] = await fitsDatabase(e, masked());
    expect(more).toEqual([]);
    expect(await runPolicy(e.services, masked(), runRequest(NOW))).toMatchObject({
      outcome: 'errored',
      deleted: 0,
    });
    await e.db.sql(problem!.remedy);
    expect(await runPolicy(e.services, masked(), runRequest(NOW))).toMatchObject({
      outcome: 'succeeded',
      deleted: 1,
      dependantsDeleted: 3,
    });
  });
  it.each([
    ['a trigger on them', 'create trigger x before delete on sessions for each row execute function shy()'],
    ['a rule on them', 'create rule x as on delete to sessions do instead nothing'],
    [
      'what would go with them',
      'create table clicks (session uuid references sessions on delete cascade); create index on clicks (session)',
    ],
  ])('%s', async (_, alter) => {
    await people([40]);
    await e.db.sql('create function shy() returns trigger language plpgsql as $$ begin return null; end $$');
    await e.db.sql(alter);
    expect(await fitsDatabase(e, masked())).toHaveLength(1);
    expect(await e.run(masked())).toMatchObject({ outcome: 'errored', deleted: 0 });
    expect(await e.db.sql('select 1 from things where email is null')).toEqual([]);
  });
});

it('what leaves beside them is counted, and the batch rolls back', async () => {
  await people([40]);
  await e.db.sql(`create table clicks (session uuid references sessions, id int);
    create function more() returns trigger language plpgsql as $$ begin delete from clicks where session = old.id; return old; end $$;
    create trigger more before delete on sessions for each row execute function more();
    insert into clicks (session) select id from sessions; create index on clicks (session); grant delete, select on clicks to lapse_app`);
  expect(await e.run(masked({}, { knownTriggers: ['more'] }))).toMatchObject({
    outcome: 'errored',
    deleted: 0,
  });
  expect(await sessions()).toHaveLength(3);
});
