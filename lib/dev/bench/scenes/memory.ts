import { runLapseApart } from '../lapse';
import { auto, cutoffFor, grow, type Scene } from './scene';

/**
 * A hundred thousand deletions, then ten times the bench's rows, all of them expired: ten million with the usual
 * million. Each in a process of its own, so that it is the app's memory that is seen.
 */
export const memory: Scene = {
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
