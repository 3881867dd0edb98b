/** Rendering jobs with their logs, beside one `DELETE` whose foreign keys do the same by their cascades. */
import { renderJobs } from '../../../example/policies/render-jobs';
import { besideCascade } from './cascade';
import type { Template } from './scene';

/** Three logs a job, over a fortnight. */
const jobsOf = (jobs: number): Template => ({
  name: 'jobs',
  table: 'render_jobs',
  async make(owner) {
    await owner.query('truncate render_jobs, render_job_logs, render_outputs');
    await owner.query(
      `insert into render_jobs (id, status, created_at)
       select md5('job' || i)::uuid, 'done', now() - interval '14 days' * (1 - i::float8 / $1::int)
       from generate_series(1, $1::int) i`,
      [jobs],
    );
    await owner.query(
      `insert into render_job_logs (render_job_id, line)
       select md5('job' || i)::uuid, 'step ' || j from generate_series(1, $1::int) i cross join generate_series(1, 3) j`,
      [jobs],
    );
  },
});

const policy = { ...renderJobs, files: [] };

export const dependants = besideCascade({
  name: 'dependantVsCascade',
  target: '>= 0.7',
  policy,
  rowsOfEach: 4,
  template: jobsOf,
  tables: ['render_jobs', 'render_job_logs'],
});
