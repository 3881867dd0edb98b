/** A dump of a test's database, and what is restored from it: the same rows in a database of another name. */
import { Client } from 'pg';
import { inject } from 'vitest';
import { type TestDatabase, testDatabase } from './database';

/** As the database is now. `restore` may be called more than once. */
export async function dump(
  db: TestDatabase,
): Promise<{ restore(): Promise<TestDatabase>; stop(): Promise<void> }> {
  const copy = await copyOf(db);
  return { restore: () => copyOf(copy), stop: () => copy.stop() };
}

async function copyOf({ name }: TestDatabase): Promise<TestDatabase> {
  const cloud = inject('cloud');
  await fetch(`${cloud.url}/local-cloud/sessions?database=${name}`, { method: 'DELETE' });
  const client = new Client({ connectionString: cloud.ownerUrl });
  await client.connect();
  await client.query(
    'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
    [name],
  );
  await client.end();
  return testDatabase({ template: name });
}
