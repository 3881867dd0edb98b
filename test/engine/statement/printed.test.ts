/**
 * Every shape a batch can have, as the text that is sent to the database: a change of how statements are composed shows
 * as a difference a person can read. What was meant to change is written anew by `npx vitest run <this file> -u`.
 */
import { afterEach, beforeAll, expect, it } from 'vitest';
import { resolvePolicies } from '@/lib/policies';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { purgeOf } from '@/lib/policies/purge';
import { confirmRequest, eraseSubject } from '@/lib/rights/erase';
import type { TestDatabase } from '../../support/database';
import {
  ago,
  DAY,
  databaseClock,
  type Engine,
  engine,
  govern,
  NOW,
  runRequest,
  thingsPolicy,
} from '../../support/engine';
import { BOUNDARY, EXPIRED, partitioned, visits } from '../../support/partitioned';
import { isSession, printed, type Request, recorded } from '../../support/printed';

let e: Engine;
afterEach(() => e?.stop());

/** One lane, so that batches follow each other in one order. */
const start = async (env: Record<string, string> = {}): Promise<TestDatabase> => {
  e = await engine({ env: { CLEANUP_LANES: '1', ...env } });
  await databaseClock(e.db, NOW);
  // Who logs in is looked at before the first request of an instance: no part of a run.
  const { database, deciding, reading } = e.services;
  for (const one of [database, deciding, reading])
    await one.transaction([{ text: 'select 1', params: [] }], { timeoutMs: 10_000 });
  return e.db;
};

const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const OLD = ago(40 * DAY);

/** Things `1` to `n`, all of them expired. */
const expired = (db: TestDatabase, n: number) =>
  db.sql(`insert into things (id, at, org) select x.id::uuid, $1, $3::uuid from unnest($2::text[]) x(id)`, [
    OLD,
    Array.from({ length: n }, (_, i) => id(i + 1)),
    id(100),
  ]);

/** What a plain run says in front of its first batch: printed once, not with every shape. */
let known: Set<string>;
beforeAll(async () => {
  const policy = await govern(await start());
  await expired(e.db, 1);
  const [begin] = await recorded(() => e.run(policy));
  known = new Set(begin!.statements.map((s) => s.query));
  await e.stop();
});

async function expectPrinted(requests: readonly Request[], file: string, without = known): Promise<void> {
  // The session leads every request, so it is not printed with each.
  for (const { statements } of requests) expect(statements.map(isSession).indexOf(true)).toBe(0);
  await expect(printed(requests, without)).toMatchFileSnapshot(`printed/${file}.sql`);
}

/** The one policy there is: whose files a run may have to keep does not depend on what the project declares. */
const alone = (policy: Policy) => Object.assign(e.services, { policies: [policy] });

/** A run that deletes something, two rows a batch, as text. */
async function expectRun(
  file: string,
  policy: Policy,
  changes: { batchSize?: number; limit?: number } = { batchSize: 2 },
) {
  alone(policy);
  const requests = await recorded(async () => {
    const result = await e.run(policy, changes);
    expect(result.deleted, result.message).toBeGreaterThan(0);
  });
  await expectPrinted(requests, file);
}

it('a run begins with one request', async () => {
  const policy = await govern(await start());
  await expired(e.db, 1);
  const requests = await recorded(() => e.run(policy));
  await expectPrinted(requests.slice(0, 1), 'begin', new Set());
});

it('a plain policy goes by its index', async () => {
  const policy = await govern(await start());
  await expired(e.db, 3);
  await expectRun('by-index', policy);
});

it('a large backlog goes by the blocks of its table', async () => {
  const policy = await govern(await start());
  await e.db.sql(`alter table things set (fillfactor = 10);
    insert into things (at) select '${OLD}'::timestamptz + i * interval '1 second' from generate_series(1, 2000) i`);
  await e.db.sql('vacuum analyze things');
  // As where the count at the beginning takes too long: then a few rows may go by the blocks of their table, too.
  const uncounted = (r: Request) => r.statements.some((s) => s.query.includes('lapse.due'));
  const requests = await recorded(async () => {
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', path: 'heap', deleted: 2_000 });
  }, uncounted);
  await expectPrinted(requests, 'by-blocks');
});

it('several rules and a condition are judged with the age', async () => {
  const db = await start();
  await govern(db);
  await db.sql(`create index on things (note, at, id)`);
  await expired(db, 3);
  await db.sql(`update things set note = 'draft'`);
  const policy = thingsPolicy({
    rules: [
      { label: 'drafts', keepFor: days(30), match: { note: 'draft' } },
      { label: 'finals', keepFor: days(60), match: { note: 'final' } },
    ],
    where: 't.person is null',
  });
  await expectRun('rules', policy);
});

it.each([
  ['timestamp', 'local-time'],
  ['date', 'local-date'],
] as const)('a clock of type %s is compared as its column holds it', async (type, file) => {
  const db = await start();
  await db.sql(`create table things (id uuid primary key, at ${type}, org uuid, person uuid);
    create index on things (at, id); grant select, update, delete on things to lapse_app`);
  await expired(db, 2);
  await expectRun(file, thingsPolicy({ clock: { column: 'at', type, zone: 'Europe/Berlin' } }), {});
});

it.each([
  ['bigint', { column: 'at', type: 'epoch', unit: 'milliseconds' }, (at: Date) => at.getTime(), 'epoch'],
  ['text', { column: 'at', type: 'iso' }, (at: Date) => at.toISOString(), 'iso'],
  [
    'timestamptz',
    { column: 'deleted_at', otherwise: ['at'], type: 'timestamptz' },
    (at: Date) => at.toISOString(),
    'first-that-is-set',
  ],
] as const)(
  'a clock of type %s, declared as %o, is compared as its index holds it',
  async (type, clock, written, file) => {
    const db = await start();
    const given = 'otherwise' in clock;
    await db.sql(`create table things (id uuid primary key, at ${type}, deleted_at timestamptz, org uuid, person uuid);
    create index on things (${given ? '(coalesce(deleted_at, at))' : 'at'}, id); grant select, update, delete on things to lapse_app`);
    for (const n of [1, 2])
      await db.sql(`insert into things (id, at) values ('${id(n)}', '${written(new Date(OLD))}')`);
    await expectRun(
      file,
      thingsPolicy({ clock: given ? { ...clock, otherwise: [...clock.otherwise] } : clock }),
      {},
    );
  },
);

it('a clock in another table is asked of the row referred to', async () => {
  const db = await start();
  await db.sql(`create table things (id uuid primary key, parcel int);
    create table parcels (id int primary key, sent_at timestamptz); grant select on parcels to lapse_app;
    create trigger lapse_gate before update or delete on parcels for each statement execute function retention.gate();
    grant select, update, delete on things to lapse_app; insert into parcels values (1, '${OLD}');
    insert into things values ('${id(1)}', 1), ('${id(2)}', 1), ('${id(3)}', 2)`);
  const parcel = { table: { name: 'parcels' }, references: ['parcel'], key: ['id'] };
  const clock = { column: 'sent_at', type: 'timestamptz' as const, in: parcel };
  await expectRun('clock-elsewhere', thingsPolicy({ clock, scope: {} }));
});

it('rows of another table that have a part in the clock are asked when the row is locked', async () => {
  const db = await start();
  await db.sql(`create table things (id uuid primary key, at timestamptz); create index on things (at, id);
    create table notes (id int primary key, thing uuid references things on delete set null, written_at timestamptz); create index on notes (thing, written_at);
    create trigger lapse_gate before update of written_at on notes for each statement execute function retention.gate();
    grant select on notes to lapse_app; grant select, update, delete on things to lapse_app;
    insert into things select x.id::uuid, '${OLD}' from unnest(array['${id(1)}', '${id(2)}', '${id(3)}']) x(id);
    insert into notes values (1, '${id(1)}', '${OLD}'), (2, '${id(2)}', '${ago(DAY)}')`);
  const notes = { table: { name: 'notes' }, references: ['thing'] };
  const clock = {
    column: 'at',
    type: 'timestamptz' as const,
    orLaterIn: [{ ...notes, column: 'written_at', type: 'timestamptz' as const }],
  };
  const dependants = [{ ...notes, key: [{ column: 'id' }], fate: 'keep' as const }];
  await expectRun('clock-below', thingsPolicy({ clock, dependants, scope: {} }));
});

it('a key without a declared type has that of its columns', async () => {
  const db = await start();
  await db.sql(`create table things (kind text, no bigint, at timestamptz, unique (kind, no));
    alter table things alter kind set not null, alter no set not null;
    create index on things (at, kind, no); grant select, update, delete on things to lapse_app;
    insert into things select 'a', i, '${OLD}' from generate_series(1, 3) i;
    create function nothing() returns trigger language plpgsql as $$ begin return old; end $$;
    create trigger nothing before delete on things for each row execute function nothing()`);
  const key = [{ column: 'kind', personal: false as const }, { column: 'no' }];
  await expectRun('untyped-key', thingsPolicy({ key, scope: {}, knownTriggers: ['nothing'] }));
});

const TIERS: Partial<PolicyInput> = {
  rules: [
    { label: 'free', keepFor: days(30) },
    { label: 'pro', keepFor: days(365) },
  ],
  tenants: {
    table: { name: 'orgs' },
    key: { column: 'id', type: 'uuid' },
    column: 'org',
    label: 'o.plan',
    judgedBy: [{ name: 'orgs' }],
  },
};
async function tiers(db: TestDatabase): Promise<Policy> {
  const policy = await govern(db, TIERS);
  await db.sql(`create index on things (org, at, id); create table orgs (id uuid primary key, plan text);
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    grant select on orgs to lapse_app; insert into orgs values ('${id(100)}', 'free')`);
  return policy;
}

it('tenants have the period of their tier', async () => {
  const policy = await tiers(await start());
  await expired(e.db, 3);
  await expectRun('tenants', policy);
});

const SOFT: Partial<PolicyInput> = {
  strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: days(30) },
};
async function softly(db: TestDatabase): Promise<Policy> {
  const policy = await govern(db, SOFT);
  await db.sql('alter table things add deleted_at timestamptz; create index on things (deleted_at, id)');
  return policy;
}

it('a soft delete marks its rows, and the purge takes them', async () => {
  const policy = await softly(await start());
  await expired(e.db, 3);
  await expectRun('soft-delete', policy);
  await e.db.sql(`update things set deleted_at = $1`, [OLD]);
  await expectRun('purge', purgeOf(policy)!);
});

it('a mask changes its columns and marks the row', async () => {
  await govern(await start());
  await e.db.sql('alter table things add email text, add masked_at timestamptz');
  await expired(e.db, 3);
  const columns = [
    { column: 'email', to: { hash: 'customer-email' } },
    { column: 'note', to: null },
  ];
  const declared = thingsPolicy({ strategy: { kind: 'mask', mark: 'masked_at', columns } });
  const [policy] = resolvePolicies({ LAPSE_MASK_KEY: '00'.repeat(32) }, [declared]);
  await expectRun('mask', policy!);
});

/** Notes go with their thing and name a file each, pins keep it here, links stay. */
const ALONG: Partial<PolicyInput> = {
  dependants: [
    {
      table: { name: 'notes' },
      key: [{ column: 'id', type: 'integer' }],
      references: ['thing'],
      fate: 'delete',
      scope: { user: 'author' },
      files: [
        {
          column: 'file',
          bytes: 'bytes',
          fate: 'delete',
          prefix: 'notes/',
          sharedWith: [{ table: { name: 'albums' }, column: 'cover' }],
        },
      ],
    },
    {
      table: { name: 'pins' },
      key: [{ column: 'id', type: 'integer' }],
      references: ['thing'],
      fate: 'block',
    },
    {
      table: { name: 'links' },
      key: [{ column: 'id', type: 'integer' }],
      references: ['thing'],
      fate: 'keep',
    },
  ],
};
async function along(db: TestDatabase): Promise<Policy> {
  const policy = await govern(db, ALONG);
  await db.sql(`create table notes (id int primary key, thing uuid references things on delete cascade, author uuid, file text, bytes bigint);
    create table pins (id int primary key, thing uuid references things);
    create table links (id int primary key, thing uuid references things on delete set null);
    create table albums (cover text);
    create index on notes (thing); create index on pins (thing); create index on links (thing);
    create index on notes (retention.blob_path(file)); create index on albums (retention.blob_path(cover));
    grant select, update, delete on notes, pins, links, albums to lapse_app`);
  await expired(db, 3);
  await db.sql(
    `insert into notes values (1, '${id(1)}', null, 'notes/1.txt', 10); insert into pins values (1, '${id(2)}')`,
  );
  return policy;
}

it('what depends on a row goes with it, keeps it here, or stays', async () => {
  await expectRun('dependants', await along(await start(BLOB)));
});

/** Says that there is a store: what is queued is not drained here. */
const BLOB = { BLOB_READ_WRITE_TOKEN: 'vercel_blob_rw_printed_token' };
const FILES: Partial<PolicyInput> = {
  files: [
    { column: 'file', bytes: 'bytes', fate: 'delete', prefix: 'things/', suffixed: true },
    { column: 'original', fate: 'keep' },
  ],
};
async function withFiles(db: TestDatabase, changes: Partial<PolicyInput> = {}): Promise<Policy> {
  const policy = await govern(db, { ...FILES, ...changes });
  await db.sql(`alter table things add file text, add bytes bigint, add original text;
    create index on things (retention.blob_path(file)); create index on things (retention.blob_path(original))`);
  await expired(db, 3);
  await db.sql(`update things set file = 'things/' || right(id::text, 1) || '.png', bytes = 10`);
  return policy;
}

it('rows that stay for the sake of their group are locked before the others go', async () => {
  const db = await start();
  await govern(db);
  await db.sql('create index on things (org, at, id); alter table things alter org set not null');
  await expired(db, 3);
  await expectRun(
    'spared',
    thingsPolicy({
      keepAtLeast: { newest: 1, per: ['org'] },
      thin: { tiers: [{ keepOne: 'month', until: days(35) }] },
    }),
  );
});

it('what the rows refer to is locked, and goes with its last reference', async () => {
  const db = await start();
  await govern(db);
  await db.sql(`create table blobs (id uuid primary key); grant select, delete, update (id) on blobs to lapse_app;
    alter table things add data uuid references blobs; create index on things (data); select retention.protect('public.blobs')`);
  await expired(db, 3);
  await db.sql('insert into blobs select id from things; update things set data = id');
  const key = [{ column: 'id', type: 'uuid' }];
  const policy = thingsPolicy({
    contents: [{ table: { name: 'blobs' }, key, references: [['data']], fate: 'with-last-reference' }],
  });
  alone(policy);
  const requests = await recorded(() => e.run(policy, { batchSize: 2 }));
  // Behind the first, which asks the catalog of both tables.
  await expectPrinted(requests.slice(1, 2), 'contents');
});

it('references of what stays are taken away before the rows go', async () => {
  const db = await start();
  await govern(db);
  await db.sql(`create table ratings (id uuid primary key, thing uuid references things); create index on ratings (thing);
    grant select, update (thing) on ratings to lapse_app`);
  await expired(db, 2);
  await db.sql('insert into ratings select id, id from things');
  const key = [{ column: 'id', type: 'uuid' }];
  await expectRun(
    'set-null',
    thingsPolicy({
      dependants: [{ table: { name: 'ratings' }, key, references: ['thing'], fate: 'set-null' }],
    }),
  );
});

it('files are queued by the deleting statement', async () => {
  await expectRun('files', await withFiles(await start(BLOB)));
});

it('a key of several columns, one of them text, is compared column by column', async () => {
  const db = await start();
  await db.sql(`create table things (shop int, code text, at timestamptz, primary key (shop, code));
    create index on things (at, shop, code); grant select, update, delete on things to lapse_app;
    insert into things select 1, 'c' || i, '${OLD}' from generate_series(1, 3) i`);
  const { scope: _, ...unscoped } = thingsPolicy();
  const key = [
    { column: 'shop', type: 'integer' },
    { column: 'code', type: 'text', personal: false as const },
  ];
  await expectRun('composite-key', { ...unscoped, scope: {}, key } as Policy);
});

it('a declared trigger has every row looked for by its key afterwards', async () => {
  const policy = await govern(await start(), { knownTriggers: ['noted'] });
  await e.db.sql(`create function noted() returns trigger language plpgsql as $$ begin return old; end $$;
    create trigger noted before delete on things for each row execute function noted()`);
  await expired(e.db, 3);
  await expectRun('known-triggers', policy);
});

it('a partition that expired whole is dropped, the others are walked', async () => {
  const policy = await partitioned(await start());
  await e.db.sql(
    `insert into visits (id, at) values ('${id(1)}', '${BOUNDARY}-10T00:00:00Z'), ('${id(2)}', '${BOUNDARY}-10T00:00:00Z')`,
  );
  await visits(e.db, EXPIRED, 2);
  await expectRun('partition', policy, { batchSize: 1 });
});

it('a row that refuses to go is found by trying each', async () => {
  const refusing = async (file: string, policy: Policy) => {
    await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
        if right(old.id::text, 1) = '3' then raise exception 'no'; end if; return old; end $$;
      create trigger refuse before delete on things for each row execute function refuse()`);
    await expectRun(file, policy);
    await e.stop();
  };
  const knownTriggers = ['refuse'];
  const plain = await govern(await start(), { knownTriggers });
  await expired(e.db, 3);
  await refusing('poisoned', plain);
  await refusing('poisoned-with-files', await withFiles(await start(BLOB), { knownTriggers }));
  await refusing('poisoned-with-dependants', { ...(await along(await start(BLOB))), knownTriggers });
});

it('a row that takes too long is set aside without being tried', async () => {
  const policy = await govern(await start());
  await expired(e.db, 2);
  const slow = (r: Request) => r.statements.some((s) => /\bdelete from only "public"."things"/.test(s.query));
  const requests = await recorded(() => e.run(policy, { batchSize: 1 }), slow);
  await expectPrinted(requests, 'set-aside-untried');
});

it('a new policy counts its candidates and is limited to a few rows', async () => {
  const policy = await govern(
    await start({ LAPSE_MASS_DELETION_GUARD: 'on', LAPSE_PROGRESSIVE_ROLLOUT: 'on' }),
    { guard: { rows: 20, share: 1 } },
  );
  await expired(e.db, 30);
  // More are due than the guard lets by, fewer than that may go.
  await e.db.sql(`insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
    select 'public.things', id::text, '2099-01-01', 'r', 'a' from things order by id desc limit 15`);
  await e.db.sql('analyze things');
  await expectRun('limited', policy, {});
});

it('a dry run reads page by page what a batch would delete', async () => {
  const show = async (file: string, policy: Policy) => {
    const requests = await recorded(async () => {
      expect(await e.run(policy, { dryRun: true })).toMatchObject({ mode: 'dry_run', outcome: 'succeeded' });
    });
    await expectPrinted(requests, file);
    await e.stop();
  };
  const plain = await govern(await start());
  await expired(e.db, 2);
  await show('preview', plain);
  await show('preview-with-dependants', await along(await start(BLOB)));
  const tiered = await tiers(await start());
  await expired(e.db, 2);
  await show('preview-tenants', tiered);
});

it('an erasure walks by its subject, whatever the age', async () => {
  const policy = await withFiles(await start(BLOB));
  await e.db.sql('create index on things (org)');
  const services = { ...e.services, policies: [policy], dataMap: [] };
  const { deadline, correlationId } = runRequest(NOW);
  const request = {
    subject: { scope: 'organization' as const, id: id(100) },
    reason: 'request 12',
    deadline,
    correlationId,
  };
  const requests = await recorded(async () => {
    expect(await eraseSubject(services, { ...request, actor: 'ann', dryRun: true })).toMatchObject({
      outcome: 'succeeded',
    });
    const asked = await eraseSubject(services, { ...request, actor: 'ann', dryRun: false });
    const confirmed = { ...request, actor: 'ben', dryRun: false, id: asked.id!, reason: 'checked' };
    expect(await confirmRequest(services, confirmed)).toMatchObject({ deleted: 3 });
  });
  await expectPrinted(requests, 'erasure');
});
