/** The app's role cannot become more than it is, whatever it makes or calls. */
import { afterEach, expect, it } from 'vitest';
import { migrate } from '@/lib/dev/migrate';
import { type AppLogin, appLogin, login } from '../support/app-login';
import { type TestDatabase, testDatabase } from '../support/database';

let db: TestDatabase;
let app: AppLogin;
afterEach(async () => {
  await app?.end();
  await db?.stop();
});

/** A copy of a database does not keep what PUBLIC may do in it: this one was migrated itself. */
async function migrated(): Promise<void> {
  db = await testDatabase({ empty: true });
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  app = await appLogin(db);
}

/** A cast of one's own, which a function that runs as its owner would be led to call. */
const TYPE_WITH_A_CAST = [
  "create type pg_temp.evil as enum ('a')",
  `create function pg_temp.evil_json(pg_temp.evil) returns json language plpgsql as $$ begin
    perform set_config('test.called_as', current_user, false); return '1'; end $$`,
  `create function pg_temp.evil_text(pg_temp.evil) returns text language plpgsql as $$ begin
    perform set_config('test.called_as', current_user, false); return 'x'; end $$`,
  'create cast (pg_temp.evil as json) with function pg_temp.evil_json(pg_temp.evil)',
  'create cast (pg_temp.evil as text) with function pg_temp.evil_text(pg_temp.evil)',
  'create temp table bait (c pg_temp.evil)',
];
const GUARDED = `create trigger t before insert or update on bait for each row
  execute function retention.guard_file_reference('c')`;

it('a login of the app makes no trigger with a function that runs as its owner', async () => {
  db = await testDatabase();
  app = await appLogin(db);
  for (const text of TYPE_WITH_A_CAST) await app.sql(text);
  expect(await app.refusal(GUARDED)).toBe('42501');
});

it('a role that may create a trigger with the guard of files gets none of its code run by the owner', async () => {
  db = await testDatabase();
  app = await appLogin(db);
  await db.sql('grant execute on function retention.guard_file_reference() to lapse_app');
  for (const text of TYPE_WITH_A_CAST) await app.sql(text);
  await app.sql(GUARDED);
  await app.sql("insert into bait values ('a')");
  await app.sql("update bait set c = 'a'");
  expect(await app.sql("select current_setting('test.called_as', true) as called")).toEqual([
    { called: null },
  ]);
});

it('each function that runs as its owner takes built-in types only, fixes its search_path and is no trigger', async () => {
  db = await testDatabase();
  const faults = await db.sql(`select p.oid::regprocedure::text as function, f.fault
    from pg_proc p cross join lateral (values
      ('returns a trigger', p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype)),
      ('has no fixed search_path', not coalesce('search_path=pg_catalog, pg_temp' = any(p.proconfig), false)),
      ('takes a type that is not built in', exists (select 1 from unnest(p.proargtypes) a join pg_type t on t.oid = a
        left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
        where t.typnamespace <> 'pg_catalog'::regnamespace or coalesce(e.typtype, t.typtype) <> 'b'))
    ) f(fault, found)
    where p.prosecdef and f.found and exists (select from unnest(array['lapse_app', 'lapse_operator', 'lapse_reader']) r
      where has_function_privilege(r, p.oid, 'EXECUTE'))`);
  expect(faults).toEqual([]);
});

it('no role may execute a trigger function', async () => {
  db = await testDatabase();
  expect(
    await db.sql(`select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'retention'::regnamespace
      and p.prorettype = 'trigger'::regtype and exists (select from unnest(array['lapse_app', 'lapse_operator', 'lapse_reader']) r
        where has_function_privilege(r, p.oid, 'EXECUTE'))`),
  ).toEqual([]);
});

it('PUBLIC has no right in schema retention but to spell a path, and may create nothing in the database', async () => {
  await migrated();
  const rights = await db.sql(`select x.what, a.privilege_type from (
      select p.oid::regprocedure::text as what, coalesce(p.proacl, acldefault('f', p.proowner)) as acl
        from pg_proc p where p.pronamespace = 'retention'::regnamespace
      union all select c.oid::regclass::text, coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
        from pg_class c where c.relnamespace = 'retention'::regnamespace and c.relkind in ('r', 'p', 'v', 'S')
      union all select 'schema ' || n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner)) from pg_namespace n
        where n.nspname = 'retention'
    ) x cross join aclexplode(x.acl) a where a.grantee = 0
    union all select 'schema ' || n.nspname, a.privilege_type from pg_namespace n
      cross join aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a where a.grantee = 0 and a.privilege_type = 'CREATE'
    union all select 'database', a.privilege_type from pg_database d
      cross join aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
      where d.datname = current_database() and a.grantee = 0 and a.privilege_type <> 'CONNECT'`);
  // Whoever writes a row that an index of its files' paths covers: text in, text out.
  const ofPaths = ['blob_path', 'is_plain_path', 'blob_path_of', 'blob_unescaped'];
  expect(rights.map((r) => [r.what, r.privilege_type]).sort()).toEqual(
    ofPaths.map((f) => [`retention.${f}(text)`, 'EXECUTE']).sort(),
  );
});

it.each(['DATABASE_URL', 'DATABASE_URL_OPERATOR', 'DATABASE_URL_READER'])(
  'the login of %s owns nothing and can create nothing',
  async (variable) => {
    await migrated();
    const one = await login(db.env[variable]!);
    expect(
      await db.sql(
        `select d.classid::regclass::text, d.objid from pg_shdepend d join pg_roles r on r.oid = d.refobjid
      where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o' and r.rolname in ('lapse_app', 'lapse_operator', 'lapse_reader', $1)
        and d.dbid in (0, (select oid from pg_database where datname = current_database()))`,
        [new URL(db.env[variable]!).username],
      ),
    ).toEqual([]);
    for (const text of [
      'create table retention.mine (n int)',
      'create table public.mine (n int)',
      'create temp table mine (n int)',
      'create function public.mine() returns int language sql as $$ select 1 $$',
      'create schema mine',
    ]) {
      expect(await one.refusal(text), text).toBe('42501');
    }
    await one.end();
  },
);

it('roles that work in the database keep their temporary tables; PUBLIC gets them back when Lapse is removed', async () => {
  const role = `worker_${process.pid}`;
  db = await testDatabase({ empty: true });
  await db.sql(`create role ${role}`);
  try {
    await db.sql('create table theirs (n int)');
    await db.sql(`grant select on theirs to ${role}`);
    const may = async (who: string) =>
      (await db.sql("select has_database_privilege($1, current_database(), 'TEMPORARY') as may", [who]))[0]
        ?.may;
    const up = await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
    expect([await may(role), await may('lapse_app')]).toEqual([true, false]);
    await migrate(db.ownerUrl, { sets: ['retention'], direction: 'down', count: up.length });
    expect(await may('lapse_app')).toBe(true);
  } finally {
    await db.stop();
    app = undefined as unknown as AppLogin;
    const other = await testDatabase({ empty: true });
    await other.sql(`drop role ${role}`);
    await other.stop();
  }
});

it('where every role could create in schema public, as on PostgreSQL 14, the app cannot; removing Lapse restores it', async () => {
  db = await testDatabase({ empty: true });
  await db.sql('grant create on schema public to public');
  const may = async () =>
    (await db.sql("select has_schema_privilege('lapse_app', 'public', 'CREATE') as may"))[0]?.may;
  const up = await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  app = await appLogin(db);
  expect([await may(), await app.refusal('create table public.mine (n int)')]).toEqual([false, '42501']);
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'down', count: up.length });
  expect(await may()).toBe(true);
});
