/** Masked rows stay, unreadable in the declared columns, each once. */
import { createHmac, hkdfSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { cleanupReport } from '@/lib/operators/audit/report';
import { verify } from '@/lib/operators/audit/verify';
import { resolvePolicies } from '@/lib/policies';
import { definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { inWords } from '@/lib/policies/in-words';
import {
  ago,
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  govern,
  NOW,
  runRequest,
  things,
  thingsPolicy,
} from '../../support/engine';
import { recorded } from '../../support/printed';

const KEY = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff';
const MASK = {
  kind: 'mask' as const,
  mark: 'masked_at',
  columns: [
    { column: 'email', to: { hash: 'customer-email' } },
    { column: 'name', to: null },
    { column: 'country', to: { constant: 'unknown' } },
  ],
};

let e: Engine;
beforeEach(async () => {
  e = await engine();
  await govern(e.db);
  await e.db.sql(
    'alter table things add email text, add name text, add country text, add masked_at timestamptz',
  );
});
afterEach(() => e.stop());

const declared = (changes: Partial<PolicyInput> = {}): Policy => thingsPolicy({ strategy: MASK, ...changes });
const configured = (policy = declared()): Policy => resolvePolicies({ LAPSE_MASK_KEY: KEY }, [policy])[0]!;

/** Things of these ages with personal data; the third has no e-mail address. */
async function people(ages: readonly number[]): Promise<string[]> {
  const ids = await things(e.db, ages);
  await e.db.sql(
    `update things t set email = case when n <> 3 then 'p' || n || '@example.com' end, name = 'P ' || n, country = 'CH'
     from unnest($1::uuid[]) with ordinality x(id, n) where t.id = x.id`,
    [ids],
  );
  return ids;
}
const row = async (id: string | undefined) =>
  (
    await e.db.sql('select email, name, country, masked_at is not null as masked from things where id = $1', [
      id,
    ])
  )[0];
const masked = () =>
  e.db.sql<{ id: string }>('select id::text from things where masked_at is not null order by at');
const hash = (value: string) =>
  createHmac(
    'sha256',
    Buffer.from(hkdfSync('sha256', Buffer.from(KEY, 'hex'), '', 'lapse.mask/customer-email', 32)),
  )
    .update(value)
    .digest('hex');

it('what is past its period stays without what is masked, and is masked once', async () => {
  const [a, b, c, fresh] = await people([42 * DAY, 41 * DAY, 40 * DAY, 10 * DAY]);
  expect(await e.run(configured())).toMatchObject({ outcome: 'succeeded', deleted: 3, filesQueued: 0 });
  expect(await row(a)).toEqual({
    email: hash('p1@example.com'),
    name: null,
    country: 'unknown',
    masked: true,
  });
  expect(await row(b)).toMatchObject({ email: hash('p2@example.com') });
  expect(await row(c)).toEqual({ email: null, name: null, country: 'unknown', masked: true });
  expect(await row(fresh)).toEqual({ email: 'p4@example.com', name: 'P 4', country: 'CH', masked: false });
  const before = await e.db.sql('select * from things order by id');
  expect(await e.run(configured())).toMatchObject({ outcome: 'succeeded', deleted: 0, picked: 0 });
  expect(await e.db.sql('select * from things order by id')).toEqual(before);
  expect(await e.db.sql('select action, deleted::int, dependants, files from retention.receipt')).toEqual([
    { action: 'mask', deleted: 3, dependants: {}, files: 0 },
  ]);
  expect(await verify(e.services.database)).toMatchObject({ ok: true, receipts: 1 });
  // The next one is looked at, and those that are masked already are not.
  await people([43 * DAY]);
  expect(await e.run(configured())).toMatchObject({ outcome: 'succeeded', deleted: 1, picked: 1 });
});

it('a row is masked from its cutoff on, to the microsecond', async () => {
  await e.db.sql(
    `insert into things (at, name) select $1::timestamptz + i * interval '1 microsecond', i::text from generate_series(-1, 1) i`,
    [ago(30 * DAY)],
  );
  expect(await e.run(configured())).toMatchObject({ deleted: 1 });
  expect(await e.db.sql('select name from things where masked_at is null order by at')).toEqual([
    { name: '0' },
    { name: '1' },
  ]);
});

it('a hold, an extension and a dead letter keep a row as it is', async () => {
  const ids = await people([40 * DAY, 41 * DAY, 42 * DAY, 43 * DAY]);
  await e.db.sql(
    `insert into retention.hold (scope, table_name, subject, reason, placed_by) values ('item', 'public.things', $1, 'm', 'a')`,
    [ids[0]],
  );
  await e.db.sql(
    `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.things', $1, $2, 'm', 'a')`,
    [ids[1], ago(-DAY)],
  );
  await e.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at) values ('things', 'public.things', $1, '23503', $2)`,
    [ids[2], ago(-DAY)],
  );
  const result = await e.run(configured());
  expect(result).toMatchObject({ deleted: 1, kept: { held: 1, extended: 1, dead_letter: 1 } });
  expect((await masked()).map((r) => r.id)).toEqual([ids[3]]);
});

it('a dry run counts what the run masks, and masks nothing', async () => {
  await people([40, 41, 42, 10].map((d) => d * DAY));
  const dry = await e.run(configured(), { dryRun: true });
  expect(dry).toMatchObject({ outcome: 'succeeded', preview: { expired: 3, blockers: [] } });
  expect(await masked()).toEqual([]);
  expect(await e.run(configured())).toMatchObject({ deleted: dry.preview?.expired });
});

it('a run that was stopped is continued, and each row is in one receipt', async () => {
  await people(Array.from({ length: 23 }, (_, i) => (40 + i) * DAY));
  expect(await e.run(configured(), { limit: 10, batchSize: 4 })).toMatchObject({
    outcome: 'interrupted',
    deleted: 10,
  });
  expect(await e.run(configured(), { batchSize: 4 })).toMatchObject({ outcome: 'succeeded', deleted: 13 });
  expect(await masked()).toHaveLength(23);
  expect(
    await e.db.sql(
      'select count(*)::int as n, count(distinct k)::int as keys from retention.receipt c, unnest(retention.keys_of(c)) k',
    ),
  ).toEqual([{ n: 23, keys: 23 }]);
});

it('a row that refuses its mask is set aside, and the others are masked', async () => {
  const ids = await people([40, 41, 42].map((d) => d * DAY));
  await e.db.sql("alter table things add constraint named check (name is not null or email not like '%')");
  const strategy = {
    ...MASK,
    columns: [
      { column: 'email', to: { hash: 'customer-email' }, knownConstraints: ['named'] },
      { column: 'name', to: null, knownConstraints: ['named'] },
    ],
  };
  expect(await e.run(configured(declared({ strategy })))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect((await masked()).map((r) => r.id)).toEqual([ids[2]]);
  expect(await e.db.sql('select sql_state, constraint_name from retention.dead_letter')).toEqual([
    { sql_state: '23514', constraint_name: 'named' },
    { sql_state: '23514', constraint_name: 'named' },
  ]);
});

describe('the key of the hash', () => {
  it('stands in no text of a statement, in no version and in no record', async () => {
    await people([40 * DAY]);
    const policy = configured();
    const requests = await recorded(() => runPolicy(e.services, policy, runRequest(NOW)));
    const texts = requests.flatMap((r) => r.statements.map((s) => s.query)).join('\n');
    expect(texts).toContain("current_setting('lapse.mask_customer_email_inner')");
    const sent = requests.flatMap((r) => r.statements.flatMap((s) => s.params.flat()));
    expect(sent.filter((value) => String(value).toLowerCase().includes(KEY))).toEqual([]);
    // What is derived for the purpose travels as a parameter, and only so.
    const derived = sent.filter((value) => /^[0-9a-f]{128}$/.test(String(value)));
    expect(derived).toHaveLength(2);
    for (const value of derived) expect(texts).not.toContain(value);
    expect(JSON.stringify(policy)).toBe(JSON.stringify(declared()));
    const [version] = await e.db.sql('select declaration::text as said from retention.policy_version');
    for (const value of [KEY, ...derived]) expect(version?.said).not.toContain(value);
  });

  it.each([[undefined], [''], ['secret'], [KEY.slice(2)]])('%s stops the start', (key) => {
    expect(() => resolvePolicies({ LAPSE_MASK_KEY: key }, [declared()])).toThrow(
      /LAPSE_MASK_KEY must be 64 hex/,
    );
  });

  it('is not asked for where nothing is hashed', async () => {
    const strategy = { ...MASK, columns: MASK.columns.slice(1) };
    await people([40 * DAY]);
    const [policy] = resolvePolicies({}, [declared({ strategy })]);
    expect(await e.run(policy!)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('that is missing when a run comes to mask leaves every row as it is', async () => {
    const [id] = await people([40 * DAY]);
    await expect(e.run(declared())).rejects.toThrow('LAPSE_MASK_KEY is not set');
    expect(await row(id)).toMatchObject({ email: 'p1@example.com', masked: false });
  });
});

it.each([
  ['its key', { column: 'id', to: null }, {}],
  ['its clock', { column: 'at', to: null }, {}],
  ['a hold', { column: 'org', to: null }, {}],
  ['erasure finds it', { column: 'person', to: null }, {}],
  ['files', { column: 'note', to: null }, { files: [{ column: 'note', fate: 'keep' as const }] }],
  [
    'which rule',
    { column: 'note', to: null },
    { rules: [{ label: 'a', keepFor: { seconds: 1 }, match: { note: 'x' } }] },
  ],
  ['the mark cannot be masked', { column: 'masked_at', to: null }, {}],
])('a declaration that masks what is %s is refused', (why, column, changes) => {
  expect(() => declared({ strategy: { ...MASK, columns: [column] }, ...changes })).toThrow(why);
});

it('a declaration that masks a column twice, or partitions, is refused', () => {
  const twice = { ...MASK, columns: [MASK.columns[1]!, MASK.columns[1]!] };
  expect(() => declared({ strategy: twice })).toThrow('name is named twice');
  expect(() => declared({ partitioned: { by: 'month' } })).toThrow('so a mask cannot spare some of its rows');
  expect(() => definePolicy({ ...declared(), strategy: { ...MASK, mark: 'at' } })).toThrow(
    'strategy.mark: at is its clock',
  );
});

describe('the preflight refuses', () => {
  const problemsWith = async (sql: string, columns: readonly unknown[] = MASK.columns) => {
    await e.db.sql(sql);
    const policy = declared({ strategy: { ...MASK, columns: columns as typeof MASK.columns } });
    return (await fitsDatabase(e, policy)).map((p) => p.problem).join('\n');
  };

  it.each([
    [
      'a table without the mark',
      'alter table things drop masked_at',
      'column "masked_at" of "public"."things" does not exist',
    ],
    [
      'a mark that is no instant',
      'alter table things alter masked_at type date',
      'strategy.mark "masked_at" of "public"."things" is date',
    ],
    [
      'a column that is not there',
      'alter table things drop name',
      'column "name" of "public"."things" does not exist',
    ],
    [
      'null where it is not allowed',
      'alter table things alter name set not null',
      '"name" of "public"."things" may not be NULL',
    ],
    [
      'a hash where it has no room',
      'alter table things alter email type varchar(63)',
      'cannot hold a hash of 64 characters',
    ],
    [
      'a hash in another type',
      'alter table things drop email; alter table things add email jsonb',
      'is jsonb and cannot hold a hash',
    ],
    [
      'a constant of another type',
      'alter table things drop country; alter table things add country int',
      'is integer and cannot hold the constant "unknown"',
    ],
    [
      'a constant that is too long',
      'alter table things alter country type varchar(6)',
      'cannot hold the constant',
    ],
    [
      'a generated column',
      "alter table things drop country; alter table things add country text generated always as ('x') stored",
      'is generated',
    ],
    ['a unique column', 'create unique index on things (email)', 'stands in a unique index'],
    ['a unique expression', 'create unique index on things (lower(email))', 'stands in a unique index'],
    [
      'a column that names files',
      'create index on things (retention.blob_path(name))',
      'names files, which would be orphaned',
    ],
    [
      'a constraint nobody has looked at',
      'alter table things add constraint short check (length(country) < 3)',
      'is under constraint "short"',
    ],
    [
      'a trigger nobody has looked at',
      `create function noted() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger noted before update on things for each row execute function noted()`,
      'trigger "noted" of "public"."things" fires on UPDATE and is not declared',
    ],
    [
      'a right that is missing',
      'revoke update on things from lapse_app; grant update (id, masked_at, name, country) on things to lapse_app',
      'the role may not UPDATE',
    ],
  ])('%s', async (_, sql, problem) => {
    expect(await problemsWith(sql)).toContain(problem);
  });

  it('nothing of a table that fits', async () => {
    expect(await problemsWith('select 1')).toBe('');
    expect(await problemsWith('alter table things alter email type varchar(64)')).toBe('');
  });
});

it('its row, its report and its words say that it is masked', async () => {
  const [id] = await people([40 * DAY]);
  const policy = configured();
  const services = { ...e.services, policies: [policy] };
  await e.run(policy);
  const answer = await explainRow(services, 'public.things', id!);
  expect(answer.here).toMatchObject([{ present: true, status: 'marked' }]);
  expect(answer.summary).toMatch(
    /^still here under things: email, name, country of it were masked at .*; the row stays$/,
  );
  expect(answer.deletions).toMatchObject([{ action: 'mask' }]);
  const report = await cleanupReport(services, { from: new Date('2020-01-01'), to: new Date('2100-01-01') });
  expect(report.policies).toMatchObject([{ policy: 'things', rows_deleted: 1, actions: 'mask' }]);
  expect(inWords(policy)).toEqual(['all: after 30 days (the row stays, without email, name, country)']);
});
