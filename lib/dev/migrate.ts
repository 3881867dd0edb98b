/**
 * Moves a database's schema up or down with node-pg-migrate, from plain SQL files. Two sets with bookkeeping
 * of their own: `retention` is all that an existing database needs to be governed; `example` is the business
 * schema of the local cloud, previews and tests. Runs as the owner, over TCP; the app never does.
 *
 * Numbered files change tables. The functions of schema `retention` live in `functions/`: applied after the
 * migrations, all in one transaction, whenever their text has changed; a function that is in no file is dropped.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { runner } from 'node-pg-migrate';
import { Client } from 'pg';
import { ensureRoles } from './roles';

export const SETS = ['retention', 'example'] as const;
export type MigrationSet = (typeof SETS)[number];

/** Outside schema `retention`, which going all the way down drops, and outside what other tools govern. */
const BOOKS = 'lapse_meta';
/** Where the bookkeeping of older installations lies, and stays. */
const OLD_BOOKS = 'public';
const BOOKKEEPING: Record<MigrationSet, string> = {
  retention: 'lapse_migrations',
  example: 'lapse_example_migrations',
};

/** Up to this migration functions were written in the migrations: from there the only way down is all the way. */
const FLOOR = '0011_functions';

export interface MigrateOptions {
  readonly sets: readonly MigrationSet[];
  readonly direction: 'up' | 'down';
  /** How many steps; all when going up, one when going down, unless given. */
  readonly count?: number;
  readonly log?: (line: string) => void;
  /** What was done besides the migrations: roles that were made. */
  readonly say?: (line: string) => void;
}

/** Returns the names of the migrations that ran, `set/name`, in order. Each set is one transaction: all or nothing. */
export async function migrate(ownerUrl: string, options: MigrateOptions): Promise<string[]> {
  const done: string[] = [];
  // Tables of the example use functions of schema retention: up in this order, down in reverse.
  const sets = options.direction === 'up' ? options.sets : [...options.sets].reverse();
  // A session of our own: the runner does not wait until the one it opens has ended.
  const dbClient = new Client({ connectionString: ownerUrl });
  await dbClient.connect();
  try {
    if (options.direction === 'up' && sets.includes('retention')) {
      for (const line of await ensureRoles(dbClient)) options.say?.(line);
    }
    for (const set of sets) done.push(...(await migrateSet(dbClient, set, options)));
  } finally {
    await dbClient.end();
  }
  return done;
}

async function migrateSet(dbClient: Client, set: MigrationSet, options: MigrateOptions): Promise<string[]> {
  if (set === 'retention' && options.direction === 'down') {
    const applied = await appliedNames(dbClient);
    if ((options.count ?? 1) >= applied.length) return removeWhole(dbClient, applied);
    const above = applied.filter((name) => name > FLOOR).length;
    if ((options.count ?? 1) > above) {
      throw new Error(
        `going down ends at ${FLOOR}: below it only all of Lapse can be removed, with --count ${applied.length}`,
      );
    }
  }
  const books = await booksOf(dbClient, set);
  const ran = await runner({
    dbClient,
    dir: path.join(folder(), set),
    migrationsSchema: books,
    createMigrationsSchema: books === BOOKS && options.direction === 'up',
    migrationsTable: BOOKKEEPING[set],
    direction: options.direction,
    checkOrder: true,
    advisoryLockMode: 'wait',
    ...(options.count === undefined ? {} : { count: options.count }),
    log: options.log ?? (() => undefined),
  });
  if (set === 'retention' && options.direction === 'up') await applyFunctions(dbClient);
  return ran.map((m) => `${set}/${m.name}`);
}

const isThere = async (client: Client, table: string): Promise<boolean> =>
  (await client.query('select to_regclass($1) is not null as yes', [table])).rows[0]?.yes === true;

async function booksOf(client: Client, set: MigrationSet): Promise<string> {
  return (await isThere(client, `${OLD_BOOKS}.${BOOKKEEPING[set]}`)) ? OLD_BOOKS : BOOKS;
}

async function appliedNames(client: Client): Promise<string[]> {
  const table = `${await booksOf(client, 'retention')}.${BOOKKEEPING.retention}`;
  if (!(await isThere(client, table))) return [];
  const { rows } = await client.query(`select name from ${table} order by name`);
  return rows.map((row) => String(row.name));
}

/** All of Lapse at once, with everything in other schemas that depends on it, such as the gate of a business table. */
async function removeWhole(client: Client, applied: readonly string[]): Promise<string[]> {
  await inTransaction(client, async () => {
    const has = await client.query("select to_regclass('retention.taken_right') is not null as yes");
    if (has.rows[0]?.yes) await client.query('select retention.give_back_rights()');
    await client.query('drop schema if exists retention cascade');
    if (applied.length > 0) {
      await client.query(`drop table ${await booksOf(client, 'retention')}.${BOOKKEEPING.retention}`);
      await closeBooks(client);
    }
  });
  return applied.toReversed().map((name) => `retention/${name}`);
}

/** Nothing of Lapse is left behind, unless the example's tables still exist. */
async function closeBooks(client: Client): Promise<void> {
  const table = `${BOOKS}.${BOOKKEEPING.example}`;
  if (await isThere(client, table)) {
    const { rowCount } = await client.query(`select from ${table} limit 1`);
    if (rowCount === 0) await client.query(`drop table ${table}`);
  }
  const { rowCount } = await client.query(
    'select from pg_class where relnamespace = to_regnamespace($1) limit 1',
    [BOOKS],
  );
  if (rowCount === 0) await client.query(`drop schema if exists ${BOOKS}`);
}

/** Grants name functions, so they come last; otherwise the order of the names, and bodies may name what follows. */
const functionFiles = (): { name: string; text: string }[] =>
  readdirSync(path.join(folder(), 'functions'))
    .filter((file) => file.endsWith('.sql'))
    .sort((a, b) => Number(a === 'grants.sql') - Number(b === 'grants.sql') || (a < b ? -1 : 1))
    .map((name) => ({ name, text: readFileSync(path.join(folder(), 'functions', name), 'utf8') }));

async function applyFunctions(client: Client): Promise<void> {
  const files = functionFiles();
  const sha256 = createHash('sha256')
    .update(JSON.stringify(files.map((f) => [f.name, f.text])))
    .digest('hex');
  await inTransaction(client, async () => {
    const has = await client.query('select sha256 from retention.applied_functions for update');
    if (has.rows[0]?.sha256 === sha256) return;
    await client.query('set local check_function_bodies = off');
    const [before, grants] = [files.slice(0, -1), files.slice(-1)];
    for (const file of before) await client.query(file.text);
    await client.query(DROP_STALE);
    for (const file of grants) await client.query(file.text);
    await client.query(
      `insert into retention.applied_functions (sha256) values ($1)
       on conflict (only_row) do update set sha256 = excluded.sha256`,
      [sha256],
    );
  });
}

/** A function that this transaction did not write is in no file any more. A trigger that uses it stops the migration. */
const DROP_STALE = `do $$
declare f regprocedure;
begin
  for f in select p.oid from pg_proc p where p.pronamespace = 'retention'::regnamespace
    and p.xmin::text::bigint <> (pg_current_xact_id()::text::numeric % 4294967296)::bigint loop
    execute format('drop function %s', f);
  end loop;
end $$`;

async function inTransaction(client: Client, work: () => Promise<void>): Promise<void> {
  await client.query('begin');
  try {
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

function folder(): string {
  const here = path.join(process.cwd(), 'lib/migrations');
  if (!existsSync(here)) throw new Error('run this from the project folder: lib/migrations is not here');
  return here;
}
