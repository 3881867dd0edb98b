/**
 * Moves a database's schema up or down with node-pg-migrate, from plain SQL files. Two sets with bookkeeping
 * of their own: `retention` is all that an existing database needs to be governed; `example` is the business
 * schema of the local cloud, previews and tests. Runs as the owner, over TCP; the app never does.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { runner } from 'node-pg-migrate';
import { Client } from 'pg';

export const SETS = ['retention', 'example'] as const;
export type MigrationSet = (typeof SETS)[number];

/** In `public`, because going all the way down drops schema `retention` itself. */
const BOOKKEEPING: Record<MigrationSet, string> = {
  retention: 'lapse_migrations',
  example: 'lapse_example_migrations',
};

export interface MigrateOptions {
  readonly sets: readonly MigrationSet[];
  readonly direction: 'up' | 'down';
  /** How many steps; all when going up, one when going down, unless given. */
  readonly count?: number;
  readonly log?: (line: string) => void;
}

/** Gives the names of the migrations that ran, `set/name`, in order. Each set is one transaction: all or nothing. */
export async function migrate(ownerUrl: string, options: MigrateOptions): Promise<string[]> {
  const done: string[] = [];
  // Tables of the example use functions of schema retention: up in this order, down in the other.
  const sets = options.direction === 'up' ? options.sets : [...options.sets].reverse();
  // A session of our own: the runner does not wait until the one it opens has ended.
  const dbClient = new Client({ connectionString: ownerUrl });
  await dbClient.connect();
  try {
    for (const set of sets) done.push(...(await migrateSet(dbClient, set, options)));
  } finally {
    await dbClient.end();
  }
  return done;
}

async function migrateSet(dbClient: Client, set: MigrationSet, options: MigrateOptions): Promise<string[]> {
  const ran = await runner({
    dbClient,
    dir: path.join(folder(), set),
    migrationsSchema: 'public',
    migrationsTable: BOOKKEEPING[set],
    direction: options.direction,
    checkOrder: true,
    advisoryLockMode: 'wait',
    ...(options.count === undefined ? {} : { count: options.count }),
    log: options.log ?? (() => undefined),
  });
  return ran.map((m) => `${set}/${m.name}`);
}

function folder(): string {
  const here = path.join(process.cwd(), 'lib/migrations');
  if (!existsSync(here)) throw new Error('run this from the project folder: lib/migrations is not here');
  return here;
}
