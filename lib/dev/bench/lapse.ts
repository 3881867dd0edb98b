/** One run of Lapse on a database of the bench, with what a client can see of it measured from outside. */
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runPolicy } from '../../engine/run/run';
import { quizResponses } from '../../example/policies/quiz-responses';
import type { Database } from '../../platform/database';
import type { Policy } from '../../policies/contract';
import { createServices } from '../../services';
import { under } from './progress';

export interface LapseOptions {
  /** `index` keeps the run to the index; `auto` lets it choose as in production. */
  readonly path: 'index' | 'auto';
  readonly lanes: number;
  /** Instead of the quiz responses. */
  readonly policy?: Policy;
}

export interface LapseFigures {
  readonly deleted: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly path: string;
  readonly batches: number;
  readonly requests: { readonly postgres: number; readonly redis: number };
  /** The longest batch from sending to answer: no row lock can have been held longer. */
  readonly longestLockMs: number;
  /** The most memory this process had while it ran; the local cloud is in it, too, unless it ran apart. */
  readonly rssMostMb: number;
}

/** The same in a process of its own, without the local cloud, so that the memory is the app's alone. */
export async function runLapseApart(
  env: Record<string, string>,
  cutoff: string,
  options: Omit<LapseOptions, 'policy'>,
): Promise<LapseFigures> {
  const app = fork(fileURLToPath(new URL('./lapse-process.ts', import.meta.url)));
  try {
    app.send({ env, cutoff, options });
    const [figures] = await Promise.race([
      once(app, 'message') as Promise<[LapseFigures]>,
      once(app, 'exit').then(([code]) => Promise.reject(new Error(`the run's process ended with ${code}`))),
    ]);
    return figures;
  } finally {
    app.kill();
  }
}

/** An app of the bench in production, on its own names in Redis. */
export const benchServices = (env: Record<string, string>, more: Record<string, string> = {}) =>
  createServices({
    ...env,
    CRON_SECRET: randomUUID(),
    VERCEL_ENV: 'production',
    LOG_LEVEL: 'silent',
    LAPSE_NAMESPACE: randomUUID(),
    // What is measured is the deleting; the guard rails decide before it begins.
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_PROGRESSIVE_ROLLOUT: 'off',
    ...more,
  });

export async function runLapse(
  env: Record<string, string>,
  cutoff: string,
  options: LapseOptions,
): Promise<LapseFigures> {
  const services = benchServices(env, { CLEANUP_LANES: String(options.lanes) });
  const asked = options.path === 'index' ? keptToTheIndex(services.database) : services.database;
  let longestLockMs = 0;
  let batches = 0;
  let rssMost = 0;
  const database: Database = {
    async transaction(statements, request) {
      if (!statements.some((s) => /enter_batch|drop_partition/.test(s.text))) {
        return asked.transaction(statements, request);
      }
      const began = performance.now();
      const rows = await asked.transaction(statements, request);
      longestLockMs = Math.max(longestLockMs, performance.now() - began);
      rssMost = Math.max(rssMost, process.memoryUsage.rss());
      batches += 1;
      under(`${batches} batches`);
      return rows;
    },
  };
  const policy = options.policy ?? quizResponses;
  const now = new Date(new Date(cutoff).getTime() + policy.rules[0]!.keepFor.seconds! * 1000);
  const began = performance.now();
  // It must go on: by it a run looks at its neighbors.
  const clock = () => new Date(now.getTime() + performance.now() - began);
  const result = await runPolicy({ ...services, database, clock }, policy, {
    trigger: 'manual',
    actor: 'bench',
    correlationId: randomUUID(),
    deadline: new Date(now.getTime() + 3_600_000),
    dryRun: false,
  });
  const seconds = (performance.now() - began) / 1000;
  if (result.outcome !== 'succeeded') throw new Error(`the run ended ${result.outcome}: ${result.message}`);
  return {
    deleted: result.deleted,
    seconds,
    perSecond: result.deleted / seconds,
    path: result.path ?? 'index',
    batches: result.batches,
    requests: result.requests,
    longestLockMs,
    rssMostMb: rssMost / 1_048_576,
  };
}

/** A run that does not learn how much is due takes it for little, and stays with the index. */
const keptToTheIndex = (database: Database): Database => ({
  async transaction(statements, request) {
    const answers = await database.transaction(statements, request);
    return answers.map((rows, i) => (statements[i]!.text.startsWith('explain (format json)') ? [] : rows));
  },
});
