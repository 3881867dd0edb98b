/**
 * The three roles on a server of somebody's own, whose owner is no superuser: made by the migration where they are missing,
 * for an existing installation without taking anything from it.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type RunningPostgres, startPostgres } from '@/lib/dev/local-cloud/postgres/start';
import { migrate } from '@/lib/dev/migrate';
import { testRoot } from '../support/folder';

let root: string;
let server: RunningPostgres;
let database: string;
const [OWNER, RUNNER, KEEPER] = ['shop_owner', 'shop_runner', 'shop_keeper'];
const addressOf = (user: string, name: string) =>
  `postgresql://${user}:a-password@${server.host}:${server.port}/${name}`;
const ask = async (url: string, text: string) => {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
};
const admin = (text: string) => ask(addressOf('postgres', 'postgres'), text);
const up = async (say?: (line: string) => void) =>
  migrate(database, { sets: ['retention'], direction: 'up', ...(say ? { say } : {}) });

beforeAll(async () => {
  root = await mkdtemp(join(testRoot(), `lapse-test-${process.pid}-`));
  server = await startPostgres({
    ...{ folder: join(root, 'postgres'), user: 'postgres', password: 'a-password', durable: false },
  });
  for (const name of [OWNER, RUNNER, KEEPER]) await admin(`create role ${name} login password 'a-password'`);
});
afterAll(async () => {
  await server?.stop();
  await rm(root, { recursive: true, force: true });
});

/** A server without Lapse, and a database on it. */
beforeEach(async () => {
  for (const { datname } of await admin("select datname from pg_database where datname like 'shop%'"))
    await admin(`drop database ${datname}`);
  await admin('drop role if exists lapse_app, lapse_operator, lapse_reader');
  await admin(`alter role ${OWNER} createrole`);
  const name = `shop_${randomUUID().slice(0, 8)}`;
  await admin(`create database ${name} owner ${OWNER}`);
  database = addressOf(OWNER!, name);
});

const membersOf = async (login: string) =>
  (
    await admin(`select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member
      where u.rolname = '${login}' and g.rolname like 'lapse%' order by 1`)
  ).map((r) => r.rolname);

it('are made by the migration, says each, and no login is given any', async () => {
  const said: string[] = [];
  await up((line) => said.push(line));
  expect(said).toEqual([
    'create role lapse_app nologin',
    'create role lapse_operator nologin',
    'create role lapse_reader nologin',
  ]);
  expect(await membersOf(RUNNER!)).toEqual([]);
  expect(
    await admin(
      "select rolname, rolcanlogin, rolsuper, rolcreaterole, rolbypassrls from pg_roles where rolname like 'lapse%' order by 1",
    ),
  ).toEqual(
    ['lapse_app', 'lapse_operator', 'lapse_reader'].map((rolname) => ({
      ...{ rolname, rolcanlogin: false, rolsuper: false, rolcreaterole: false, rolbypassrls: false },
    })),
  );
  const again: string[] = [];
  expect(await up((line) => again.push(line))).toEqual([]);
  expect(again).toEqual([]);
});

/** As an installation of a version with one role only left it: nothing of the two others, their functions are the app's. */
async function beforeTheRoles(): Promise<void> {
  await up();
  await admin(`grant lapse_app to ${RUNNER}`);
  await ask(
    database,
    `grant execute on all functions in schema retention to lapse_app;
     revoke all on all functions in schema retention from lapse_operator, lapse_reader;
     revoke all on all tables in schema retention from lapse_operator, lapse_reader;
     revoke all on schema retention from lapse_operator, lapse_reader;
     update retention.applied_functions set sha256 = repeat('0', 64)`,
  );
  await admin('drop role lapse_operator, lapse_reader');
}
const asRunner = (text: string) => ask(addressOf(RUNNER!, new URL(database).pathname.slice(1)), text);

it('an installation of before goes on with its one login, until that is taken from it', async () => {
  await beforeTheRoles();
  const said: string[] = [];
  await up((line) => said.push(line));
  expect(said).toEqual([
    'create role lapse_operator nologin',
    'create role lapse_reader nologin',
    `grant lapse_operator, lapse_reader to "${RUNNER}"`,
  ]);
  expect(await membersOf(RUNNER!)).toEqual(['lapse_app', 'lapse_operator', 'lapse_reader']);
  expect(await asRunner("select actor from retention.stop_all('alice', 'why')")).toEqual([
    { actor: 'alice' },
  ]);
  await ask(database, `revoke lapse_operator from ${RUNNER}`);
  await expect(asRunner("select retention.resume_all('bob', 'why')")).rejects.toThrow(/permission denied/);
});

it('once a login was split, another migration gives nothing back', async () => {
  await beforeTheRoles();
  await up();
  await ask(database, `revoke lapse_operator, lapse_reader from ${RUNNER}`);
  await ask(database, "update retention.applied_functions set sha256 = repeat('1', 64)");
  const said: string[] = [];
  await up((line) => said.push(line));
  expect([said, await membersOf(RUNNER!)]).toEqual([[], ['lapse_app']]);
});

it('where the owner may not make them, the migration says what to run instead, changes nothing, and goes on after it', async () => {
  await beforeTheRoles();
  await admin(`alter role ${OWNER} nocreaterole`);
  const functions = () =>
    ask(
      database,
      "select md5(string_agg(proname || proacl::text, ',' order by oid)) as now from pg_proc where pronamespace = 'retention'::regnamespace",
    );
  const before = await functions();
  const error = await up().catch((e: Error) => e);
  const told = String((error as Error).message);
  expect(told).toMatch(
    /may not make roles, and lapse_operator, lapse_reader are missing; nothing was changed/,
  );
  expect(await functions()).toEqual(before);
  const statements = told.split('\n').filter((line) => line.startsWith('  '));
  expect(statements).toHaveLength(3);
  await admin(statements.join('\n'));
  await up();
  expect(await membersOf(RUNNER!)).toEqual(['lapse_app', 'lapse_operator', 'lapse_reader']);
});

it('two databases of one server are migrated at the same time', async () => {
  const name = `shop_${randomUUID().slice(0, 8)}`;
  await admin(`create database ${name} owner ${OWNER}`);
  await Promise.all([up(), migrate(addressOf(OWNER!, name), { sets: ['retention'], direction: 'up' })]);
  expect(await admin("select count(*)::int as n from pg_roles where rolname like 'lapse%'")).toEqual([
    { n: 3 },
  ]);
});

it('no login of somebody who makes roles is given any: it could not be used', async () => {
  await beforeTheRoles();
  await admin(`grant lapse_app to ${KEEPER}; alter role ${KEEPER} createrole`);
  try {
    await up();
    expect(await membersOf(KEEPER!)).toEqual(['lapse_app']);
  } finally {
    await admin(`alter role ${KEEPER} nocreaterole`);
  }
});
