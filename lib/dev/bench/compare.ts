/** The ways people delete a backlog beside Lapse's own: each on fresh copies, in alternation, medians side by side. */
import Table from 'cli-table3';
import type { Client } from 'pg';
import { alternate, median } from './rounds';
import type { Stage } from './scenes/scene';
import { type Way, ways } from './ways';

interface Measured {
  readonly gone: number;
  readonly perSecond: number;
  readonly longestLockMs: number;
  readonly walBytesPerRow: number;
  readonly deadTuples: number;
  readonly requests: number;
}

export interface Compared {
  readonly ratios: Record<string, number>;
  /** Medians by way. */
  readonly ways: Record<string, Measured>;
}

export async function compareWays(stage: Stage): Promise<Compared> {
  const seen = await alternate(
    'ways',
    stage.rounds,
    Object.fromEntries(ways.map((way) => [way.name, () => measure(way, stage)])),
  );
  const of = Object.fromEntries(Object.entries(seen).map(([name, all]) => [name, medians(all)]));
  print(of);
  return { ratios: ratiosOf(of), ways: of };
}

async function measure(way: Way, { cutoff, fresh }: Stage): Promise<Measured> {
  const { owner, env } = await fresh();
  const before = await wal(owner);
  const began = performance.now();
  const { gone, longestLockMs, requests } = await way.run(owner, cutoff, env);
  const seconds = (performance.now() - began) / 1000;
  const left = await owner.query(
    `select count(*)::int as n from quiz_responses where completed_at < $1 and completed_at > '-infinity'`,
    [cutoff],
  );
  if (!way.most && left.rows[0].n !== 0) throw new Error(`${way.name} left ${left.rows[0].n} rows`);
  const walBytesPerRow = ((await wal(owner)) - before) / gone;
  const perSecond = gone / seconds;
  return { gone, perSecond, longestLockMs, walBytesPerRow, deadTuples: await dead(owner), requests };
}

const medians = (all: readonly Measured[]): Measured => {
  const of = (figure: keyof Measured) => median(all.map((m) => m[figure]));
  return {
    gone: of('gone'),
    perSecond: of('perSecond'),
    longestLockMs: of('longestLockMs'),
    walBytesPerRow: of('walBytesPerRow'),
    deadTuples: of('deadTuples'),
    requests: of('requests'),
  };
};

async function wal(owner: Client): Promise<number> {
  return Number((await owner.query(`select pg_current_wal_insert_lsn() - '0/0' as n`)).rows[0].n);
}

/** Dead rows of the table itself; without those that autovacuum has already removed. */
async function dead(owner: Client): Promise<number> {
  const { rows: version } = await owner.query(`select current_setting('server_version_num')::int as n`);
  // Before 15 the server gives its counts out every half second by itself.
  if (version[0].n >= 150_000) await owner.query('select pg_stat_force_next_flush()');
  const { rows: found } = await owner.query(
    "select n_dead_tup::int as n from pg_stat_user_tables where relname = 'quiz_responses'",
  );
  return found[0].n;
}

const ONE_DELETE = 'one unbounded DELETE';

function ratiosOf(ways: Record<string, Measured>): Record<string, number> {
  const best = (part: string) =>
    Math.max(...Object.keys(ways).flatMap((n) => (n.startsWith(part) ? [ways[n]!.perSecond] : [])));
  const [one, procedure, byRow] = [best(ONE_DELETE), best('PL/pgSQL procedure'), best('row by row')];
  const [byIndex, byBlocks] = [best('Lapse, index'), best('Lapse, heap')];
  return {
    // A procedure at its own best batch size, and either walk of Lapse in its best number of lanes.
    indexVsProcedure: byIndex / procedure,
    indexVsUnboundedDelete: byIndex / one,
    bulkVsUnboundedDelete: byBlocks / one,
    bulkVsProcedure: byBlocks / procedure,
    bulkVsRowByRow: byBlocks / byRow,
  };
}

function print(ways: Record<string, Measured>): void {
  const whole = (n: number) => Math.round(n).toLocaleString('en');
  const base = ways[ONE_DELETE]!.perSecond;
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
  for (const [name, m] of Object.entries(ways)) {
    table.push([
      name,
      whole(m.gone),
      whole(m.perSecond),
      (m.perSecond / base).toFixed(2),
      whole(m.longestLockMs),
      whole(m.walBytesPerRow),
      whole(m.deadTuples),
      whole(m.requests),
    ]);
  }
  console.log(table.toString());
}
