import { usageEvents } from '../../../example/policies/usage-events';
import type { Policy } from '../../../policies/contract';
import { runLapse } from '../lapse';
import { auto, type Scene } from './scene';

/** A month of as many rows as the bench has, dropped whole; and the same rows walked block by block. */
export const partition: Scene = {
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
