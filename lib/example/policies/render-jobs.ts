/** P6. Rendering jobs with their logs and temporary files. Finished videos are never touched. */
import { days, definePolicy } from '../../policies/contract';

export const renderJobs = definePolicy({
  name: 'render-jobs',
  description:
    'Rendering jobs after 7 days, with their logs and their temporary files below tmp/. Output files are never touched.',
  justification:
    'A job is looked at while its video is new; its temporary files are of no use once it has ended.',
  ground: 'GDPR Art. 5(1)(c) and (e), data minimization and storage limitation',
  schedule: { run: '0 3 * * *', resume: '30 3 * * *' },
  table: { name: 'render_jobs' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'created_at', type: 'timestamptz' },
  rules: [{ label: 'all', keepFor: days(7) }],
  scope: { organization: 'organization_id', user: 'user_id' },
  dependants: [
    {
      table: { name: 'render_job_logs' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['render_job_id'],
      fate: 'delete',
    },
    {
      table: { name: 'render_outputs' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['render_job_id'],
      fate: 'keep',
      knownTriggers: ['touch'],
      files: [{ column: 'file_url', bytes: 'file_bytes', fate: 'keep' }],
    },
  ],
  files: [
    { column: 'tmp_file_url', bytes: 'tmp_file_bytes', fate: 'delete', prefix: 'tmp/', suffixed: true },
  ],
});
