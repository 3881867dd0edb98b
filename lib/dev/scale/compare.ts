/**
 * Every page and every read on a store with a long history and on one without: milliseconds in turn, requests, statements, rows and
 * buffers, and what its plans read of the history.
 */
import Table from 'cli-table3';
import type { Visit } from './pages';
import { type Plans, plansOf } from './plans';
import type { Store } from './store';

/** The first answers compile, connect and fill caches. */
const WARM = 2;
const ROUNDS = 11;
const MOST_TIMES = 1.5;
/**
 * Under it a difference says nothing: the median of the same page of the same store wanders by 2 to 4 ms between two measurements
 * on a machine that does something else beside, and a page that nobody waits for takes 10.
 */
const FLOOR_MS = 5;

export interface Stores {
  /** Without any history. */
  readonly empty: Store;
  /** With one of each kind: what a page about one of them is compared with. */
  readonly first: Store;
  readonly full: Store;
}

interface Compared {
  readonly visit: Visit;
  readonly status: readonly [before: number, after: number];
  readonly before: number;
  readonly after: number;
  readonly requests: readonly [before: number, after: number];
  readonly statements: number;
  readonly plans: Plans;
  readonly rowsBefore: number;
}

const timesOf = ({ before, after }: Compared): number => after / before;
const isSlow = (c: Compared): boolean => timesOf(c) > MOST_TIMES && c.after - c.before > FLOOR_MS;
const isAnswered = ({ status: [before, after] }: Compared): boolean => before === 200 && after === 200;
export const isGood = (c: Compared): boolean => isAnswered(c) && !isSlow(c) && c.plans.scans.length === 0;

/** `only`: pages whose path contains it. */
export async function compare(stores: Stores, only = ''): Promise<Compared[]> {
  const { empty, first, full } = stores;
  const [ofEmpty, ofFirst, ofFull] = await Promise.all([empty.visits(), first.visits(), full.visits()]);
  const compared: Compared[] = [];
  for (const [i, visit] of ofFull.entries()) {
    if (!visit.path.includes(only)) continue;
    const [base, path] = visit.ofHistory ? [first, ofFirst[i]!.path] : [empty, ofEmpty[i]!.path];
    compared.push(await inTurn(base, path, full, visit));
  }
  return compared;
}

async function inTurn(base: Store, path: string, full: Store, visit: Visit): Promise<Compared> {
  const [before, after]: [number[], number[]] = [[], []];
  for (let i = 0; i < WARM + ROUNDS; i += 1) {
    const [a, b] = [await base.open(path), await full.open(visit.path)];
    if (i < WARM) continue;
    before.push(a.ms);
    after.push(b.ms);
  }
  const [a, b] = [await base.open(path), await full.open(visit.path)];
  return {
    visit,
    status: [a.status, b.status],
    before: median(before),
    after: median(after),
    requests: [a.asked.length, b.asked.length],
    statements: b.asked.reduce((n, r) => n + r.length, 0),
    plans: await plansOf(full.ownerUrl, b.asked),
    rowsBefore: (await plansOf(base.ownerUrl, a.asked)).rows,
  };
}

const median = (all: number[]): number => all.sort((a, b) => a - b)[Math.floor(all.length / 2)]!;

/** What is wrong with a page, in words; empty: nothing. */
const wrong = (c: Compared): string =>
  [
    isAnswered(c) ? '' : `answered ${c.status.join(' and ')}`,
    isSlow(c) ? 'SLOW' : '',
    ...new Set(c.plans.scans.map(({ table, how }) => `${table}: ${how}`)),
  ]
    .filter(Boolean)
    .join('; ');

export function asTable(compared: readonly Compared[]): string {
  const table = new Table({
    head: ['page', 'ms before', 'ms after', 'times', 'requests', 'rows', 'buffers', 'wrong'],
    colAligns: ['left', ...Array<'right'>(6).fill('right'), 'left'],
    style: { head: [], border: [] },
  });
  for (const c of compared) {
    const { requests, plans } = c;
    table.push([
      `${c.visit.page}${asked(c.visit)}`,
      c.before.toFixed(1),
      c.after.toFixed(1),
      timesOf(c).toFixed(2),
      requests[0] === requests[1] ? requests[1] : requests.join(' → '),
      `${c.rowsBefore} → ${plans.rows}`,
      plans.buffers,
      wrong(c),
    ]);
  }
  return table.toString();
}

const asked = ({ path }: Visit): string =>
  path.includes('?') ? ` ${path.slice(path.indexOf('?')).slice(0, 28)}` : '';

/** The statements that read history as they should not. */
export const scanned = (compared: readonly Compared[]): string[] => [
  ...new Set(
    compared.flatMap((c) => c.plans.scans.map((s) => `${c.visit.page} ${s.table} ${s.how}\n${s.statement}`)),
  ),
];
