/** P8. Drafts that were not opened for a year: marked as deleted, then purged after a grace period. */
import { days, definePolicy } from '../../policies/contract';

export const documents = definePolicy({
  name: 'documents',
  description: 'Drafts not opened for a year are marked as deleted; within 30 days they can be restored.',
  justification:
    'A draft that was not opened for a year is abandoned; thirty days give its author time to object.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '15 4 * * *', resume: '45 4 * * *' },
  table: { name: 'documents' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'last_opened_at', type: 'timestamptz' },
  strategy: {
    kind: 'soft-delete',
    column: 'deleted_at',
    purgeAfter: days(30, 'RETENTION_DAYS_DOCUMENTS_GRACE'),
  },
  rules: [{ label: 'abandoned', keepFor: days(365) }],
  knownTriggers: ['touch'],
  scope: { organization: 'organization_id', user: 'user_id' },
});
