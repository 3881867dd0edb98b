/** SQL over HTTP in front of a PostgreSQL of one's own, as a service: the real client, and a whole Lapse, through it. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres } from '@/lib/dev/local-cloud/postgres/start';
import { type SqlProxy, type SqlProxyOptions, startSqlProxy } from '@/lib/dev/sql-proxy/proxy';
import { readProxySettings } from '@/lib/dev/sql-proxy/settings';
import { runPolicy } from '@/lib/engine/run/run';
import { connect } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { createLog } from '@/lib/platform/log';
import { createServices } from '@/lib/services';
import { type Engine, engine, govern, left, NOW, runRequest, things } from '../../support/engine';
import { act, OPERATORS } from '../../support/operators';

const TOKEN = 'a-token-of-the-sql-proxy';
let e: Engine;
let proxy: SqlProxy;
let log: string[];
const cleanUp: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  e = await engine();
  log = [];
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  await e.stop();
});

async function start(options: Partial<SqlProxyOptions> = {}): Promise<void> {
  const at = new URL(e.db.env.DATABASE_URL!);
  proxy = await startSqlProxy({
    upstream: { host: at.hostname, port: Number(at.port), tls: false },
    ...{ database: e.db.name, token: TOKEN, host: '127.0.0.1', port: 0, tls: undefined, sessions: 5 },
    log: createLog({ level: 'trace', destination: { write: (line: string) => void log.push(line) } }),
    ...options,
  });
  cleanUp.push(() => proxy.stop());
}
const env = () => ({
  ...e.db.env,
  NEON_HTTP_ENDPOINT: proxy.url,
  NEON_HTTP_TOKEN: TOKEN,
  CRON_SECRET: 'a-secret-of-the-tests',
  VERCEL_ENV: 'production',
  LOG_LEVEL: 'silent',
  LAPSE_OPERATORS: OPERATORS,
  LAPSE_PROGRESSIVE_ROLLOUT: 'off',
  LAPSE_MASS_DELETION_GUARD: 'off',
});
const database = (token: string | undefined = TOKEN, url = e.db.env.DATABASE_URL!) =>
  connect(url, proxy.url, token);
const ask = (text: string, from = database()) =>
  from.transaction([{ text, params: [] }], { timeoutMs: 20_000 });

it('a whole Lapse works through it: dry run, run, a hold by its door', async () => {
  await start();
  const policy = await govern(e.db);
  const [old] = await things(e.db, [40 * 86_400, 86_400]);
  const services = {
    ...createServices(env()),
    clock: () => NOW,
    policies: [policy],
    backoff: e.services.backoff,
    redis: e.services.redis,
  };
  const dry = await runPolicy(services, policy, runRequest(NOW, { dryRun: true }));
  expect(dry.preview?.expired).toBe(1);
  expect(await runPolicy(services, policy, runRequest(NOW))).toMatchObject({
    outcome: 'succeeded',
    deleted: 1,
  });
  expect(await left(e.db)).toBe(1);
  const held = await act(services, 'alice', {
    ...{ action: 'hold.place', scope: 'user', subject: old, force: true, reason: 'matter 12' },
  });
  expect(held.status).toBe(200);
  expect(log.join('')).not.toMatch(/postgresql:|a-token/);
});

describe('without its token', () => {
  it.each([undefined, 'a-token-of-somebody-else'])('%s: nothing is asked of PostgreSQL', async (token) => {
    await start();
    const url = new URL(e.db.env.DATABASE_URL!);
    url.password = 'not even looked at';
    const answer = await fetch(proxy.url, {
      method: 'POST',
      body: JSON.stringify({ query: 'select 1' }),
      headers: { 'neon-connection-string': url.href, ...(token ? { authorization: `Bearer ${token}` } : {}) },
    });
    expect(answer.status).toBe(401);
    expect(log.join('')).toContain('sql_proxy.refused');
  });

  it('Lapse says which setting to change, and that nothing ran', async () => {
    await start();
    const error = await ask('select 1', database('a-token-of-somebody-else')).catch((x: unknown) => x);
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error).toMatchObject({
      failure: 'fatal',
      message: expect.stringMatching(/before anything ran: set NEON_HTTP_TOKEN/),
    });
  });
});

it('serves its own database and server, and no other', async () => {
  await start();
  const at = (change: (url: URL) => void) => {
    const url = new URL(e.db.env.DATABASE_URL!);
    change(url);
    return ask('select 1', database(TOKEN, url.href));
  };
  await expect(at((url) => (url.pathname = '/postgres'))).rejects.toMatchObject({ sqlState: '28000' });
  await expect(at((url) => (url.hostname = 'elsewhere.example'))).rejects.toMatchObject({
    sqlState: '28000',
  });
  await expect(at((url) => (url.password = 'wrong'))).rejects.toThrow(/user or the password/);
  for (const [method, path] of [
    ['GET', '/sql'],
    ['POST', '/redis'],
    ['GET', '/local-cloud'],
  ] as const) {
    const answer = await fetch(new URL(path, proxy.url), {
      method,
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect([404, 405]).toContain(answer.status);
  }
  expect(await (await fetch(new URL('/health', proxy.url))).json()).toEqual({ status: 'ok' });
});

it('opens no more sessions than it may, and who finds none is told to ask again: nothing ran', async () => {
  await start({ sessions: 2 });
  const holder = await e.db.session();
  await holder.sql('select pg_advisory_lock(4711)');
  const waiting = [1, 2].map(() => ask('select pg_advisory_xact_lock(4711)'));
  const sessions = () =>
    e.db.sql(
      "select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory'",
    );
  await expect.poll(sessions, { interval: 5 }).toHaveLength(2);
  await expect(ask('select 1')).rejects.toMatchObject({
    failure: 'transient',
    message: expect.stringContaining('nothing ran'),
  });
  await holder.sql('select pg_advisory_unlock(4711)');
  await Promise.all(waiting);
  expect(await ask('select 1 as one')).toEqual([[{ one: 1 }]]);
  holder.end();
});

it('a stop lets the request under way finish, takes no new one, and ends its sessions', async () => {
  await start();
  const holder = await e.db.session();
  await holder.sql('select pg_advisory_lock(4711)');
  const underWay = ask('select pg_advisory_xact_lock(4711), 7 as done');
  const mine = () =>
    e.db.sql('select pid from pg_stat_activity where datname = current_database() and usename = $1', [
      new URL(e.db.env.DATABASE_URL!).username,
    ]);
  await expect
    .poll(
      () =>
        e.db.sql(
          "select 1 from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
        ),
      { interval: 5 },
    )
    .toHaveLength(1);
  const stopped = proxy.stop();
  await expect(ask('select 1')).rejects.toMatchObject({ failure: 'unknown' });
  await holder.sql('select pg_advisory_unlock(4711)');
  expect((await underWay)[0]?.[0]).toMatchObject({ done: 7 });
  await stopped;
  await expect.poll(mine, { interval: 5 }).toEqual([]);
  holder.end();
});

describe('its settings', () => {
  const good = {
    SQL_PROXY_DATABASE: 'postgresql://db.example:5432/shop?sslmode=verify-full',
    SQL_PROXY_TOKEN: TOKEN,
  };

  it('are enough with a database and a token', () => {
    expect(readProxySettings(good)).toMatchObject({
      ...{ database: 'shop', host: '127.0.0.1', port: 8432, tls: undefined, sessions: 20 },
      upstream: { host: 'db.example', port: 5432 },
    });
    expect(
      readProxySettings({ ...good, SQL_PROXY_DATABASE: 'postgresql://localhost/shop' }).upstream.tls,
    ).toBe(false);
  });

  it.each([
    [{ SQL_PROXY_DATABASE: undefined }, /SQL_PROXY_DATABASE must be postgresql:/],
    [{ SQL_PROXY_DATABASE: 'postgresql://db.example/shop' }, /add \?sslmode=verify-full/],
    [{ SQL_PROXY_DATABASE: 'postgresql://db.example/shop?sslmode=no-verify' }, /add \?sslmode=verify-full/],
    [{ SQL_PROXY_DATABASE: 'postgresql://a:b@localhost/shop' }, /must name no user/],
    [{ SQL_PROXY_TOKEN: 'short' }, /SQL_PROXY_TOKEN must be at least 16/],
    [
      { SQL_PROXY_LISTEN: '0.0.0.0:8432' },
      /SQL_PROXY_LISTEN is not this machine alone: set SQL_PROXY_TLS_CERT/,
    ],
    [{ SQL_PROXY_LISTEN: 'nowhere' }, /SQL_PROXY_LISTEN must be host:port/],
    [{ SQL_PROXY_TLS_CERT: '/nowhere' }, /must both be files in PEM/],
    [{ SQL_PROXY_SESSIONS: '0' }, /SQL_PROXY_SESSIONS must be a whole number/],
  ])('%o are refused by name', (change, words) => {
    expect(() => readProxySettings({ ...good, ...change })).toThrow(words);
  });
});

/** A certificate for this machine, which only a process that is given it believes. */
async function certificate(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lapse-test-tls-'));
  cleanUp.push(() => rm(folder, { recursive: true, force: true }));
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=127.0.0.1'],
    ...[
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      join(folder, 'key.pem'),
      '-out',
      join(folder, 'cert.pem'),
    ],
  ]);
  return folder;
}
const hasOpenssl = await promisify(execFile)('openssl', ['version']).then(
  () => true,
  () => false,
);

describe.skipIf(!hasOpenssl)('over TLS', () => {
  it('npm run sql-proxy serves who believes its certificate, and a client that does not sends nothing', async () => {
    const folder = await certificate();
    const { DATABASE_URL } = e.db.env;
    const at = new URL(DATABASE_URL!);
    const child = spawn(process.execPath, ['--import', 'tsx', 'lib/dev/cli/sql-proxy.ts'], {
      env: {
        ...process.env,
        SQL_PROXY_DATABASE: `postgresql://${at.host}/${e.db.name}`,
        SQL_PROXY_TOKEN: TOKEN,
        SQL_PROXY_LISTEN: '127.0.0.1:0',
        SQL_PROXY_TLS_CERT: join(folder, 'cert.pem'),
        SQL_PROXY_TLS_KEY: join(folder, 'key.pem'),
      },
    });
    cleanUp.push(async () => child.kill('SIGKILL'));
    const url = await new Promise<string>((done, failed) => {
      child.once('exit', () => failed(new Error('it ended')));
      child.stdout.on('data', (d) => {
        const found = /https:\/\/127\.0\.0\.1:\d+\/sql/.exec(String(d));
        if (found) done(found[0]);
      });
    });
    const program = `
      import { connect } from '@/lib/platform/database';
      connect(process.env.DATABASE_URL, process.env.ENDPOINT, process.env.TOKEN)
        .transaction([{ text: 'select 6 * 7 as answer', params: [] }], { timeoutMs: 10000 })
        .then((rows) => console.log(JSON.stringify(rows)), (error) => { console.log(error.message); });`;
    const client = (more: Record<string, string>) =>
      promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
        env: { ...process.env, DATABASE_URL: DATABASE_URL!, ENDPOINT: url, TOKEN, ...more },
      });
    expect((await client({ NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') })).stdout.trim()).toBe(
      '[[{"answer":42}]]',
    );
    expect((await client({})).stdout).toMatch(/no answer from the database/);
    child.removeAllListeners('exit');
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await ended;
    expect(child.exitCode).toBe(0);
  });

  it('the way to PostgreSQL is encrypted too, and its certificate verified', async () => {
    const folder = await certificate();
    const server = await startPostgres({
      ...{ folder: join(folder, 'postgres'), user: 'postgres', password: 'a-password', durable: false },
    });
    cleanUp.push(() => server.stop());
    const at = `${server.host}:${server.port}/postgres`;
    const client = new Client({ connectionString: `postgresql://postgres:a-password@${at}` });
    await client.connect();
    for (const setting of ["ssl_cert_file = '%cert.pem'", "ssl_key_file = '%key.pem'", 'ssl = on'])
      await client.query(`alter system set ${setting.replace('%', `${folder}/`)}`);
    await client.query('select pg_reload_conf()');
    await client.end();
    // The server reads its settings again when it comes to it.
    await expect
      .poll(async () => {
        const next = new Client({ connectionString: `postgresql://postgres:a-password@${at}` });
        await next.connect();
        return (await next.query('show ssl').finally(() => next.end())).rows;
      })
      .toEqual([{ ssl: 'on' }]);
    const asked = async (query: string) => {
      const settings = readProxySettings({
        SQL_PROXY_DATABASE: `postgresql://${at}${query}`,
        SQL_PROXY_TOKEN: TOKEN,
      });
      await start({ upstream: settings.upstream, database: 'postgres' });
      const over = database(TOKEN, `postgresql://postgres:a-password@${at}`);
      return ask('select ssl from pg_stat_ssl where pid = pg_backend_pid()', over);
    };
    expect(await asked(`?sslmode=verify-full&sslrootcert=${join(folder, 'cert.pem')}`)).toEqual([
      [{ ssl: true }],
    ]);
    await expect(asked('?sslmode=verify-full')).rejects.toMatchObject({ failure: 'unknown' });
  });
});
