import { Client } from 'pg';
import { type LapseFigures, runLapse } from '../lapse';
import { byKeyset } from '../ways';
import { type Copy, cutoffFor, index, type Scene, type Stage } from './scene';

export const reader: Scene = {
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
