/**
 * A database of its own for a test file or a test: a copy of the migrated template, reached by the real
 * clients through the local cloud with the rights of the app, and by `sql` as its owner to look behind the
 * app's back. Redis and the store are shared: tests keep apart by names of their own.
 */
import { randomUUID } from 'node:crypto';
import { Pool, type PoolClient } from 'pg';
import { inject } from 'vitest';
import { createDatabase, dropDatabase } from '@/lib/dev/local-cloud/roles';
import { DATABASE_NAME } from './provided';

export type TestRow = Record<string, unknown>;

export interface TestDatabase {
  readonly name: string;
  /** The settings of an app that uses this database. */
  readonly env: Readonly<Record<string, string>>;
  readonly ownerUrl: string;
  /** Asks as the owner, over TCP. */
  sql<R extends TestRow = TestRow>(text: string, params?: readonly unknown[]): Promise<R[]>;
  /** A session of its own of the owner, for locks and open transactions; ended by `stop`. */
  session(): Promise<TestSession>;
  /** As it was when it was made, or as this template is, under the same name; sessions of its own end. */
  again(template?: string): Promise<void>;
  stop(): Promise<void>;
}

export interface TestSession {
  sql<R extends TestRow = TestRow>(text: string, params?: readonly unknown[]): Promise<R[]>;
  end(): void;
}

/** `empty` leaves the migrations out; `template` is copied as it is, and must have no sessions. */
export async function testDatabase(
  options: { empty?: boolean; template?: string } = {},
): Promise<TestDatabase> {
  const cloud = inject('cloud');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const template = options.template ?? (options.empty ? '' : cloud.template);
  await createDatabase(cloud.ownerUrl, name, template || undefined);
  const env: Record<string, string> = Object.fromEntries(
    Object.entries(cloud.env).map(([key, value]) => [key, value.replaceAll(DATABASE_NAME, name)]),
  );
  // The tests of other files write to the same server.
  env.CLEANUP_PERCENT_WHILE_OTHERS_WRITE = '100';
  // The Blob client reads its address from nowhere else.
  for (const key of ['VERCEL_BLOB_API_URL', 'VERCEL_BLOB_RETRIES']) {
    if (env[key] !== undefined) process.env[key] = env[key];
  }
  const ownerUrl = env.MIGRATION_DATABASE_URL!;
  const pool = new Pool({ connectionString: ownerUrl, max: 8, idleTimeoutMillis: 2_000 });
  // Dropping the database ends the sessions that a test forgot.
  pool.on('error', () => {});
  const open: PoolClient[] = [];
  let stopped = false;
  return {
    name,
    env,
    ownerUrl,
    sql: async <R extends TestRow>(text: string, params: readonly unknown[] = []) =>
      (await pool.query<R>(text, [...params])).rows,
    session: async () => {
      const client = await pool.connect();
      client.on('error', () => {});
      open.push(client);
      return {
        sql: async <R extends TestRow>(text: string, params: readonly unknown[] = []) =>
          (await client.query<R>(text, [...params])).rows,
        end: () => {
          if (open.includes(client)) open.splice(open.indexOf(client), 1)[0]?.release(true);
        },
      };
    },
    again: async (other) => {
      await fetch(`${cloud.url}/local-cloud/sessions?database=${name}`, { method: 'DELETE' });
      await dropDatabase(cloud.ownerUrl, name);
      await createDatabase(cloud.ownerUrl, name, (other ?? template) || undefined);
    },
    stop: async () => {
      if (stopped) return;
      stopped = true;
      for (const client of open.splice(0)) client.release(true);
      await Promise.all([
        pool.end(),
        fetch(`${cloud.url}/local-cloud/sessions?database=${name}`, { method: 'DELETE' }),
      ]);
      await dropDatabase(cloud.ownerUrl, name);
    },
  };
}
