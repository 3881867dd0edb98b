/** Rendering jobs with their logs, beside one `DELETE` whose foreign keys do the same by their cascades. */
import { renderJobs } from '../../../example/policies/render-jobs';
import { runLapse } from '../lapse';
import { alternate, median } from '../rounds';
import { index, type Scene, type Template } from './scene';

const policy = { ...renderJobs, files: [] };

/** Three logs a job, over a fortnight, half of it expired. */
const jobsOf = (rows: number): Template => ({
  name: 'jobs',
  table: 'render_jobs',
  async make(owner) {
    await owner.query('truncate render_jobs, render_job_logs, render_outputs');
    await owner.query(
      `insert into render_jobs (id, status, created_at)
       select md5('job' || i)::uuid, 'done', now() - interval '14 days' * (1 - i::float8 / $1::int)
       from generate_series(1, $1::int) i`,
      [rows],
    );
    await owner.query(
      `insert into render_job_logs (render_job_id, line)
       select md5('job' || i)::uuid, 'step ' || j from generate_series(1, $1::int) i cross join generate_series(1, 3) j`,
      [rows],
    );
  },
});

export const dependants: Scene = {
  name: 'dependantVsCascade',
  target: '>= 0.7',
  async run({ rows, rounds, fresh }) {
    // Four rows a job: as many rows in all as the other scenes have.
    const from = jobsOf(Math.ceil(rows / 4));
    const cutoff = new Date(Date.now() - 8 * 86_400_000).toISOString();
    const seen = await alternate('dependantVsCascade', rounds, {
      async lapse() {
        const { env } = await fresh(from);
        const { deleted, seconds, longestLockMs } = await runLapse(env, cutoff, { ...index, policy });
        return { deleted, perSecond: deleted / seconds, longestLockMs };
      },
      async cascade() {
        const { owner } = await fresh(from);
        const began = performance.now();
        const { rowCount } = await owner.query('delete from render_jobs where created_at < $1', [cutoff]);
        const ms = performance.now() - began;
        return { deleted: rowCount ?? 0, perSecond: (rowCount ?? 0) / (ms / 1000), longestLockMs: ms };
      },
    });
    const [ours, theirs] = [seen.lapse, seen.cascade].map((all) => median(all.map((f) => f.perSecond)));
    if (seen.lapse[0]!.deleted !== seen.cascade[0]!.deleted) throw new Error('they deleted different rows');
    return { ratio: ours! / theirs!, figures: { rowsPerSecond: { lapse: ours, cascade: theirs }, ...seen } };
  },
};
