/**
 * The data map against a migrated database: every table has its decision and every personal-looking column its handling, or
 * this test prints the line to add. With the example its tables; without it the database that TEST_POSTGRES_URL names.
 */
import { existsSync } from 'node:fs';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import { readOnly } from '@/lib/dev/read-only';
import { policies } from '@/lib/policies';
import { dataMap } from '@/lib/policies/data-map';
import { lookForDrift } from '@/lib/watch/drift/look';
import { testDatabase } from '../support/database';
import { ownDatabase } from '../support/own-database';

const hasExample = existsSync('lib/example');

it.skipIf(!hasExample && !ownDatabase)('the data map and the database say the same', async () => {
  const made = hasExample ? await testDatabase() : null;
  const client = new Client({ connectionString: made?.ownerUrl ?? ownDatabase });
  await client.connect();
  try {
    const found = await lookForDrift(readOnly(client), { dataMap, policies });
    // What is undecided is known to be: the running system warns of it.
    const drift = found.filter((f) => f.kind !== 'undecided');
    expect(drift.map((f) => `${f.problem}\n${f.remedy}`).join('\n\n')).toBe('');
  } finally {
    await client.end();
    await made?.stop();
  }
});
