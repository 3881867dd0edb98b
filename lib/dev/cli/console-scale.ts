/**
 * `npm run console:scale -- [--runs N] [--receipts N] [--organizations N]`: every page of the console on a store without history and
 * on one of years: milliseconds, requests, and sequential scans of history in the plans. Ends with code 1 when a page is not
 * answered, takes more than 1.5 times as long, or reads history from end to end.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Client } from 'pg';
import { seed } from '../../example/seed';
import { policies } from '../../policies';
import { build } from '../demo/app';
import { startLocalCloud } from '../local-cloud';
import { migrate } from '../migrate';
import { seedHistory } from '../scale/history';
import { scansOf } from '../scale/plans';
import { openStore, type Store } from '../scale/store';

/** Rows of the business itself, the same in both stores. */
const ROWS = 10_000;
const [WARM, TIMED] = [3, 15];
const MOST_TIMES = 1.5;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    receipts: { type: 'string', default: '1000000' },
    organizations: { type: 'string', default: '10000' },
  },
});
for (const [name, given] of Object.entries(values)) {
  if (!/^[1-9]\d{0,7}$/.test(given)) {
    console.error(`--${name} takes a whole number from 1`);
    process.exit(2);
  }
}
const [runs, receipts, organizations] = [values.runs, values.receipts, values.organizations].map(Number) as [
  number,
  number,
  number,
];
const say = (line: string) => console.log(line);

await build(say);
const cloud = await startLocalCloud({ folder: '.lapse/scale', durable: false });
const stores: Store[] = [];
try {
  const empty = await storeOf('lapse_scale_empty', false);
  const full = await storeOf('lapse_scale_full', true);
  process.exitCode = (await compare(empty, full)) ? 0 : 1;
} finally {
  for (const store of stores) await store.stop();
  await cloud.stop();
}
process.exit();

async function storeOf(name: string, isFull: boolean): Promise<Store> {
  await cloud.dropDatabase(name);
  await cloud.createDatabase(name);
  const ownerUrl = cloud.ownerUrl(name);
  await migrate(ownerUrl, { sets: ['retention', 'example'], direction: 'up' });
  await seed(ownerUrl, { rows: ROWS, asOf: new Date() });
  if (isFull) await fill(ownerUrl);
  const store = await openStore(cloud.env(name), ownerUrl);
  stores.push(store);
  return store;
}

async function fill(ownerUrl: string): Promise<void> {
  const owner = new Client(ownerUrl);
  await owner.connect();
  await owner.query(
    `insert into organizations (id, name, owner_id) select gen_random_uuid(), 'Organization ' || i, (select id from users order by id limit 1)
      from generate_series(1, $1::int) i on conflict do nothing`,
    [organizations],
  );
  await owner.end();
  const names = policies.map((p) => p.name);
  await seedHistory(ownerUrl, { runs, receipts, organizations, policies: names, asOf: new Date(), log: say });
}

/** True when every page is as it should be. */
async function compare(empty: Store, full: Store): Promise<boolean> {
  const table = new Table({
    head: ['page', 'ms empty', 'ms full', 'times', 'requests', 'statements', 'scans of history'],
    colAligns: ['left', ...Array<'right'>(5).fill('right'), 'left'],
    style: { head: [], border: [] },
  });
  const ofEmpty = await empty.visits();
  let isGood = true;
  for (const [i, { page, path }] of (await full.visits()).entries()) {
    const before = await median(empty, ofEmpty[i]!.path);
    const after = await median(full, path);
    const { status, asked } = await full.open(path);
    const scans = [...new Set((await scansOf(full.owner, asked)).map((s) => s.table))];
    const times = after / before;
    isGood &&= status === 200 && times <= MOST_TIMES && scans.length === 0;
    table.push([
      `${page}${path.includes('?') ? ` ${path.slice(path.indexOf('?'), path.indexOf('?') + 24)}` : ''}${status === 200 ? '' : ` (${status})`}`,
      before.toFixed(0),
      after.toFixed(0),
      times.toFixed(2),
      asked.length,
      asked.reduce((n, r) => n + r.length, 0),
      scans.join(', ') || 'none',
    ]);
  }
  say(table.toString());
  return isGood;
}

async function median(store: Store, path: string): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < WARM + TIMED; i += 1) {
    const { ms } = await store.open(path);
    if (i >= WARM) took.push(ms);
  }
  return took.sort((a, b) => a - b)[Math.floor(TIMED / 2)]!;
}
