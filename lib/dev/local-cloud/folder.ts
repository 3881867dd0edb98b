/**
 * The folder that holds a local cloud: its secrets, made once, and the mark of the process that uses it.
 * Two local clouds in one folder would write over each other, so the second one is refused.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Secrets {
  readonly ownerPassword: string;
  readonly redisToken: string;
  readonly blobSecret: string;
  /** Part of the token and of every blob's address. */
  readonly blobStoreId: string;
}

export async function readSecrets(folder: string): Promise<Secrets> {
  const path = join(folder, 'secrets.json');
  await mkdir(folder, { recursive: true });
  const written = await readFile(path, 'utf8').catch(() => undefined);
  if (written !== undefined) return JSON.parse(written) as Secrets;
  const secrets: Secrets = {
    ownerPassword: randomBytes(18).toString('hex'),
    redisToken: randomBytes(24).toString('base64url'),
    blobSecret: randomBytes(18).toString('hex'),
    blobStoreId: randomBytes(8).toString('hex'),
  };
  await writeFile(path, JSON.stringify(secrets), { mode: 0o600 });
  return secrets;
}

interface Mark {
  readonly pid: number;
  readonly url: string;
}

/** Asks the process that left its mark, because its id may belong to another program by now. */
export async function refuseIfInUse(folder: string): Promise<void> {
  const text = await readFile(join(folder, 'running.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const { pid, url } = JSON.parse(text) as Mark;
  const answer = await fetch(`${url}/local-cloud`, { signal: AbortSignal.timeout(2_000) }).catch(
    () => undefined,
  );
  const found = answer?.ok ? ((await answer.json()) as { folder?: string }) : undefined;
  if (found?.folder === folder) {
    throw new Error(
      `A local cloud already runs in ${folder} (process ${pid}, ${url}). Use it, stop it, or choose another folder.`,
    );
  }
}

export async function markRunning(folder: string, url: string): Promise<void> {
  const mark: Mark = { pid: process.pid, url };
  await writeFile(join(folder, 'running.json'), JSON.stringify(mark), { mode: 0o600 });
}

export async function unmark(folder: string): Promise<void> {
  await rm(join(folder, 'running.json'), { force: true });
}
