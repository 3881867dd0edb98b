import { afterEach, expect, it } from 'vitest';
import { migrate } from '@/lib/dev/migrate';
import { type TestDatabase, testDatabase } from '../support/database';

let db: TestDatabase;
afterEach(() => db?.stop());

/** Everything a migration can make, in words that do not depend on oids. */
const CATALOG = `select 'column ' || c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
    || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '') || coalesce(' ' || col_description(c.oid, a.attnum), '') as x
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where n.nspname in ('public', 'retention') and c.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped
    and c.relname not like 'lapse%migrations'
  union all select 'index ' || indexdef from pg_indexes where schemaname in ('public', 'retention') and tablename not like 'lapse%migrations'
  union all select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint
    where connamespace in ('public'::regnamespace, to_regnamespace('retention')) and conrelid <> 0 and conrelid::regclass::text not like 'lapse%migrations'
  union all select 'function ' || p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) from pg_proc p
    where p.pronamespace in ('public'::regnamespace, to_regnamespace('retention')) and p.prokind = 'f'
  union all select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
  union all select 'grant ' || table_schema || '.' || table_name || ' ' || privilege_type from information_schema.role_table_grants
    where grantee = 'lapse_app' and table_name not like 'lapse%migrations'
  order by 1`;

it('up, down and up again leaves the same schema, and down leaves nothing', async () => {
  db = await testDatabase({ empty: true });
  const sets = ['retention', 'example'] as const;
  const up = await migrate(db.ownerUrl, { sets, direction: 'up' });
  const before = await db.sql(CATALOG);
  expect(before.length).toBeGreaterThan(200);
  await migrate(db.ownerUrl, {
    sets: ['example'],
    direction: 'down',
    count: up.filter((m) => m.startsWith('example/')).length,
  });
  await migrate(db.ownerUrl, {
    sets: ['retention'],
    direction: 'down',
    count: up.filter((m) => m.startsWith('retention/')).length,
  });
  expect(await db.sql(CATALOG)).toEqual([]);
  expect(await db.sql("select nspname from pg_namespace where nspname ~ 'lapse|retention'")).toEqual([]);
  await migrate(db.ownerUrl, { sets, direction: 'up' });
  expect(await db.sql(CATALOG)).toEqual(before);
});

it('does nothing the second time', async () => {
  db = await testDatabase({ empty: true });
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  expect(await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' })).toEqual([]);
});

it('nothing of Lapse lies in the schema others govern', async () => {
  db = await testDatabase({ empty: true });
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  expect(await db.sql("select relname from pg_class where relnamespace = 'public'::regnamespace")).toEqual(
    [],
  );
  expect(await db.sql("select has_schema_privilege('lapse_app', 'lapse_meta', 'usage') as may")).toEqual([
    { may: false },
  ]);
});

it('an installation whose bookkeeping lies in public keeps it there and goes on from it', async () => {
  db = await testDatabase({ empty: true });
  const all = await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  await db.sql('alter table lapse_meta.lapse_migrations set schema public');
  expect(await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' })).toEqual([]);
  expect(await db.sql("select to_regclass('lapse_meta.lapse_migrations') as there")).toEqual([
    { there: null },
  ]);
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'down', count: all.length });
  expect(await db.sql("select to_regnamespace('retention') as there")).toEqual([{ there: null }]);
});

it('functions are applied again when their text is another, and one that stands in no file goes', async () => {
  db = await testDatabase({ empty: true });
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  const before = await db.sql(CATALOG);
  await db.sql(`create function retention.of_yesterday() returns int language sql as 'select 1'`);
  await db.sql(
    `create or replace function retention.run_bounds() returns double precision[] language sql immutable as 'select null::double precision[]'`,
  );
  await db.sql(`update retention.applied_functions set sha256 = 'of yesterday'`);
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  expect(await db.sql(CATALOG)).toEqual(before);
});

/** Rows of each table that is there at the floor, which no way down may lose. */
const COUNTS = `select jsonb_object_agg(c.relname, (xpath('/row/n/text()', query_to_xml(
    format('select count(*) as n from retention.%I', c.relname), false, true, '')))[1]::text::int) as counts
  from pg_class c where c.relnamespace = 'retention'::regnamespace and c.relkind = 'r'`;

const FILLED = `
  insert into retention.operator (name, token_sha256) values ('ann', array[repeat('a', 64)]), ('ben', array[repeat('b', 64)]);
  select retention.begin_run('things', gen_random_uuid(), 'v1', now(), 'manual', 'ann', 'c');
  select retention.end_run('things', run_now, 'succeeded', null, now(), 0, '{}', 'within_sla') from retention.policy_state;
  select retention.place_hold('ann', 'matter 1', 'organization', '1', null);
  select retention.release_hold('ben', 'matter 1', (select id from retention.hold));
  select retention.set_extension('ann', 'asked for', 'public.things', '1', now() + interval '1 day', 0);
  select retention.set_override('ann', 'contract', 'things', '1', 86400);
  select retention.remove_override('ann', 'contract', 'things', '1');
  select retention.request_erasure('user', '1', 'request 1', 'ann', 1);
  select retention.stop_all('ann', 'drill');
  select retention.pause_policy('ann', 'drill', 'things');
  insert into retention.incident (cause, severity, message, opened_at, last_seen_at)
    values ('run.late:things', 'warning', 'late', now(), now());
  insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at, run)
    select 'things', 'public.things', '1', '23503', now(), id from retention.run;
  insert into retention.tenant_total (run, tenant, label, deleted, bytes) select id, '1', 'all', 1, 1 from retention.run;`;

it('with data in it, goes down as far as single steps go and up again without losing a row', async () => {
  db = await testDatabase({ empty: true });
  const all = await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  await db.sql(FILLED);
  const before = await db.sql(CATALOG);
  const rows = (await db.sql<{ counts: Record<string, number> }>(COUNTS))[0]!.counts;
  const count = all.filter((name) => name > 'retention/0011_functions').length;
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'down', count });
  const atFloor = (await db.sql<{ counts: Record<string, number> }>(COUNTS))[0]!.counts;
  expect(Object.values(atFloor).filter((n) => n > 0).length).toBeGreaterThan(12);
  expect(atFloor).toEqual(Object.fromEntries(Object.keys(atFloor).map((name) => [name, rows[name]])));
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  expect(await db.sql(CATALOG)).toEqual(before);
  const again = (await db.sql<{ counts: Record<string, number> }>(COUNTS))[0]!.counts;
  // A request from before the entries of requests gets one when it comes by again.
  expect(again.audit_entry).toBe((rows.audit_entry ?? 0) + 1);
  expect({ ...again, audit_entry: 0 }).toEqual({ ...rows, audit_entry: 0, operator: 0 });
});

it('tells when a row last changed, whoever changes it', async () => {
  db = await testDatabase();
  await db.sql("insert into retention.policy_state (policy, updated_at) values ('things', 'epoch')");
  await db.sql("update retention.kill_switch set updated_at = 'epoch'");
  await db.sql("update retention.policy_state set fence = 2 where policy = 'things'");
  const [changed] =
    await db.sql(`select (select updated_at > 'epoch' from retention.policy_state where policy = 'things') as policy,
    (select updated_at > 'epoch' from retention.kill_switch) as switch`);
  expect(changed).toEqual({ policy: true, switch: true });
});

it('every table and column is explained', async () => {
  db = await testDatabase();
  const bare = await db.sql(`select c.oid::regclass || coalesce('.' || a.attname, '') as what
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where n.nspname in ('public', 'retention') and c.relkind in ('r', 'p') and c.relname not like 'lapse%migrations'
      and (obj_description(c.oid) is null or col_description(c.oid, a.attnum) is null)`);
  expect(bare).toEqual([]);
});

it('every foreign key has an index', async () => {
  db = await testDatabase();
  const bare =
    await db.sql(`select f.conrelid::regclass || ' ' || pg_get_constraintdef(f.oid) as what from pg_constraint f
    where f.contype = 'f' and f.connamespace in ('public'::regnamespace, 'retention'::regnamespace)
      and not exists (select 1 from pg_index i where i.indrelid = f.conrelid
        and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey)`);
  expect(bare).toEqual([]);
});

it('the app can neither edit nor remove a receipt', async () => {
  db = await testDatabase();
  const may = await db.sql(`select p as right from unnest(array['UPDATE', 'DELETE', 'TRUNCATE']) p
    where has_table_privilege('lapse_app', 'retention.receipt', p)`);
  expect(may).toEqual([]);
});
