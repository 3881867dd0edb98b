/**
 * One local cloud for the whole run of the tests, in a folder of its own that goes away afterwards, with a
 * migrated template database. TEST_POSTGRES_URL (an owner's address) and TEST_REDIS_URL run the same tests
 * against servers elsewhere.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { TestProject } from 'vitest/node';
import { type LocalCloud, startLocalCloud } from '@/lib/dev/local-cloud';
import { isAlive, readPostmaster, stopPostmaster } from '@/lib/dev/local-cloud/postgres/orphan';
import { testRoot } from './folder';
import { DATABASE_NAME } from './provided';

const FOLDER = 'lapse-test-';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeLeftovers();
  const folder = await mkdtemp(join(testRoot(), `${FOLDER}${process.pid}-`));
  const { TEST_POSTGRES_URL: postgresUrl, TEST_REDIS_URL: redisUrl } = process.env;
  const cloud = await startLocalCloud({
    folder,
    durable: false,
    handleSignals: false,
    ...(postgresUrl ? { postgresUrl } : {}),
    ...(redisUrl ? { redisUrl } : {}),
  });
  const template = await makeTemplate(cloud, `lapse_template_${process.pid}`);
  project.provide('cloud', {
    url: cloud.url,
    ownerUrl: cloud.ownerUrl('postgres'),
    template,
    env: cloud.env(DATABASE_NAME),
    redisUrl: redisUrl ?? null,
  });
  return async () => {
    if (template) await cloud.dropDatabase(template);
    await cloud.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

interface Migrations {
  migrate(url: string, options: { sets: readonly string[]; direction: 'up' | 'down' }): Promise<unknown>;
}

async function makeTemplate(cloud: LocalCloud, name: string): Promise<string | null> {
  const path = fileURLToPath(new URL('../../lib/dev/migrate.ts', import.meta.url));
  if (!existsSync(path)) return null;
  const { migrate } = (await import(pathToFileURL(path).href)) as Migrations;
  await cloud.dropDatabase(name);
  await cloud.createDatabase(name);
  await migrate(cloud.ownerUrl(name), { sets: ['retention', 'example'], direction: 'up' });
  return name;
}

/** A run that was killed could not clean up behind itself. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(testRoot())) {
    const pid = Number(/^lapse-test-(\d+)-/.exec(name)?.[1]);
    if (!pid || isAlive(pid)) continue;
    const folder = join(testRoot(), name);
    const data = join(folder, 'postgres', 'data');
    const postmaster = await readPostmaster(data);
    if (postmaster && isAlive(postmaster.pid) && process.platform !== 'win32') {
      await stopPostmaster(postmaster.pid, data, 'pg_ctl', process.env);
    }
    await rm(folder, { recursive: true, force: true });
  }
}
