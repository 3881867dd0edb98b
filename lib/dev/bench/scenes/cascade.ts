/** Rows with what hangs on them, in as many lanes as the ways of the bench have, beside one `DELETE` whose foreign keys do the same by their cascades. */
import type { Client } from 'pg';
import type { Policy } from '../../../policies/contract';
import { runLapse } from '../lapse';
import { alternate, median } from '../rounds';
import { LANES } from '../ways';
import type { Scene, Template } from './scene';

interface Beside {
  /** Key under `ratios`. */
  readonly name: string;
  readonly target: string;
  readonly policy: Policy;
  /** Rows of all its tables for each of the governed one. */
  readonly rowsOfEach: number;
  /** Governed rows over a fortnight. */
  template(governed: number): Template;
  /** Tables whose rows go, the governed one first. */
  readonly tables: readonly string[];
}

export const besideCascade = (scene: Beside): Scene => ({
  name: scene.name,
  target: scene.target,
  async run({ rows, rounds, fresh }) {
    // As many rows in all as the other scenes have.
    const from = scene.template(Math.ceil(rows / scene.rowsOfEach));
    const cutoff = new Date(Date.now() - 8 * 86_400_000).toISOString();
    const lapse = LANES.map(
      (lanes) =>
        [
          `Lapse, ${lanes} lane${lanes === 1 ? '' : 's'}`,
          async () => {
            const { env, owner } = await fresh(from);
            const run = await runLapse(env, cutoff, { path: 'index', lanes, policy: scene.policy });
            return { ...run, left: await left(owner, scene.tables) };
          },
        ] as const,
    );
    const seen = await alternate(scene.name, rounds, {
      ...Object.fromEntries(lapse),
      [CASCADE]: async () => byCascade((await fresh(from)).owner, scene, cutoff),
    });
    const lefts = new Set(Object.values(seen).flatMap((all) => all.map((f) => f.left)));
    if (lefts.size !== 1) throw new Error(`they left different rows: ${[...lefts].join('; ')}`);
    const rowsPerSecond = Object.fromEntries(
      Object.entries(seen).map(([way, all]) => [way, median(all.map((f) => f.perSecond))]),
    );
    const best = Math.max(...lapse.map(([way]) => rowsPerSecond[way]!));
    return { ratio: best / rowsPerSecond[CASCADE]!, figures: { rowsPerSecond, ...seen } };
  },
});

const CASCADE = 'one DELETE with cascades';

async function byCascade(owner: Client, { policy, tables }: Beside, cutoff: string) {
  const began = performance.now();
  const { rowCount } = await owner.query(`delete from ${tables[0]} where ${policy.clock.column} < $1`, [
    cutoff,
  ]);
  const ms = performance.now() - began;
  const deleted = rowCount ?? 0;
  return { deleted, perSecond: deleted / (ms / 1000), longestLockMs: ms, left: await left(owner, tables) };
}

/** How many rows each table has. */
async function left(owner: Client, tables: readonly string[]): Promise<string> {
  const counts = tables.map((t) => `(select count(*) from ${t})`).join(', ');
  const { rows } = await owner.query<{ left: string }>(`select concat_ws(', ', ${counts}) as left`);
  return rows[0]!.left;
}
