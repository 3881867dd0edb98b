/** What dependants refer to goes with the last row that does, at whatever level; so does what a mask no longer refers to. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { verify } from '@/lib/operators/audit/verify';
import { consentOf } from '@/lib/policies/consent';
import { days, definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { purgeOf } from '@/lib/policies/purge';
import { type Engine, engine, fitsDatabase, NOW, runRequest } from '../../support/engine';
import { FRESH, OLD, on, planted, present, treePolicy } from '../../support/tree';
import { untilWaiting } from '../../support/waiting';

let e: Engine;
const TREE = `create table address (id int primary key, path text, size int, org uuid);
  create table doc (id int primary key, at timestamptz, sent_to int references address, org uuid);
  create table line (id int primary key, doc int references doc on delete cascade, address int references address, org uuid);
  create table note (id int primary key, line int references line on delete cascade, address int references address);`;

beforeEach(async () => {
  e = await engine({ env: { CLEANUP_LANES: '1' } });
  await planted(e, TREE);
  await e.db.sql(`select retention.protect('public.' || t) from unnest('{doc,line,note,address}'::text[]) t`);
});
afterEach(() => e.stop());

const ID = [{ column: 'id', type: 'integer' }];
type Content = NonNullable<PolicyInput['contents']>[number];
const below = (...tables: string[]) => tables.map((name) => ({ table: { name }, columns: ['address'] }));
const orders = (content: Partial<Content> = {}, changes: Partial<PolicyInput> = {}): Policy =>
  treePolicy([on('line', null, 'doc'), on('note', 'line', 'line')], {
    name: 'orders',
    scope: { organization: 'org' },
    contents: [
      {
        table: { name: 'address' },
        key: ID,
        references: [['sent_to']],
        referredBy: below('line', 'note'),
        fate: 'with-last-reference',
        ...content,
      },
    ],
    ...changes,
  });

/** Orders 1 to 3 are old, 4 is young. Address 1: order 1 and a line of 2. 2: lines of 1 and 4. 3: a note of 3, twice. 4: nobody. */
const ROWS = `insert into address (id) select generate_series(1, 5);
  insert into doc values (1, '${OLD}', 1), (2, '${OLD}', null), (3, '${OLD}', null), (4, '${FRESH}', 5);
  insert into line values (11, 1, 2), (12, 2, 1), (13, 3, null), (14, 4, 2);
  insert into note values (21, 13, 3), (22, 13, 3)`;
const addresses = () => present(e, 'address');
const named = () =>
  e.db.sql(
    `select jsonb_array_elements_text(dependants -> 'public.address') as k from retention.receipt order by 1`,
  );

it.each([1, 2, 1000])(
  'goes with the last of them, in batches of %i, as the dry run says, and stands in a receipt',
  async (batchSize) => {
    await e.db.sql(ROWS);
    Object.assign(e.services, { policies: [orders()] });
    expect(await fitsDatabase(e, orders())).toEqual([]);
    const dry = await e.run(orders(), { dryRun: true });
    expect(dry.preview).toMatchObject({
      expired: 3,
      dependants: { 'public.line': 3, 'public.note': 2, 'public.address': 2 },
    });
    expect(await e.run(orders(), { batchSize })).toMatchObject({
      outcome: 'succeeded',
      deleted: 3,
      dependantsDeleted: 7,
    });
    expect(await addresses()).toEqual(['public.address 2', 'public.address 4', 'public.address 5']);
    expect(await named()).toEqual([{ k: '1' }, { k: '3' }]);
    const { problems } = await verify(e.services.database);
    expect(problems.filter((p) => p.kind !== 'unguarded')).toEqual([]);
  },
);

it('of a row that is taken apart over several batches each goes once, and none while a row refers to it', async () => {
  await e.db.sql(`insert into address (id) select generate_series(1, 40); insert into doc values (1, '${OLD}');
    insert into line select i, 1, 1 + i % 40 from generate_series(1, 60) i;
    insert into note select i, 1 + i % 60, 1 + i % 20 from generate_series(1, 200) i`);
  const done = await e.run(orders(), { batchSize: 1 });
  expect(done).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 300 });
  expect(done.batches).toBeGreaterThan(5);
  expect([await addresses(), (await named()).length]).toEqual([[], 40]);
});

it('of two batches that each take one of its last two lines the second takes it along', async () => {
  // The first stays in the middle of its deleting statement, whose snapshot has both lines, until the second waits for it or has ended.
  await e.db.sql(`${ROWS.replace(/insert into doc[\s\S]*/, '')} insert into doc values (1, '${OLD}'), (2, '${OLD}');
    insert into line values (11, 1, 1), (12, 2, 1);
    create function waits() returns trigger language plpgsql as $$ begin
      if old.id = 1 then
        perform pg_advisory_xact_lock_shared(4343);
        while not pg_try_advisory_xact_lock_shared(4242) loop perform pg_sleep(0.005); end loop;
      end if; return old; end $$;
    create trigger waits before delete on doc for each row execute function waits()`);
  const knownTriggers = ['waits'];
  const first = orders({}, { knownTriggers, where: 't.id = 1' });
  const second = orders({}, { name: 'others', knownTriggers, where: 't.id = 2' });
  const app = await e.db.session();
  await app.sql('select pg_advisory_lock(4242)');
  const running = e.run(first);
  const isInside = `select 1 from pg_locks where locktype = 'advisory' and objid = 4343 and granted
    and database = (select oid from pg_database where datname = current_database())`;
  while ((await e.db.sql(isInside)).length === 0);
  const other = runPolicy(e.services, second, runRequest(NOW));
  await untilWaiting(e.db, `l.locktype in ('transactionid', 'tuple')`, other).catch(() => undefined);
  await app.sql('select pg_advisory_unlock(4242)');
  app.end();
  await Promise.all([running, other]);
  await e.run(second);
  expect(await present(e, 'doc', 'line')).toEqual([]);
  expect(await addresses()).not.toContain('public.address 1');
});

describe('stays, and with it what refers to it,', () => {
  const kept = async (kept: object, ids: string[]) => {
    const dry = await e.run(orders(), { dryRun: true });
    expect(dry.preview?.kept).toMatchObject(kept);
    expect((await e.run(orders())).kept).toMatchObject(kept);
    expect(await present(e, 'doc')).toEqual([...ids, '4'].map((id) => `public.doc ${id}`));
  };
  const insert = (of: string, values: string) => e.db.sql(`insert into retention.${of} values (${values})`);

  it('while a hold is on it, whoever refers to it at whatever level', async () => {
    await e.db.sql(ROWS);
    await insert(
      'hold (scope, table_name, subject, reason, placed_by)',
      `'item', 'public.address', '3', 'm', 'a'`,
    );
    await kept({ held: 1 }, ['3']);
  });

  it('while its organization is held', async () => {
    await e.db.sql(ROWS);
    const org = '00000000-0000-4000-8000-000000000001';
    await e.db.sql(`update address set org = '${org}' where id = 3`);
    await insert('hold (scope, subject, reason, placed_by)', `'organization', '${org}', 'm', 'a'`);
    const scoped = orders({ scope: { organization: 'org' } });
    expect((await e.run(scoped)).kept).toMatchObject({ held: 1 });
    expect(await addresses()).toContain('public.address 3');
  });

  it.each([
    [
      'extension (table_name, row_key, keep_until, reason, extended_by)',
      `now() + interval '1 day', 'r', 'a'`,
      'extended',
    ],
    [
      'dead_letter (table_name, row_key, next_attempt_at, policy, sql_state, state)',
      `now(), 'orders', '23514', 'discarded'`,
      'dead_letter',
    ],
  ])('while it has an entry of %s', async (into, rest, reason) => {
    await e.db.sql(ROWS);
    await insert(into, `'public.address', '3', ${rest}`);
    await kept({ [reason]: 1 }, ['3']);
    await e.db.sql('delete from retention.extension; delete from retention.dead_letter');
    await insert(into, `'public.address', '1', ${rest}`);
    expect((await e.run(orders())).kept).toMatchObject({ [reason]: 0 });
  });
});

it.each([1, 1000])(
  'goes where rows of the table go with one another, in batches of %i, and stays while one of them does',
  async (batchSize) => {
    await e.db.sql(
      `${ROWS}; alter table doc add part_of int references doc on delete cascade; create index on doc (part_of)`,
    );
    await e.db.sql(
      `insert into doc values (5, '${OLD}', 4, null, 1), (6, '${OLD}', 4, null, 3), (7, '${FRESH}', 4, null, 2)`,
    );
    const parts = orders(
      {},
      { dependants: [on('line', null, 'doc'), on('note', 'line', 'line'), on('doc', null, 'part_of')] },
    );
    const dry = await e.run(parts, { dryRun: true });
    expect(dry.preview).toMatchObject({
      expired: 4,
      kept: { referenced: 1 },
      dependants: { 'public.address': 1 },
    });
    expect(await e.run(parts, { batchSize })).toMatchObject({ kept: { referenced: 1 } });
    expect(await present(e, 'doc')).toEqual(['public.doc 2', 'public.doc 4', 'public.doc 7']);
    expect(await addresses()).toEqual([
      'public.address 1',
      'public.address 2',
      'public.address 4',
      'public.address 5',
    ]);
    await e.db.sql(`update doc set at = '${OLD}' where id = 7`);
    await e.run(parts, { batchSize });
    expect(await addresses()).toEqual(['public.address 2', 'public.address 5']);
  },
);

it('a mask that takes the reference away lets go of what nobody else refers to; any other is refused', async () => {
  await e.db.sql(
    `${ROWS}; alter table doc add gone timestamptz; create index on doc (at, id) where gone is null`,
  );
  const mask = (to: 'sent_to' | 'at') => ({
    kind: 'mask' as const,
    mark: 'gone',
    dependants: 'go' as const,
    columns: [{ column: to, to: null }],
  });
  const masked = orders({}, { strategy: mask('sent_to') });
  expect(await fitsDatabase(e, masked)).toEqual([]);
  const dry = await e.run(masked, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 3, dependants: { 'public.address': 2 } });
  expect(await e.run(masked, { batchSize: 1 })).toMatchObject({ deleted: 3, dependantsDeleted: 7 });
  expect(await addresses()).toEqual(['public.address 2', 'public.address 4', 'public.address 5']);
  expect(await e.db.sql('select id, sent_to from doc where gone is not null')).toHaveLength(3);
  const { dependants: _, ...keeping } = mask('sent_to');
  expect(() => orders({ references: [] }, { strategy: keeping })).toThrow('contents.0: rows that stay');
});

it('a row that is only marked keeps it until its purge', async () => {
  await e.db.sql(
    `${ROWS}; alter table doc add gone timestamptz; create index on doc (at, id) where gone is null; create index on doc (gone, id)`,
  );
  await e.db.sql('update doc set sent_to = 4 where id = 2');
  const marking = orders({}, { strategy: { kind: 'soft-delete', column: 'gone', purgeAfter: days(1) } });
  expect(await e.run(marking)).toMatchObject({ deleted: 3, dependantsDeleted: 0 });
  expect(await addresses()).toHaveLength(5);
  await e.db.sql(`update doc set gone = '${OLD}' where gone is not null`);
  expect(await e.run(purgeOf(marking)!)).toMatchObject({ deleted: 3, dependantsDeleted: 8 });
  expect(await addresses()).toHaveLength(2);
});

it('goes with rows whose consent was withdrawn as well', () => {
  const consent = {
    table: { name: 'agreements' },
    subject: 'who',
    purpose: { column: 'purpose', is: 'mail' },
    withdrawnAt: 'withdrawn_at',
    of: 'org',
  };
  expect(consentOf(orders({}, { consent }))?.contents).toEqual(orders().contents);
});

it('is refused where a foreign key of a dependant is not declared, and runs when the remedy was followed', async () => {
  await e.db.sql(ROWS);
  const [problem, ...more] = await fitsDatabase(e, orders({ referredBy: below('line') }));
  expect(more).toEqual([]);
  expect(problem!.remedy).toBe(
    `add { table: { schema: 'public', name: 'note' }, columns: ['address'] } to contents.0.referredBy of the policy`,
  );
  await e.db.sql('alter table note drop constraint note_address_fkey');
  const [missing] = await fitsDatabase(e, orders());
  expect(missing!.problem).toContain('public.note (address) refers to');
  await e.db.sql(missing!.remedy);
  expect(await e.run(orders())).toMatchObject({ deleted: 3, dependantsDeleted: 7 });
});

it.each([
  [
    'a table whose rows do not go',
    { referredBy: below('elsewhere') },
    'contents.0.referredBy.0: rows of public.elsewhere',
  ],
  ['the governed table', { referredBy: below('doc') }, 'stand in references'],
  [
    'a reference of another length',
    { referredBy: [{ table: { name: 'line' }, columns: ['a', 'b'] }] },
    'as many columns',
  ],
  ['no reference at all', { references: [], referredBy: [] }, 'name the columns that refer to it'],
])('a declaration that names %s does not start', (_, content, problem) => {
  expect(() => definePolicy(orders(content as Partial<Content>))).toThrow(problem);
});
