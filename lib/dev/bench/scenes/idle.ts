/** How often an idle database is woken a day (lib/dev/bench/idle-month.ts). */
import { createRequire } from 'node:module';
import type { idleMonth } from '../idle-month';
import type { Scene } from './scene';

/** Sentry's package shows most of its names to `require` only, and the routes use them. */
const month = createRequire(import.meta.url)('../idle-month.ts') as { idleMonth: typeof idleMonth };

export const idle: Scene = {
  name: 'idleWakeUpsPerDay',
  only: 'idle',
  leastRows: 1_000,
  target: '<= 60; without the example <= 2 a daily policy',
  async run(stage) {
    const figures = await month.idleMonth(stage);
    return { ratio: figures.after.wakeUps, figures };
  },
};
