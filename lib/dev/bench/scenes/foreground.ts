/**
 * What an app that reads and writes feels of Lapse beside it, and how fast Lapse is then: by the index and by the blocks, in
 * windows of the same length as the undisturbed ones between them, in alternation. A run that ends before its
 * window continues on the next fresh copy. The worse of the two walks counts, for both figures.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { during, type Latency, latencyOf, type Operation, repeats } from '../foreground';
import { runLapse } from '../lapse';
import { begin, say } from '../progress';
import { median } from '../rounds';
import { byKeyset, byOneDelete, byProcedure } from '../ways';
import { auto, type Copy, index, type Scene, type Stage } from './scene';

/** A window of 24,000 operations, of which 240 make the slowest percent: see `undisturbedRepeats` for what shorter ones come to. */
const WINDOW_SECONDS = 60;
/** With fewer rows than this only whether it works is to be seen. */
const FEW_ROWS = 1_000_000;
const FEW_SECONDS = 10;
const LENGTHS = [5, 10, 20, 30, WINDOW_SECONDS];

interface Window extends Latency {
  readonly rowsPerSecond: number;
}

interface Measured {
  readonly p99: number;
  readonly rowsPerSecond: number;
  readonly figures: Record<string, unknown>;
}

const secondsOf = ({ rows }: Stage): number => (rows < FEW_ROWS ? FEW_SECONDS : WINDOW_SECONDS);

/** Rows that stay. */
async function idsOf(owner: Client, cutoff: string): Promise<string[]> {
  const { rows } = await owner.query(
    'select id::text from quiz_responses where completed_at > $1 order by md5(id::text) limit 2000',
    [cutoff],
  );
  return rows.map((r) => String(r.id));
}

async function beside<T>(stage: Stage, work: (copy: Copy) => Promise<T>) {
  const copy = await stage.fresh();
  return during(copy.url, await idsOf(copy.owner, stage.cutoff), () => work(copy));
}

/** Runs on fresh copies until a window is full. */
async function inCompany(stage: Stage, options: Parameters<typeof runLapse>[2]): Promise<Window> {
  const operations: Operation[] = [];
  let [deleted, seconds] = [0, 0];
  while (seconds < secondsOf(stage)) {
    const one = await beside(stage, ({ env }) => runLapse(env, stage.cutoff, options));
    operations.push(...one.operations);
    deleted += one.result.deleted;
    seconds += one.result.seconds;
  }
  return { ...latencyOf(operations), rowsPerSecond: deleted / seconds };
}

async function measure(stage: Stage): Promise<Measured> {
  const quiet: Operation[][] = [];
  const walks = { index: [] as Window[], blocks: [] as Window[] };
  for (let round = 0; round < stage.rounds; round += 1) {
    const title = `foreground: round ${round + 1} of ${stage.rounds}`;
    begin(`${title}, undisturbed`);
    quiet.push((await beside(stage, () => sleep(secondsOf(stage) * 1_000))).operations);
    const { p99 } = latencyOf(quiet.at(-1)!);
    say(`${title}: undisturbed p99 ${p99.toFixed(2)} ms`);
    for (const [name, options] of round % 2 === 0 ? WALKS : WALKS.toReversed()) {
      begin(`${title}, by ${name}`);
      const window = await inCompany(stage, options);
      walks[name].push(window);
      const rows = Math.round(window.rowsPerSecond).toLocaleString('en');
      say(`${title}: by ${name}: ${rows} rows a second, p99 ${window.p99.toFixed(2)} ms`);
    }
  }
  const repeated = repeats(quiet, secondsOf(stage));
  if (repeated !== null) say(`foreground: undisturbed p99 within a factor of ${repeated.toFixed(2)}`);
  const undisturbed = quiet.map(latencyOf);
  const p99Of = (all: readonly Latency[]) => median(all.map((l) => l.p99));
  const others = {
    oneDelete: await beside(stage, ({ owner }) => byOneDelete(owner, stage.cutoff)),
    procedure: await beside(stage, ({ owner }) => byProcedure(owner, stage.cutoff, 5_000)),
    keysetWithoutCursor: await beside(stage, ({ owner }) => byKeyset(owner, stage.cutoff)),
  };
  return {
    p99: Math.max(p99Of(walks.index), p99Of(walks.blocks)) / p99Of(undisturbed),
    rowsPerSecond: Math.min(
      ...[walks.index, walks.blocks].map((all) => median(all.map((w) => w.rowsPerSecond))),
    ),
    figures: {
      windowSeconds: secondsOf(stage),
      undisturbedRepeats: Object.fromEntries(LENGTHS.map((s) => [s, repeats(quiet, s)])),
      undisturbed,
      ...walks,
      ...Object.fromEntries(
        Object.entries(others).map(([name, { operations }]) => [name, latencyOf(operations)]),
      ),
    },
  };
}

const WALKS = [
  ['index', index],
  ['blocks', auto],
] as const;

/** Both figures come from the same windows. */
const seen = new WeakMap<Stage, Promise<Measured>>();
const measured = (stage: Stage): Promise<Measured> => {
  const known = seen.get(stage) ?? measure(stage);
  seen.set(stage, known);
  return known;
};

export const foreground: Scene = {
  name: 'foregroundP99',
  target: '<= 1.25',
  async run(stage) {
    const { p99, figures } = await measured(stage);
    return { ratio: p99, figures };
  },
};

export const company: Scene = {
  name: 'companyRowsPerSecond',
  target: '>= 50000',
  async run(stage) {
    const { rowsPerSecond, figures } = await measured(stage);
    return { ratio: rowsPerSecond, figures };
  },
};
