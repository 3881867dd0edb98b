/** Over the tables of the example: this test goes with it. */
import { afterEach, expect, it } from 'vitest';
import '@/lib/example/policies';
import { type TestDatabase, testDatabase } from '../support/database';

let db: TestDatabase;
afterEach(() => db.stop());

it('of the example, the app may change neither clocks nor contents', async () => {
  db = await testDatabase();
  const may = await db.sql(`select c.oid::regclass || '.' || a.attname as column from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not c.relispartition
      and has_column_privilege('lapse_app', c.oid, a.attnum, 'UPDATE') and a.attname <> 'id' order by 1`);
  expect(may.map((r) => r.column)).toEqual([
    'documents.deleted_at',
    'orders.refund_id',
    'orders.refunded_at',
    'orders.resolved_at',
    'orders.review_extended_until',
    'orders.status',
    // Which person a row names, so that an erasure takes it away.
    'orders.user_id',
    'organizations.owner_id',
    'purchases.user_id',
  ]);
});
