/** The built app as a child process on a free port, called over HTTP exactly as Vercel Cron calls it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import type { RunResult } from '../../engine/run/result';

/** A build takes about 15 s on two cores; a start well under one. */
const START_MS = 60_000;
/** On a machine that does much else a build took four minutes. */
const LONGEST_BUILD_MS = 8 * 60_000;
const NEXT = path.join('node_modules', 'next', 'dist', 'bin', 'next');

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no free port is available');
  return address.port;
}

/** Builds the app unless the last build is newer than every source. Only one build runs at a time. */
export async function build(log: (line: string) => void): Promise<void> {
  const unlock = await lock();
  try {
    const stamp = path.join('.next', 'BUILD_ID');
    if (existsSync(stamp) && newest() < statSync(stamp).mtimeMs) return;
    await nextBuild(log);
  } finally {
    unlock();
  }
}

/** The process that builds: this one at first, then Next itself, which may outlive its caller. */
const BUILDER = path.join('.lapse', 'build.pid');

/** Next refuses a second build of the same folder: this waits for the first, and takes over from a dead one. */
async function lock(): Promise<() => void> {
  const file = BUILDER;
  mkdirSync('.lapse', { recursive: true });
  const until = Date.now() + LONGEST_BUILD_MS;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch {
      if (!isAlive(file)) rmSync(file, { force: true });
      // Its number may by now be that of a process that builds nothing.
      if (Date.now() > until)
        throw new Error(
          `process ${readFileSync(file, 'utf8')} has been building the app for ${LONGEST_BUILD_MS / 60_000} minutes: end it, or remove ${file}`,
        );
      await new Promise((done) => setTimeout(done, 250));
    }
  }
}

function isAlive(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return true;
  } catch (error) {
    // Another user's process is alive too; of a file that has just gone nothing is known.
    return ['EPERM', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

/** Builds a copy of the project in its own folder, whatever was built there before. */
export const buildIn = (folder: string): Promise<void> => nextBuild(() => undefined, folder);

async function nextBuild(log: (line: string) => void, folder = '.'): Promise<void> {
  log('building the app (about 15 seconds)');
  const child = spawn(process.execPath, [NEXT, 'build'], {
    cwd: folder,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (child.pid && folder === '.') writeFileSync(BUILDER, String(child.pid));
  let output = '';
  child.stdout.on('data', (d) => (output += d));
  child.stderr.on('data', (d) => (output += d));
  const code = await new Promise((done) => child.on('close', done));
  if (code !== 0) throw new Error(`next build failed:\n${output}`);
}

/** When a source was last changed, in milliseconds. */
function newest(): number {
  const sources = ['app', 'lib'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => path.join(folder, file)),
  );
  const settings = [
    'package-lock.json',
    'next.config.ts',
    'proxy.ts',
    'instrumentation.ts',
    'postcss.config.mjs',
    'sentry.server.config.ts',
    'vercel.json',
  ];
  return Math.max(...[...sources, ...settings].map((file) => statSync(file).mtimeMs));
}

export interface App {
  readonly url: string;
  /** As Vercel Cron does: GET, its user agent, the schedule's header, the secret. */
  call(policy: string, schedule: string, parameters?: Record<string, string>): Promise<RunResult>;
  /** `kill` ends it at once, as a crash would. */
  stop(kill?: boolean): Promise<void>;
}

/** Starts the app, as it was built in `folder`. Its log lines go to `onLine`. */
export async function startApp(
  env: Record<string, string>,
  port: number,
  onLine: (line: string) => void,
  folder = '.',
): Promise<App> {
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, [NEXT, 'start', '-p', String(port), '-H', '127.0.0.1'], {
    cwd: folder,
    env: { ...process.env, ...env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let rest = '';
  const read = (d: Buffer) => {
    const lines = (rest + d).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  await ready(url, child);
  return {
    url,
    async call(policy, schedule, parameters = {}) {
      const response = await fetch(`${url}/api/cron/${policy}?${new URLSearchParams(parameters)}`, {
        headers: {
          authorization: `Bearer ${env.CRON_SECRET}`,
          'user-agent': 'vercel-cron/1.0',
          'x-vercel-cron-schedule': schedule,
        },
      });
      const body = (await response.json()) as RunResult & { error?: { message: string } };
      if (body.error) throw new Error(`${policy} answered ${response.status}: ${body.error.message}`);
      return body;
    },
    async stop(kill = false) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = new Promise((done) => child.on('close', done));
      child.kill(kill ? 'SIGKILL' : 'SIGTERM');
      await closed;
    },
  };
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_MS;
  while (Date.now() < until) {
    if (child.exitCode !== null)
      throw new Error(`the app ended with code ${child.exitCode} before it was ready`);
    const answer = await fetch(url, { method: 'HEAD' }).catch(() => null);
    if (answer) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`the app was not ready within ${START_MS / 1000} s`);
}
