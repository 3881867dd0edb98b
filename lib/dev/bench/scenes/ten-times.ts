import { runLapse } from '../lapse';
import { cutoffFor, index, type Scene } from './scene';

export const tenTimes: Scene = {
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
