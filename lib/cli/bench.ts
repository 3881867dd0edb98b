/**
 * `npm run bench -- [--rows N] [--rounds N] [--json FILE]`: deletes the same backlog in every way, on fresh
 * copies of the same table on the same server, one after the other; each round in another order. Reports the
 * median of the rounds. A benchmark, not a test: nothing depends on its figures.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Client } from 'pg';
import { type Way, ways } from '../bench/ways';
import { seed } from '../example/seed';
import { startLocalCloud } from '../local-cloud';
import { migrate } from '../migrations/migrate';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});
if (!/^[1-9]\d*$/.test(values.rows) || !/^[1-9]\d?$/.test(values.rounds)) {
  console.error('--rows and --rounds take whole numbers from 1');
  process.exit(2);
}
const rows = Number(values.rows);
const rounds = Number(values.rounds);
const TEMPLATE = 'lapse_bench_template';
const COPY = 'lapse_bench';

const cloud = await startLocalCloud({ folder: '.lapse/bench' });
try {
  console.log(`seeding ${rows.toLocaleString('en')} rows`);
  await cloud.dropDatabase(TEMPLATE);
  await cloud.createDatabase(TEMPLATE);
  await migrate(cloud.ownerUrl(TEMPLATE), { sets: ['retention', 'example'], direction: 'up' });
  const asOf = new Date();
  await seed(cloud.ownerUrl(TEMPLATE), { rows, asOf });
  const cutoff = new Date(asOf.getTime() - 30 * 86_400_000).toISOString();

  const seen = new Map<string, { perSecond: number[]; walBytes: number[]; gone: number }>();
  for (let round = 0; round < rounds; round += 1) {
    for (const way of round % 2 === 0 ? ways : [...ways].reverse()) {
      const m = await measure(way, cutoff);
      const all = seen.get(way.name) ?? { perSecond: [], walBytes: [], gone: m.gone };
      all.perSecond.push(m.gone / m.seconds);
      all.walBytes.push(m.walBytes / m.gone);
      seen.set(way.name, all);
      console.log(
        `round ${round + 1}: ${way.name}: ${Math.round(m.gone / m.seconds).toLocaleString('en')} rows/s`,
      );
    }
  }
  report(seen);
} finally {
  await cloud.stop();
}
process.exit(0);

async function measure(way: Way, cutoff: string) {
  await cloud.dropDatabase(COPY);
  await cloud.createDatabase(COPY, TEMPLATE);
  const owner = new Client(cloud.ownerUrl(COPY));
  await owner.connect();
  try {
    await owner.query('vacuum analyze quiz_responses');
    await owner.query('checkpoint');
    // Every way begins with a warm cache.
    await owner.query('select count(*) from quiz_responses');
    const before = await wal(owner);
    const began = performance.now();
    const gone = await way.run(owner, cutoff, cloud.env(COPY));
    const seconds = (performance.now() - began) / 1000;
    const left = await owner.query(
      `select count(*)::int as n from quiz_responses where completed_at < $1 and completed_at > '-infinity'`,
      [cutoff],
    );
    if (!way.most && left.rows[0].n !== 0) throw new Error(`${way.name} left ${left.rows[0].n} rows`);
    return { gone, seconds, walBytes: (await wal(owner)) - before };
  } finally {
    await owner.end();
  }
}

async function wal(owner: Client): Promise<number> {
  return Number((await owner.query(`select pg_current_wal_insert_lsn() - '0/0' as n`)).rows[0].n);
}

function report(seen: Map<string, { perSecond: number[]; walBytes: number[]; gone: number }>): void {
  const median = (n: number[]) => [...n].sort((a, b) => a - b)[Math.floor(n.length / 2)] ?? 0;
  const base = median(seen.get('one unbounded DELETE')!.perSecond);
  const table = new Table({
    head: ['way', 'rows', 'rows/s (median)', 'of one DELETE', 'WAL bytes a row'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const [name, m] of seen) {
    const speed = median(m.perSecond);
    table.push([
      name,
      m.gone.toLocaleString('en'),
      Math.round(speed).toLocaleString('en'),
      (speed / base).toFixed(2),
      Math.round(median(m.walBytes)),
    ]);
  }
  console.log(table.toString());
  if (!values.json) return;
  const speed = (name: string) => median(seen.get(name)!.perSecond);
  const best = (part: string) => Math.max(...[...seen.keys()].filter((n) => n.startsWith(part)).map(speed));
  const ours = best('Lapse, heap');
  const ratios = {
    bulkVsUnboundedDelete: ours / base,
    bulkVsProcedure: ours / best('PL/pgSQL procedure'),
    bulkVsRowByRow: ours / best('row by row'),
  };
  const all = Object.fromEntries(
    [...seen].map(([name, m]) => [
      name,
      { rowsPerSecond: speed(name), walBytesPerRow: median(m.walBytes), rows: m.gone },
    ]),
  );
  writeFileSync(values.json, `${JSON.stringify({ rows, rounds, ratios, ways: all }, null, 2)}\n`);
}
