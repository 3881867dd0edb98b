/** What each role may do is what has been decided, function by function and table by table, and each is refused the rest. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AppLogin, appLogin, operatorLogin, readerLogin } from '../support/app-login';
import { type TestDatabase, testDatabase } from '../support/database';
import { FUNCTIONS, TABLES } from './decisions';

const ROLES = ['app', 'operator', 'reader'] as const;
type Role = (typeof ROLES)[number];

let db: TestDatabase;
let logins: Record<Role, AppLogin>;
beforeAll(async () => {
  db = await testDatabase();
  await db.sql('create table customers (id int primary key, name text)');
  logins = { app: await appLogin(db), operator: await operatorLogin(db), reader: await readerLogin(db) };
});
afterAll(async () => {
  for (const login of Object.values(logins)) await login.end();
  await db.stop();
});

const decided = (called: string): string | undefined =>
  Object.keys(FUNCTIONS).find((who) => FUNCTIONS[who]!.includes(called));
const mayCall = (role: Role, called: string): boolean =>
  decided(called) === 'everyone' || (decided(called) ?? '').split(' ').includes(role);

/** Every function of the schema, with arguments of the right types that mean nothing. */
const functions = () =>
  db.sql<{ name: string; call: string; trigger: boolean; roles: string[] }>(`select p.proname as name,
    p.prorettype = 'trigger'::regtype as trigger,
    format('select retention.%I(%s) from (select %s offset 0) a', p.proname, args.names, coalesce(args.nulls, '')) as call,
    array(select r from unnest(array['app', 'operator', 'reader']) r where has_function_privilege('lapse_' || r, p.oid, 'EXECUTE')) as roles
    from pg_proc p cross join lateral (
      -- Not as constants: of those a strict function would not even be called.
      select string_agg(format('null::%s as a%s', format_type(a.t, null), a.n), ', ' order by a.n) as nulls,
        string_agg('a.a' || a.n, ', ' order by a.n) as names from unnest(p.proargtypes::oid[]) with ordinality a(t, n)
    ) args where p.pronamespace = 'retention'::regnamespace order by p.oid::regprocedure::text`);

/** Every table and view of the schema, with the rights of each role as test/roles/decisions.ts writes them. */
const tables = () =>
  db.sql<{ name: string; rights: string[] }>(`select c.relname as name, array_agg((
      select coalesce(string_agg(case when has_table_privilege('lapse_' || r.role, c.oid, v.verb) then v.letter
        when v.n < 4 and has_any_column_privilege('lapse_' || r.role, c.oid, v.verb) then '(' || v.letter || ')' else '' end, '' order by v.n), '')
      from (values (1, 'SELECT', 'r'), (2, 'INSERT', 'a'), (3, 'UPDATE', 'w'), (4, 'DELETE', 'd'), (5, 'TRUNCATE', 'D')) v(n, verb, letter)
    ) order by r.n) as rights
    from pg_class c cross join unnest(array['app', 'operator', 'reader']) with ordinality r(role, n)
    where c.relnamespace = 'retention'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') group by c.oid order by 1`);

describe('each function', () => {
  it('has one decision, and is there', async () => {
    const names = Object.values(FUNCTIONS).flat();
    expect([...names].sort()).toEqual([...new Set(names)].sort());
    expect([...names].sort()).toEqual([...new Set((await functions()).map((f) => f.name))].sort());
  });

  it('may be executed by exactly those it was decided for', async () => {
    const found = Object.fromEntries((await functions()).map((f) => [f.name, f.roles]));
    const wanted = Object.fromEntries(
      Object.values(FUNCTIONS)
        .flat()
        .map((name) => [name, ROLES.filter((role) => mayCall(role, name))]),
    );
    expect(found).toEqual(wanted);
  });

  it.each(ROLES)('that was not decided for the %s refuses its login', async (role) => {
    const refused = (await functions()).filter((f) => !f.trigger && !mayCall(role, f.name));
    expect(refused.length).toBeGreaterThan(20);
    for (const { call } of refused) expect(await logins[role].refusal(call), call).toBe('42501');
  });
});

it("each function of an operator asks for the operator's token", async () => {
  const asks =
    await db.sql(`select proname as name from pg_proc where pronamespace = 'retention'::regnamespace
    and prosrc ~ 'retention\\.(record_operator|prove_operator)\\(who'`);
  const without = [...FUNCTIONS.operator!, 'claim_refunds'].filter(
    (name) => !asks.some((a) => a.name === name),
  );
  expect(without).toEqual([]);
});

describe('each table', () => {
  it('gives each role exactly the rights that were decided', async () => {
    expect(Object.fromEntries((await tables()).map((t) => [t.name, t.rights]))).toEqual(TABLES);
  });

  it.each(ROLES)('refuses the login of the %s everything else', async (role) => {
    const statements: Record<string, (table: string, column: string) => string> = {
      r: (t) => `select * from ${t} limit 1`,
      a: (t) => `insert into ${t} default values`,
      w: (t, c) => `update ${t} set ${c} = default`,
      d: (t) => `delete from ${t}`,
      D: (t) => `truncate ${t}`,
    };
    const columns =
      await db.sql(`select relname as t, (select attname from pg_attribute where attrelid = c.oid and attnum = 1) as column
      from pg_class c where relnamespace = 'retention'::regnamespace and relkind in ('r', 'p')`);
    for (const { t, column } of columns) {
      const rights = TABLES[String(t)]?.[ROLES.indexOf(role)] ?? '';
      for (const [letter, statement] of Object.entries(statements)) {
        if (rights.includes(letter)) continue;
        const text = statement(`retention.${t}`, String(column));
        expect(await logins[role].refusal(text), text).toBe('42501');
      }
    }
  });

  it('has no number that anybody can move', async () => {
    expect(
      await db.sql(`select c.relname, r from pg_class c cross join unnest(array['lapse_app', 'lapse_operator', 'lapse_reader']) r
        where c.relnamespace = 'retention'::regnamespace and c.relkind = 'S'
          and (has_sequence_privilege(r, c.oid, 'USAGE') or has_sequence_privilege(r, c.oid, 'UPDATE'))`),
    ).toEqual([]);
  });
});

describe.each(ROLES)('the login of the %s', (role) => {
  it('is none of the others and cannot become one, nor the owner', async () => {
    const [owner] = await db.sql('select current_user as name');
    const others = [...ROLES.filter((r) => r !== role).map((r) => `lapse_${r}`), String(owner?.name)];
    for (const other of others) {
      expect(await logins[role].refusal(`set role "${other}"`), other).toBe('42501');
      expect(await logins[role].refusal(`set session authorization "${other}"`), other).toBe('42501');
      expect(await logins[role].refusal(`grant "${other}" to current_user`), other).toBe('42501');
    }
    expect(
      await db.sql(
        `select a.name from unnest($1::text[]) a(name) where pg_has_role('lapse_' || $2, a.name, 'MEMBER')`,
        [others, role],
      ),
    ).toEqual([]);
  });

  it('switches no guard off', async () => {
    for (const text of [
      'alter table retention.receipt disable trigger all',
      'drop trigger lapse_chain on retention.audit_entry',
      'alter table public.customers disable trigger all',
      'set session_replication_role = replica',
      'alter function retention.clock() owner to current_user',
      `create or replace function retention.clock() returns timestamptz language sql as 'select now()'`,
      'comment on table retention.receipt is null',
      'begin; lock table retention.hold in access exclusive mode',
      'begin; lock table retention.audit_entry in share row exclusive mode',
    ]) {
      expect(await logins[role].refusal(text), text).toBe('42501');
      await logins[role].sql('rollback');
    }
  });
});

it('an operator and a reader read no row of the business that nobody granted them', async () => {
  const tables =
    await db.sql(`select c.oid::regclass::text as t from pg_class c where c.relnamespace = 'public'::regnamespace
    and c.relkind in ('r', 'p')`);
  expect(tables.map((x) => x.t)).toContain('customers');
  const granted: Record<string, string[]> = { operator: ['documents', 'orders'], reader: [] };
  for (const role of ['operator', 'reader'] as const) {
    for (const { t } of tables.filter((x) => !granted[role]!.includes(String(x.t)))) {
      expect(await logins[role].refusal(`select * from ${t} limit 1`), `${role}: ${t}`).toBe('42501');
      expect(await logins[role].refusal(`delete from ${t}`), `${role}: ${t}`).toBe('42501');
    }
  }
});

it('neither login claims a refund in the name of the other', async () => {
  const claim = (who: string) =>
    `select retention.claim_refunds('[]', '{}', '${who}', 'why', now(), true, '[]')`;
  expect(await logins.app.refusal(claim('alice'))).toBe('42501');
  expect(await logins.operator.refusal(claim('order-review-sla'))).toBe('42501');
  expect(await logins.app.refusal(claim('order-review-sla'))).toEqual([]);
  expect(await logins.operator.refusal(claim('alice'))).toEqual([]);
});

it('a reader sees no names of files, nothing that pays, and nothing that confirms', async () => {
  for (const column of [
    'outbox.url',
    'outbox.path',
    'blob_finding.path',
    'refund_intent.payment',
    'refund_intent.confirmation',
    'refund_intent.lease',
  ]) {
    const [table, name] = column.split('.');
    const text = `select ${name} from retention.${table}`;
    expect(await logins.reader.refusal(text), text).toBe('42501');
  }
  expect(await logins.reader.refusal('select id, state from retention.outbox')).toEqual([]);
});
