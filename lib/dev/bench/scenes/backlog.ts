import { runLapse } from '../lapse';
import { auto, type Scene } from './scene';

export const backlog: Scene = {
  name: 'longestLockMs',
  target: '<= 150',
  async run(stage) {
    const { env } = await stage.fresh();
    const ours = await runLapse(env, stage.cutoff, auto);
    return { ratio: ours.longestLockMs, figures: { ...ours } };
  },
};
