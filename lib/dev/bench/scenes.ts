/** What a comparison of ways does not show: how the speed holds as things around it change. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { usageEvents } from '../../example/policies/usage-events';
import type { Policy } from '../../policies/contract';
import { during } from './foreground';
import { type LapseFigures, runLapse, runLapseApart } from './lapse';
import { byKeyset, byOneDelete, byProcedure } from './ways';

export interface Copy {
  readonly owner: Client;
  readonly url: string;
  readonly env: Record<string, string>;
}

interface Stage {
  /** Rows of the table that is copied. */
  readonly rows: number;
  readonly cutoff: string;
  /** A fresh copy with a warm cache; the previous one is dropped. */
  fresh(): Promise<Copy>;
}

export interface Scene {
  /** Key under `ratios`. */
  readonly name: string;
  readonly target: string;
  run(stage: Stage): Promise<{ ratio: number; figures: Record<string, unknown> }>;
}

/** How long the foreground is watched undisturbed. */
const QUIET_MS = 5_000;
/** Rows of a nightly trickle. */
const TRICKLE = 10_000;

const index = { path: 'index', lanes: 1 } as const;
const auto = { path: 'auto', lanes: 2 } as const;

/** The instant before which exactly about `n` rows were completed. */
async function cutoffFor(owner: Client, n: number): Promise<string> {
  const r = await owner.query(
    `select completed_at from quiz_responses where completed_at > '-infinity' order by completed_at offset $1 limit 1`,
    [n],
  );
  return (r.rows[0].completed_at as Date).toISOString();
}

const backlog: Scene = {
  name: 'longestLockMs',
  target: '<= 150',
  async run(stage) {
    const { env } = await stage.fresh();
    const ours = await runLapse(env, stage.cutoff, auto);
    return { ratio: ours.longestLockMs, figures: { ...ours } };
  },
};

/**
 * A hundred thousand deletions, then ten times the bench's rows, all of them expired: ten million with the usual
 * million. Each in a process of its own, so that it is the app's memory that is seen.
 */
const memory: Scene = {
  name: 'rssGrowthMb',
  target: '<= 30',
  async run(stage) {
    const small = await stage.fresh();
    const few = await runLapseApart(small.env, await cutoffFor(small.owner, stage.rows * 0.1), auto);
    const { owner, env } = await stage.fresh();
    await grow(owner, "now() - interval '40 days' - random() * interval '300 days'");
    const many = await runLapseApart(env, stage.cutoff, auto);
    return { ratio: many.rssMostMb - few.rssMostMb, figures: { few, many } };
  },
};

/** Nine copies of every row, completed at `completedAt`. */
async function grow(owner: Client, completedAt: string): Promise<void> {
  await owner.query(
    `insert into quiz_responses (user_id, organization_id, quiz, answers, started_at, completed_at)
     select user_id, organization_id, quiz, answers, started_at, ${completedAt}
     from quiz_responses cross join generate_series(1, 9)`,
  );
  await owner.query('vacuum analyze quiz_responses');
  await owner.query('checkpoint');
}

const tenTimes: Scene = {
  name: 'tenTimesBacklog',
  target: '>= 0.85',
  async run(stage) {
    const small = await stage.fresh();
    const one = await runLapse(small.env, await cutoffFor(small.owner, stage.rows * 0.06), index);
    const large = await stage.fresh();
    const ten = await runLapse(large.env, await cutoffFor(large.owner, stage.rows * 0.6), index);
    return { ratio: ten.perSecond / one.perSecond, figures: { one, ten } };
  },
};

const reader: Scene = {
  name: 'longReader',
  target: '>= 0.75',
  async run(stage) {
    const alone = await withReader(stage, false);
    const watched = await withReader(stage, true);
    return {
      ratio: watched.lapse.perSecond / alone.lapse.perSecond,
      figures: { alone, watched, withoutCursor: watched.withoutCursor / alone.withoutCursor },
    };
  },
};

async function withReader(
  stage: Stage,
  open: boolean,
): Promise<{ lapse: LapseFigures; withoutCursor: number }> {
  const run = async <T>(work: (copy: Copy, cutoff: string) => Promise<T>): Promise<T> => {
    const copy = await stage.fresh();
    const cutoff = await cutoffFor(copy.owner, Math.min(100_000, stage.rows * 0.3));
    const other = new Client(copy.url);
    await other.connect();
    try {
      if (open) {
        await other.query('begin isolation level repeatable read');
        await other.query('select count(*) from quiz_responses');
      }
      return await work(copy, cutoff);
    } finally {
      await other.end();
    }
  };
  const lapse = await run(({ env }, cutoff) => runLapse(env, cutoff, index));
  const withoutCursor = await run(async ({ owner }, cutoff) => {
    const began = performance.now();
    const { gone } = await byKeyset(owner, cutoff);
    return gone / ((performance.now() - began) / 1000);
  });
  return { lapse, withoutCursor };
}

const foreground: Scene = {
  name: 'foregroundP99',
  target: '<= 1.5',
  async run(stage) {
    const idsOf = async (owner: Client) =>
      (
        await owner.query(
          'select id::text from quiz_responses where completed_at > $1 order by md5(id::text) limit 2000',
          [stage.cutoff],
        )
      ).rows.map((r) => String(r.id));
    const first = await stage.fresh();
    const ids = await idsOf(first.owner);
    const quiet = await during(first.url, ids, () => sleep(QUIET_MS));
    const ours = await during(first.url, ids, () => runLapse(first.env, stage.cutoff, auto));
    const beside = async (work: (copy: Copy) => Promise<unknown>) => {
      const copy = await stage.fresh();
      return (await during(copy.url, ids, () => work(copy))).latency;
    };
    const figures = {
      quiet: quiet.latency,
      lapse: ours.latency,
      lapseOneLane: await beside(({ env }) => runLapse(env, stage.cutoff, { path: 'auto', lanes: 1 })),
      lapseIndex: await beside(({ env }) => runLapse(env, stage.cutoff, index)),
      oneDelete: await beside(({ owner }) => byOneDelete(owner, stage.cutoff)),
      procedure: await beside(({ owner }) => byProcedure(owner, stage.cutoff, 5_000)),
      keysetWithoutCursor: await beside(({ owner }) => byKeyset(owner, stage.cutoff)),
    };
    return { ratio: ours.latency.p99 / quiet.latency.p99, figures };
  },
};

/** Ten times the table around the same trickle; compared with the copies of the small table. */
const trickle: Scene = {
  name: 'trickleTenMillion',
  target: '<= 1.3',
  async run(stage) {
    const n = Math.min(TRICKLE, stage.rows * 0.05);
    const measure = async (isLarge: boolean) => {
      const { owner, env } = await stage.fresh();
      const cutoff = await cutoffFor(owner, n);
      if (isLarge) await grow(owner, "now() - random() * interval '20 days'");
      return runLapse(env, cutoff, index);
    };
    const small = await measure(false);
    const large = await measure(true);
    return { ratio: large.seconds / small.seconds, figures: { small, large } };
  },
};

/** A month of as many rows as the bench has, dropped whole; and the same rows walked block by block. */
const partition: Scene = {
  name: 'partitionVsRows',
  target: '<= 0.10',
  async run(stage) {
    const measure = async (policy: Policy) => {
      const { owner, env } = await stage.fresh();
      await owner.query('truncate usage_events');
      await owner.query("select add_usage_month('2020-01-01')");
      await owner.query(
        `insert into usage_events (occurred_at, organization_id, user_id, kind)
         select '2020-01-01Z'::timestamptz + i * interval '30 days' / $1::int, gen_random_uuid(), gen_random_uuid(), 'call'
         from generate_series(0, $1::int - 1) i`,
        [stage.rows],
      );
      await owner.query('vacuum analyze usage_events_2020_01');
      await owner.query('checkpoint');
      await owner.query('select count(*) from usage_events');
      const figures = await runLapse(env, '2020-02-01T00:00:00.000Z', { ...auto, policy });
      if (figures.deleted !== stage.rows) throw new Error(`${figures.deleted} of ${stage.rows} rows went`);
      return figures;
    };
    const { partitioned: _, ...declared } = usageEvents;
    const rows = await measure({ ...declared, table: { schema: 'public', name: 'usage_events_2020_01' } });
    const whole = await measure(usageEvents);
    if (whole.path !== 'partition') throw new Error(`the partition went by the ${whole.path}`);
    return { ratio: whole.seconds / rows.seconds, figures: { whole, rows } };
  },
};

export const scenes: readonly Scene[] = [backlog, memory, tenTimes, reader, foreground, trickle, partition];
