import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { during } from '../foreground';
import { runLapse } from '../lapse';
import { byKeyset, byOneDelete, byProcedure } from '../ways';
import { auto, type Copy, index, type Scene } from './scene';

/** How long the foreground is watched undisturbed. */
const QUIET_MS = 5_000;

export const foreground: Scene = {
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
