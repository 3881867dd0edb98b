import { afterAll, beforeAll, expect, it } from 'vitest';
import { build } from '@/lib/dev/demo/app';
import { seedHistory } from '@/lib/dev/scale/history';
import { pagesOfConsole } from '@/lib/dev/scale/pages';
import { scansOf } from '@/lib/dev/scale/plans';
import { openStore, type Store } from '@/lib/dev/scale/store';
import '@/lib/example/policies'; // its tables are the business of this store: this test goes with it
import { policies } from '@/lib/policies';
import { type TestDatabase, testDatabase } from '../support/database';

/** Enough that an index is cheaper than the table, and a page of a list is not all of it. */
const HISTORY = { runs: 4_000, receipts: 8_000, organizations: 3_000 };
let db: TestDatabase;
let store: Store;

beforeAll(async () => {
  [db] = await Promise.all([testDatabase(), build(() => undefined)]);
  await seedHistory(db.ownerUrl, { ...HISTORY, policies: policies.map((p) => p.name), asOf: new Date() });
  store = await openStore(db.env, db.ownerUrl);
}, 300_000);
afterAll(async () => {
  await store?.stop();
  await db?.stop();
});

it('every page of the console is answered, and none reads history from end to end', async () => {
  const visits = await store.visits();
  expect([...new Set(visits.map((v) => v.page))].sort()).toEqual(pagesOfConsole());
  const wrong: string[] = [];
  for (const { path } of visits) {
    const { status, asked, text } = await store.open(path);
    if (status !== 200) wrong.push(`${path} is answered ${status}`);
    if (text.includes('could not be read')) wrong.push(`${path}: a part could not be read`);
    for (const { table, statement } of await scansOf(store.owner, asked))
      wrong.push(`${path} reads all of retention.${table}: ${statement}`);
  }
  expect(wrong).toEqual([]);
});

it('a scan of history is seen where there is one', async () => {
  const asked = [[{ query: 'select count(*) from retention.receipt where actor = $1', params: ['x'] }]];
  expect(await scansOf(store.owner, asked)).toMatchObject([{ table: 'receipt' }]);
});

it('of a long history any key is answered with a receipt that is in the chain', async () => {
  const path = (await store.visits()).find((v) => v.page === '/why')!.path;
  const { text, asked } = await store.open(path);
  expect(text).toContain('✓ in the chain, entry');
  expect(asked.length).toBeLessThan(80);
});
