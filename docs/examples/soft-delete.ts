/** Projects not opened for two years are marked as deleted, and purged 60 days later. */
import { days, definePolicy } from '@/lib/policies/contract';

export const projects = definePolicy({
  name: 'projects',
  description:
    'Projects not opened for two years are marked as deleted; within 60 days they can be restored.',
  justification: 'A project nobody has opened for two years is abandoned; sixty days let its owner object.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '40 2 * * *' },
  table: { name: 'projects' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'last_opened_at', type: 'timestamptz' },
  strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: days(60) },
  rules: [{ label: 'abandoned', keepFor: days(730) }],
  scope: { user: 'owner_id' },
});
