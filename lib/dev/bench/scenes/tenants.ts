/** The walk by tenant beside the walk by the index, over the same rows; nothing has files. */
import type { Policy } from '../../../policies/contract';
import { runLapse } from '../lapse';
import { alternate, median } from '../rounds';
import { artifactsOf, byIndex, byTenant, cutoffOfArtifacts } from './artifacts';
import { index, type Scene } from './scene';

export const tenants: Scene = {
  name: 'tenantVsIndex',
  target: '>= 0.7',
  async run({ rows, rounds, fresh }) {
    const from = artifactsOf(rows, false);
    const by = (policy: Policy) => async () => {
      const { env, owner } = await fresh(from);
      return runLapse(env, await cutoffOfArtifacts(owner), { ...index, policy });
    };
    const seen = await alternate('tenantVsIndex', rounds, { tenant: by(byTenant), index: by(byIndex) });
    const [tenant, clock] = [seen.tenant, seen.index].map((all) => median(all.map((f) => f.perSecond)));
    return { ratio: tenant! / clock!, figures: { rowsPerSecond: { tenant, index: clock }, ...seen } };
  },
};
