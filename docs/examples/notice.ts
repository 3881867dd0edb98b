/** Recordings, 90 days; each workspace is told 30, 7 and 1 days before, and without it nothing goes. */
import { days, definePolicy } from '@/lib/policies/contract';

export const recordings = definePolicy({
  name: 'recordings',
  description: 'Recordings of a workspace, 90 days after they were made; told a month before.',
  justification: 'After a quarter nobody looks at a recording; whoever still needs one can take a copy.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '40 2 * * *' },
  table: { name: 'recordings' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'made_at', type: 'timestamptz' },
  rules: [{ label: 'all', keepFor: days(90) }],
  // One rule for all: the tenants only say whose each row is.
  tenants: {
    table: { name: 'workspaces' },
    key: { column: 'id', type: 'uuid' },
    column: 'workspace_id',
    label: `'all'`,
  },
  scope: { organization: 'workspace_id' },
  notice: {
    thresholdsDays: [30, 7, 1],
    requiredDays: 30,
    extendDays: 30,
    called: 'recordings',
    to: { address: 'contact_email', zone: 'time_zone' },
  },
});
