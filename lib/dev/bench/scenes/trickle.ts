import { runLapse } from '../lapse';
import { cutoffFor, grow, index, type Scene } from './scene';

/** Rows of a nightly trickle. */
const TRICKLE = 10_000;

/** Ten times the table around the same trickle; compared with the copies of the small table. */
export const trickle: Scene = {
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
