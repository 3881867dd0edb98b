/**
 * The local cloud in front of somebody's own PostgreSQL: a second embedded server with a database of an invented shop, whose
 * owner is no superuser.
 */
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { neon, neonConfig } from '@neondatabase/serverless';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type OverDatabase, startOverDatabase } from '@/lib/dev/local-cloud/over-database';
import { type RunningPostgres, startPostgres } from '@/lib/dev/local-cloud/postgres/start';
import { runPolicy } from '@/lib/engine/run/run';
import { createServices } from '@/lib/services';
import { NOW, runRequest, thingsPolicy } from '../../support/engine';
import { testRoot } from '../../support/folder';

let root: string;
let server: RunningPostgres;
let database: string;
const cleanUp: (() => Promise<unknown>)[] = [];
const OWNER = 'shop_owner';

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

beforeAll(async () => {
  root = await mkdtemp(join(testRoot(), `lapse-test-${process.pid}-`));
  server = await startPostgres({
    ...{ folder: join(root, 'postgres'), user: 'postgres', password: 'a-password', durable: false },
  });
  await ask(addressOf('postgres', 'postgres'), `create role ${OWNER} login createrole password 'a-password'`);
});
afterAll(async () => {
  await server?.stop();
  await rm(root, { recursive: true, force: true });
});

beforeEach(async () => {
  const name = `shop_${randomUUID().slice(0, 8)}`;
  await ask(addressOf('postgres', 'postgres'), `create database ${name} owner ${OWNER}`);
  database = addressOf(OWNER, name);
  await ask(database, 'create table things (id uuid primary key, at timestamptz, org uuid, person uuid)');
  await ask(database, 'create index on things (at, id)');
  await ask(
    database,
    `insert into things select gen_random_uuid(), '${NOW.toISOString()}'::timestamptz - make_interval(days => n)
    from generate_series(1, 100) n`,
  );
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start(options: Partial<OverDatabase> = {}) {
  const said: string[] = [];
  const over = await startOverDatabase({
    ...{ database, migrate: false, handleSignals: false, say: (line: string) => void said.push(line) },
    folder: join(root, randomUUID()),
    ...options,
  });
  cleanUp.push(() => over.cloud.stop());
  return { ...over, said };
}

/** Everything there is, and who may do what with it. */
const everything = () =>
  ask(
    database,
    `select 'schema ' || nspname as what, nspacl::text as rights from pg_namespace where nspname not like 'pg_temp%' and nspname not like 'pg_toast%'
     union all select 'relation ' || oid::regclass, relacl::text from pg_class where relnamespace = 'public'::regnamespace
     union all select 'database', datacl::text from pg_database where datname = current_database()
     union all select 'role ' || rolname, null from pg_roles order by 1`,
  );

describe('over a database without the schema of Lapse', () => {
  it('is refused without --migrate, and changes nothing there', async () => {
    const before = await everything();
    await expect(start()).rejects.toThrow(/has no schema retention, and nothing was changed: .* --migrate/);
    expect(await everything()).toEqual(before);
  });

  it('says what it will change before it migrates, and leaves no table of its own data touched', async () => {
    const rows = await ask(database, 'select * from things order by id');
    const { said } = await start({ migrate: true });
    expect(
      said
        .filter((line) => !line.startsWith('done: create role'))
        .map(
          (line) =>
            /^(PostgreSQL|about to bring up schema retention|done: retention|about to make three logins)/.exec(
              line,
            )?.[1],
        ),
    ).toEqual([
      'PostgreSQL',
      'about to bring up schema retention',
      'done: retention',
      'about to make three logins',
    ]);
    expect(await ask(database, 'select * from things order by id')).toEqual(rows);
    expect(await ask(database, "select to_regclass('public.quiz_responses') as example")).toEqual([
      { example: null },
    ]);
  });

  it('a dry run over it counts its rows, by the rights of a login that is dropped afterwards', async () => {
    const over = await start({ migrate: true });
    expect(over.said).toEqual(expect.arrayContaining([expect.stringMatching(/Lapse's schema is not there/)]));
    await ask(database, 'grant select, update, delete on things to lapse_app');
    await ask(database, "select retention.protect('public.things')");
    const services = {
      ...createServices({ ...over.env, CRON_SECRET: 'a-secret-of-the-tests', LOG_LEVEL: 'silent' }),
      clock: () => NOW,
    };
    const result = await runPolicy(services, thingsPolicy(), runRequest(NOW, { dryRun: true }));
    expect([result.outcome, result.preview?.expired]).toEqual(['succeeded', 70]);
    const names = ['', '_OPERATOR', '_READER'].map((s) => new URL(over.env[`DATABASE_URL${s}`]!).username);
    const logins = () =>
      ask(database, `select rolsuper from pg_roles where rolname in ('${names.join("','")}')`);
    expect(await logins()).toEqual([{ rolsuper: false }, { rolsuper: false }, { rolsuper: false }]);
    await over.cloud.stop();
    expect(await logins()).toEqual([]);
    expect(await ask(database, 'select count(*)::int as n from things')).toEqual([{ n: 100 }]);
  });
});

describe('over a database that has it', () => {
  beforeEach(async () => {
    const over = await start({ migrate: true });
    await over.cloud.stop();
  });

  it('migrates nothing unless asked', async () => {
    await ask(database, "comment on schema retention is 'left alone'");
    const { said } = await start();
    expect(said).toHaveLength(2);
    expect(said[0]).toMatch(/^PostgreSQL .* as shop_owner; Lapse's schema is there$/);
    expect((await start({ migrate: true })).said.slice(1)).toEqual([
      expect.stringMatching(/^about to bring up/),
      'it was up to date',
      expect.stringMatching(/^about to make three logins/),
    ]);
  });

  it('uses the login it is given, and makes none', async () => {
    const name = `app_${randomUUID().slice(0, 8)}`;
    await ask(
      database,
      `create role ${name} login password 'b:word' in role lapse_app, lapse_operator, lapse_reader`,
    );
    const before = await everything();
    const over = await start({ login: { name, password: 'b:word' } });
    neonConfig.fetchEndpoint = over.env.NEON_HTTP_ENDPOINT!;
    expect(await neon(over.env.DATABASE_URL!).query('select session_user as who')).toEqual([{ who: name }]);
    expect(await everything()).toEqual(before);
    await over.cloud.stop();
    expect(await everything()).toEqual(before);
  });

  it('whose owner may make no roles, asks for a login instead of half a start', async () => {
    await ask(addressOf('postgres', 'postgres'), `alter role ${OWNER} nocreaterole`);
    try {
      const before = await everything();
      await expect(start()).rejects.toThrow(/may not make roles.*nothing was changed.*--login/);
      expect(await everything()).toEqual(before);
    } finally {
      await ask(addressOf('postgres', 'postgres'), `alter role ${OWNER} createrole`);
    }
  });

  it('and asks for TLS, sends nothing to a server that does not speak it', async () => {
    const over = await start({ login: { name: 'someone', password: 'a-password' } });
    await over.cloud.stop();
    await expect(start({ database: `${database}?sslmode=verify-full` })).rejects.toThrow(
      /does not support SSL/,
    );
  });
});

it.each([
  ['mysql://a:b@h/db', /postgresql:\/\/owner/],
  ['postgresql://127.0.0.1/db', /postgresql:\/\/owner/],
  ['postgresql://a:b@127.0.0.1', /postgresql:\/\/owner/],
  ['nonsense', /postgresql:\/\/owner/],
  ['postgresql://nobody:here@127.0.0.1:1/db', /127\.0\.0\.1:1 does not let this address in/],
])('refuses %s and says what is wanted', async (address, words) => {
  await expect(start({ database: address })).rejects.toThrow(words);
});

const CLI = ['--import', 'tsx', 'lib/dev/cli/local.ts'];

it('npm run local -- --database prints the settings alone, and stops in order', async () => {
  const child = spawn(process.execPath, [...CLI, '--database', database, '--migrate']);
  const name = new URL(database).pathname.slice(1);
  const folder = join('.lapse', `over-127.0.0.1-${server.port}-${name}`);
  cleanUp.push(
    () => rm(folder, { recursive: true, force: true }),
    async () => child.kill('SIGKILL'),
  );
  let [out, err] = ['', ''];
  await new Promise<void>((done, failed) => {
    child.once('exit', () => failed(new Error(err)));
    // Two pipes: what was written to one first may be read last.
    const whenBoth = () => err.includes('Ctrl-C') && /^NEON_HTTP_ENDPOINT=.*\n/m.test(out) && done();
    child.stdout.on('data', (d) => {
      out += d;
      whenBoth();
    });
    child.stderr.on('data', (d) => {
      err += d;
      whenBoth();
    });
  });
  const names = out
    .trim()
    .split('\n')
    .map((line) => line.split('=')[0]);
  expect(names).toEqual(
    expect.arrayContaining(['DATABASE_URL', 'MIGRATION_DATABASE_URL', 'NEON_HTTP_ENDPOINT']),
  );
  expect(out.trim().split('\n')).toEqual(
    out
      .trim()
      .split('\n')
      .filter((line) => /^[A-Z_]+=\S+$/.test(line)),
  );
  const login = new URL(/^DATABASE_URL=(.*)$/m.exec(out)![1]!).username;
  child.removeAllListeners('exit');
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(existsSync(folder)).toBe(true);
  expect(await ask(database, `select from pg_roles where rolname = '${login}'`)).toEqual([]);
});

it('npm run local ends with 2 and what to do, when the database is not fit or the options do not fit together', async () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [...CLI, ...args]).catch(
      (e: { code: number; stderr: string }) => e,
    );
  expect(await run('--database', database)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--migrate'),
  });
  expect(await run('--migrate')).toMatchObject({ code: 2, stderr: expect.stringContaining('--database') });
});
