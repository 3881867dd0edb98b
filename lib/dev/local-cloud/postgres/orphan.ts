/**
 * After `kill -9` of the process that started it, PostgreSQL keeps running and holds its data folder. The
 * next start stops it the clean way. A lock file whose process id now belongs to something else is removed;
 * PostgreSQL itself removes one whose process is gone.
 */
import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A fast shutdown takes well under a second; a checkpoint of a large buffer cache on a slow disk may not. */
const CLEAN_STOP_MS = 30_000;
/** A killed process is gone at once, unless the disk holds it. */
const KILL_MS = 2_000;

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

/** What `postmaster.pid` says; undefined when there is none. */
export async function readPostmaster(data: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]), ready: (lines[7] ?? '').trim() === 'ready' };
}

/** True when an orphan was found and stopped. */
export async function stopOrphan(data: string, pgCtl: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const found = await readPostmaster(data);
  if (!found || !isAlive(found.pid)) return false;
  if (!(await isPostgres(found.pid))) {
    await rm(join(data, 'postmaster.pid'), { force: true });
    return false;
  }
  await stopPostmaster(found.pid, data, pgCtl, env);
  return true;
}

/** Fast shutdown: sessions are ended, data is checkpointed. Killed when it does not end in time. */
export async function stopPostmaster(
  pid: number,
  data: string,
  pgCtl: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  if (process.platform === 'win32') {
    await promisify(execFile)(pgCtl, ['stop', '-w', '-m', 'fast', '-D', data], { env });
    return;
  }
  // SIGINT is PostgreSQL's fast shutdown.
  signal(pid, 'SIGINT');
  if (await ended(pid, data, CLEAN_STOP_MS)) return;
  signal(pid, 'SIGKILL');
  await ended(pid, data, KILL_MS);
}

/**
 * It removes its lock file last. The process id alone proves nothing: an orphan's stays a zombie where the
 * first process of a container reaps no children.
 */
async function ended(pid: number, data: string, withinMs: number): Promise<boolean> {
  const until = Date.now() + withinMs;
  while (Date.now() < until) {
    if (!isAlive(pid) || (await readPostmaster(data))?.pid !== pid) return true;
    await sleep(5);
  }
  return false;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}

async function isPostgres(pid: number): Promise<boolean> {
  if (process.platform === 'win32') {
    const { stdout } = await promisify(execFile)('tasklist', ['/FI', `PID eq ${pid}`, '/NH']);
    return /postgres/i.test(stdout);
  }
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(async () => {
    const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command=']);
    return stdout;
  });
  return /postgres/.test(command);
}
