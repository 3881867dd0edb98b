/**
 * Starts a PostgreSQL of our own in `folder`: creates the cluster the first time, stops an orphan of an
 * earlier process, takes a free port of the loopback interface, and waits until it accepts sessions.
 * Everything it writes lies in `folder`; the host is not changed.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { appendFile, chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Binaries, findBinaries } from './binaries';
import { serverSettings } from './configuration';
import { chooseIdentity, type Identity, prepareFor } from './identity';
import { readPostmaster, stopOrphan, stopPostmaster } from './orphan';

/** Replaying the log after a crash of a million-row demo took 3 s; ten times that on a slow disk. */
const START_MS = 60_000;
/** Another program may take the free port between the look and the start; each try takes a new one. */
const START_ATTEMPTS = 5;

export interface StartOptions {
  /** Absolute. Holds the cluster, its log and nothing else. */
  readonly folder: string;
  readonly user: string;
  readonly password: string;
  /** False trades safety against power failure for speed: for throw-away databases. */
  readonly durable: boolean;
  /** Settings of the server beside its own, each value as postgresql.conf has it. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Only tests choose; otherwise found out. */
  readonly identity?: Identity;
}

export interface RunningPostgres {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** Clean shutdown; every session is ended. */
  stop(): Promise<void>;
  /** For the last moment of a process, when nothing can be awaited. */
  stopNow(): void;
}

export async function startPostgres(options: StartOptions): Promise<RunningPostgres> {
  const data = join(options.folder, 'data');
  const identity = options.identity ?? (await chooseIdentity());
  await mkdir(options.folder, { recursive: true });
  const binaries = await findBinaries(join(options.folder, 'lib'));
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC', ...binaries.env };
  await mkdir(data, { recursive: true, mode: 0o700 });
  await chmod(data, 0o700);
  await prepareFor(identity, data, [binaries.postgres, binaries.initdb]);
  const machine = { binaries, identity, env, data, log: join(options.folder, 'postgres.log') };

  await stopOrphan(data, binaries.pgCtl, env);
  if (!existsSync(join(data, 'PG_VERSION'))) await createCluster(machine, options);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    await writeFile(join(data, 'lapse.conf'), serverSettings(port, options.durable, options.settings), {
      mode: 0o644,
    });
    const child = launch(machine);
    try {
      const { pid } = await whenReady(machine, child);
      return {
        host: '127.0.0.1',
        port,
        pid,
        stop: () => stopPostmaster(pid, data, binaries.pgCtl, env),
        stopNow: () => {
          if (process.platform !== 'win32') child.kill(options.durable ? 'SIGINT' : 'SIGQUIT');
        },
      };
    } catch (error) {
      if (attempt >= START_ATTEMPTS || !(error as StartError).mayPass) throw error;
      await sleep(100 * attempt);
    }
  }
}

interface Machine {
  readonly binaries: Binaries;
  readonly identity: Identity;
  readonly env: NodeJS.ProcessEnv;
  readonly data: string;
  readonly log: string;
}

async function createCluster(m: Machine, options: StartOptions): Promise<void> {
  // initdb refuses a folder that is not empty: what an interrupted one left behind goes first.
  await rm(m.data, { recursive: true, force: true });
  await mkdir(m.data, { mode: 0o700 });
  await prepareFor(m.identity, m.data, []);
  const passwordFile = join(options.folder, 'initdb-password');
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (m.identity.owner !== undefined) await chown(passwordFile, m.identity.owner, m.identity.owner);
  const [program, args] = m.identity.wrap(m.binaries.initdb, [
    `--pgdata=${m.data}`,
    `--username=${options.user}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
    ...(options.durable ? [] : ['--no-sync']),
  ]);
  try {
    await promisify(execFile)(program, args, { env: m.env, ...m.identity.spawn });
    await appendFile(join(m.data, 'postgresql.conf'), "\ninclude 'lapse.conf'\n");
  } catch (error) {
    await rm(m.data, { recursive: true, force: true });
    const { stderr } = error as { stderr?: string };
    throw new Error(`PostgreSQL could not create its data folder: ${stderr?.trim() || String(error)}`);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** In a session of its own: Ctrl-C reaches us, and we stop it in order. */
function launch(m: Machine): ChildProcess {
  const log = openSync(m.log, 'a');
  // On Windows only pg_ctl can start it below an administrator's account.
  const command =
    process.platform === 'win32'
      ? ([m.binaries.pgCtl, ['start', '-w', '-D', m.data]] as const)
      : m.identity.wrap(m.binaries.postgres, ['-D', m.data]);
  const child = spawn(command[0], command[1], {
    env: m.env,
    cwd: m.data,
    detached: process.platform !== 'win32',
    windowsHide: true,
    stdio: ['ignore', log, log],
    ...m.identity.spawn,
  });
  closeSync(log);
  child.unref();
  return child;
}

class StartError extends Error {
  constructor(
    message: string,
    /** True for a port just taken, or sessions of a killed server that are still ending. */
    readonly mayPass: boolean,
  ) {
    super(message);
  }
}

async function whenReady(m: Machine, child: ChildProcess): Promise<{ pid: number }> {
  const failed: { error?: Error } = {};
  child.once('error', (error) => {
    failed.error = error;
  });
  const until = Date.now() + START_MS;
  while (Date.now() < until) {
    if (failed.error) throw failed.error;
    if (process.platform !== 'win32' && (child.exitCode !== null || child.signalCode !== null)) {
      const tail = (await readFile(m.log, 'utf8')).trimEnd().split('\n').slice(-8).join('\n');
      const mayPass = /Address already in use|could not create any TCP|still in use/.test(tail);
      throw new StartError(`PostgreSQL did not start; the end of ${m.log} says:\n${tail}`, mayPass);
    }
    const found = await readPostmaster(m.data);
    if (found?.ready && (process.platform === 'win32' || found.pid === child.pid)) return found;
    await sleep(3);
  }
  child.kill('SIGKILL');
  throw new StartError(`PostgreSQL was not ready after ${START_MS / 1000} s; see ${m.log}`, false);
}

async function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const probe = createServer();
    probe.once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => done(port));
    });
  });
}
