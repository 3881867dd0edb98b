/**
 * A look at somebody's live database that cannot change it: every question is asked in a READ ONLY transaction of its
 * own with limits of time, so that nothing waits for it and no old row version is kept for its sake.
 */
import { Client } from 'pg';

/** A look at a catalog of some thousand tables takes two seconds. */
const CATALOG_MS = 60_000;
/** A session that holds a table longer than this is altering it. */
const LOCK_MS = 2_000;

export interface Reader {
  /** Throws what the database says. `ms`: the longest this question may take. */
  ask<T>(text: string, params?: readonly unknown[], ms?: number): Promise<T[]>;
}

/** Connects, works, and closes the connection whatever happens. */
export async function reading<T>(url: string, work: (reader: Reader) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: 'lapse adopt' });
  // A server that goes away is told by the question that is being asked.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work({ ask: (text, params, ms) => ask(client, text, params ?? [], ms ?? CATALOG_MS) });
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function ask<T>(client: Client, text: string, params: readonly unknown[], ms: number): Promise<T[]> {
  // Not by options of the connection: a pooler refuses those.
  await client.query('begin transaction isolation level read committed read only');
  try {
    await client.query(
      // Compiling a question to a catalog takes seconds where reading it takes milliseconds.
      `select set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
        set_config('row_security', 'off', true), set_config('jit', 'off', true), set_config('search_path', 'pg_catalog', true), set_config('timezone', 'UTC', true)`,
      [`${ms}ms`, `${Math.min(ms, LOCK_MS)}ms`],
    );
    const { rows } = await client.query(text, [...params]);
    return rows as T[];
  } finally {
    await client.query('rollback');
  }
}
