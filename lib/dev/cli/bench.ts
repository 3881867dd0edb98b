/**
 * `npm run bench -- [--quick] [--only NAME] [--rows N] [--rounds N] [--database URL] [--folder DIR] [--json FILE]`: deletes the
 * same backlog in every way, on fresh copies of the same table on the same server, one after the other, each
 * round in another order (the median counts); then shows how the speed holds as things around it change.
 * A benchmark, not a test: nothing depends on its figures.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Client } from 'pg';
import { seed } from '../../example/seed';
import { type Copy, scenes } from '../bench/scenes';
import { type Way, ways } from '../bench/ways';
import { startLocalCloud } from '../local-cloud';
import { migrate } from '../migrate';

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    database: { type: 'string' },
    folder: { type: 'string', default: '.lapse/bench' },
    json: { type: 'string' },
  },
});
const rowsGiven = values.rows ?? (values.quick ? '200000' : '1000000');
const roundsGiven = values.rounds ?? (values.quick ? '1' : '3');
if (!/^[1-9]\d*$/.test(rowsGiven) || !/^[1-9]\d?$/.test(roundsGiven)) {
  console.error('--rows and --rounds take whole numbers from 1');
  process.exit(2);
}
const names = ['ways', ...scenes.map((s) => s.name)];
if (values.only !== undefined && !names.includes(values.only)) {
  console.error(`--only takes one of ${names.join(', ')}`);
  process.exit(2);
}
const wanted = (name: string) => values.only === undefined || values.only === name;
const rows = Number(rowsGiven);
const rounds = Number(roundsGiven);
const TEMPLATE = 'lapse_bench_template';
const COPY = 'lapse_bench';

// `--database`: the owner's address of any PostgreSQL; two databases of the bench's own are made there and dropped.
const cloud = await startLocalCloud({
  folder: values.folder,
  ...(values.database === undefined ? {} : { postgresUrl: values.database }),
});
try {
  console.log(`seeding ${rows.toLocaleString('en')} rows`);
  await cloud.dropDatabase(TEMPLATE);
  await cloud.createDatabase(TEMPLATE);
  await migrate(cloud.ownerUrl(TEMPLATE), { sets: ['retention', 'example'], direction: 'up' });
  const asOf = new Date();
  await seed(cloud.ownerUrl(TEMPLATE), { rows, asOf });
  const cutoff = new Date(asOf.getTime() - 30 * 86_400_000).toISOString();

  const seen: Seen = new Map();
  for (let round = 0; wanted('ways') && round < rounds; round += 1) {
    for (const way of round % 2 === 0 ? ways : [...ways].reverse()) {
      const m = await measure(way, cutoff);
      const all = seen.get(way.name) ?? {
        perSecond: [],
        walBytes: [],
        longestLockMs: [],
        deadTuples: [],
        gone: m.gone,
        requests: m.requests,
      };
      all.perSecond.push(m.gone / m.seconds);
      all.walBytes.push(m.walBytes / m.gone);
      all.longestLockMs.push(m.longestLockMs);
      all.deadTuples.push(m.deadTuples);
      seen.set(way.name, all);
      console.log(
        `round ${round + 1}: ${way.name}: ${Math.round(m.gone / m.seconds).toLocaleString('en')} rows/s`,
      );
    }
  }
  const ratios: Record<string, number> = seen.size > 0 ? compare(seen) : {};
  const found: Record<string, Record<string, unknown>> = {};
  const lines = new Table({ head: ['ratio', 'measured', 'wanted'], style: { head: [], border: [] } });
  for (const scene of scenes.filter((s) => wanted(s.name))) {
    let last: Copy | null = null;
    const fresh = async () => {
      await last?.owner.end();
      last = await copy();
      return last;
    };
    const { ratio, figures } = await scene.run({ rows, cutoff, fresh });
    await (last as Copy | null)?.owner.end();
    ratios[scene.name] = ratio;
    found[scene.name] = figures;
    console.log(`${scene.name}: ${ratio.toFixed(2)} (wanted ${scene.target})`);
    lines.push([scene.name, ratio.toFixed(2), scene.target]);
  }
  if (lines.length > 0) console.log(lines.toString());
  if (values.json) {
    writeFileSync(
      values.json,
      `${JSON.stringify({ rows, rounds, ratios, ways: waysOf(seen), scenes: found }, null, 2)}\n`,
    );
  }
} finally {
  await cloud.stop();
}
process.exit(0);

async function copy(): Promise<Copy> {
  await cloud.dropDatabase(COPY);
  await cloud.createDatabase(COPY, TEMPLATE);
  const owner = new Client(cloud.ownerUrl(COPY));
  await owner.connect();
  // Dropping the copy ends what is still connected.
  owner.on('error', () => {});
  await owner.query('vacuum analyze quiz_responses');
  await owner.query('checkpoint');
  // Every way begins with a warm cache.
  await owner.query('select count(*) from quiz_responses');
  return { owner, url: cloud.ownerUrl(COPY), env: cloud.env(COPY) };
}

async function measure(way: Way, cutoff: string) {
  const { owner, env } = await copy();
  try {
    const before = await wal(owner);
    const began = performance.now();
    const figures = await way.run(owner, cutoff, env);
    const seconds = (performance.now() - began) / 1000;
    const left = await owner.query(
      `select count(*)::int as n from quiz_responses where completed_at < $1 and completed_at > '-infinity'`,
      [cutoff],
    );
    if (!way.most && left.rows[0].n !== 0) throw new Error(`${way.name} left ${left.rows[0].n} rows`);
    return { ...figures, seconds, walBytes: (await wal(owner)) - before, deadTuples: await dead(owner) };
  } finally {
    await owner.end();
  }
}

async function wal(owner: Client): Promise<number> {
  return Number((await owner.query(`select pg_current_wal_insert_lsn() - '0/0' as n`)).rows[0].n);
}

/** Dead rows of the table itself; without those that autovacuum has already removed. */
async function dead(owner: Client): Promise<number> {
  await owner.query('select pg_stat_force_next_flush()');
  const { rows: found } = await owner.query(
    "select n_dead_tup::int as n from pg_stat_user_tables where relname = 'quiz_responses'",
  );
  return found[0].n;
}

interface Measured {
  readonly perSecond: number[];
  readonly walBytes: number[];
  readonly longestLockMs: number[];
  readonly deadTuples: number[];
  readonly gone: number;
  readonly requests: number;
}
type Seen = Map<string, Measured>;

function median(n: readonly number[]): number {
  const sorted = [...n].sort((a, b) => a - b);
  const [below, above] = [sorted[Math.floor((n.length - 1) / 2)], sorted[Math.floor(n.length / 2)]];
  return ((below ?? 0) + (above ?? 0)) / 2;
}

/** Prints the ways side by side; returns the ratios. */
function compare(seen: Seen): Record<string, number> {
  const speed = (name: string) => median(seen.get(name)?.perSecond ?? []);
  const base = speed('one unbounded DELETE');
  const table = new Table({
    head: [
      'way',
      'rows',
      'rows/s (median)',
      'of one DELETE',
      'longest lock, ms',
      'WAL bytes a row',
      'dead rows',
      'requests',
    ],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const [name, m] of seen) {
    table.push([
      name,
      m.gone.toLocaleString('en'),
      Math.round(speed(name)).toLocaleString('en'),
      (speed(name) / base).toFixed(2),
      Math.round(median(m.longestLockMs)).toLocaleString('en'),
      Math.round(median(m.walBytes)),
      median(m.deadTuples).toLocaleString('en'),
      m.requests.toLocaleString('en'),
    ]);
  }
  console.log(table.toString());
  const best = (part: string) => Math.max(...[...seen.keys()].filter((n) => n.startsWith(part)).map(speed));
  const ours = best('Lapse, heap');
  return {
    bulkVsUnboundedDelete: ours / base,
    bulkVsProcedure: ours / best('PL/pgSQL procedure'),
    bulkVsRowByRow: ours / best('row by row'),
  };
}

function waysOf(seen: Seen) {
  return Object.fromEntries(
    [...seen].map(([name, m]) => [
      name,
      {
        rows: m.gone,
        rowsPerSecond: median(m.perSecond),
        longestLockMs: median(m.longestLockMs),
        walBytesPerRow: median(m.walBytes),
        deadTuples: median(m.deadTuples),
        requests: m.requests,
      },
    ]),
  );
}
