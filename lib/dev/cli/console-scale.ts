/**
 * `npm run console:scale -- [--runs N] [--receipts N] [--organizations N] [--only TEXT] [--again]`: every page of the console and
 * every read of the API on a store without history and on one of years: milliseconds, requests, rows, buffers, and whether a plan
 * reads history from end to end. Ends with code 1 when a page is not answered, takes more than 1.5 times as long, or has such a plan.
 * `--again` measures the stores of the last call.
 */
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { seed } from '../../example/seed';
import { tableLabel } from '../../platform/sql';
import { policies } from '../../policies';
import { build } from '../demo/app';
import { startLocalCloud } from '../local-cloud';
import { migrate } from '../migrate';
import { asTable, compare, isGood, scanned } from '../scale/compare';
import { seedHistory } from '../scale/history';
import type { History } from '../scale/part';
import { openStore, type Store } from '../scale/store';

/** Rows of the business itself, the same in all stores. */
const ROWS = 10_000;
/** Enough for one of each kind. */
const FIRST = { runs: 100, receipts: 1_000, organizations: 40, leastDecided: 20 };

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    receipts: { type: 'string', default: '1000000' },
    organizations: { type: 'string', default: '10000' },
    only: { type: 'string', default: '' },
    again: { type: 'boolean', default: false },
  },
});
const size = (name: 'runs' | 'receipts' | 'organizations'): number => {
  const given = values[name];
  if (/^[1-9]\d{0,7}$/.test(given)) return Number(given);
  console.error(`--${name} takes a whole number from 1`);
  process.exit(2);
};
const FULL = { runs: size('runs'), receipts: size('receipts'), organizations: size('organizations') };
const say = (line: string) => console.log(line);

await build(say);
const cloud = await startLocalCloud({ folder: '.lapse/scale', durable: false });
const stores: Store[] = [];
try {
  const empty = await storeOf('lapse_scale_empty', null);
  const first = await storeOf('lapse_scale_first', FIRST);
  const full = await storeOf('lapse_scale_full', FULL);
  const compared = await compare({ empty, first, full }, values.only);
  say(asTable(compared));
  for (const statement of scanned(compared)) say(`\n${statement}`);
  process.exitCode = compared.every(isGood) ? 0 : 1;
} finally {
  for (const store of stores) await store.stop();
  await cloud.stop();
}
process.exit();

type Size = Pick<History, 'runs' | 'receipts' | 'organizations' | 'leastDecided'>;

async function storeOf(name: string, history: Size | null): Promise<Store> {
  const ownerUrl = cloud.ownerUrl(name);
  const isThere = values.again && (await cloud.databaseExists(name));
  if (!isThere) {
    await cloud.dropDatabase(name);
    await cloud.createDatabase(name);
  }
  await migrate(ownerUrl, { sets: ['retention', 'example'], direction: 'up' });
  if (!isThere) {
    await seed(ownerUrl, { rows: ROWS, asOf: new Date() });
    if (history) await fill(ownerUrl, history);
    else await analyzed(ownerUrl);
  }
  const store = await openStore(cloud.env(name), ownerUrl);
  stores.push(store);
  return store;
}

async function fill(ownerUrl: string, history: Size): Promise<void> {
  const owner = new Client(ownerUrl);
  await owner.connect();
  // As the history calls them: what was decided about an organization is found by its id.
  await owner.query(
    `insert into organizations (id, name, owner_id) select overlay(overlay(md5('organization' || i) placing '4' from 13) placing '8' from 17)::uuid,
        'Organization ' || i, (select id from users order by id limit 1)
      from generate_series(1, $1::int) i on conflict do nothing`,
    [history.organizations],
  );
  // Each has a row of its own, of the last month: what is looked up by organization finds one for each.
  await owner.query(
    `insert into artifacts (id, organization_id, user_id, kind, storage_key, size_bytes, created_at)
      select md5('artifact of ' || o.id)::uuid, o.id, o.owner_id, 'blog_content', null, 100, now() - make_interval(hours => 1 + o.i::int % 700)
      from (select id, owner_id, row_number() over (order by id) as i from organizations) o`,
  );
  await owner.end();
  const governed = policies.map((p) => ({
    name: p.name,
    table: tableLabel(p.table),
    ...(p.tenants ? { label: p.rules[0]!.label } : {}),
  }));
  await seedHistory(ownerUrl, { ...history, policies: governed, asOf: new Date(), log: say });
}

async function analyzed(ownerUrl: string): Promise<void> {
  const owner = new Client(ownerUrl);
  await owner.connect();
  await owner.query('vacuum analyze');
  await owner.end();
}
