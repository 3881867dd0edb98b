/** The invented school of lib/dev/proof/school.sql in a database of its own, with Lapse's own schema. */
import { readFileSync } from 'node:fs';
import { migrate } from '@/lib/dev/migrate';
import { type TestDatabase, testDatabase } from './database';

export async function school(): Promise<TestDatabase> {
  const db = await testDatabase({ empty: true });
  await db.sql(readFileSync('lib/dev/proof/school.sql', 'utf8'));
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  return db;
}
