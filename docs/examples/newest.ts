/** Versions of documents, 90 days; of each document the last five stay, however old they are. */
import { days, definePolicy } from '@/lib/policies/contract';

export const versions = definePolicy({
  name: 'document-versions',
  description:
    'Versions of documents, 90 days after they were saved, but for the last five of each document.',
  justification: 'An old version is there to take a change back; nobody goes back further than five.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '15 3 * * *' },
  table: { name: 'document_versions' },
  key: [{ column: 'id', type: 'bigint' }],
  clock: { column: 'saved_at', type: 'timestamptz' },
  rules: [{ label: 'saved', keepFor: days(90) }],
  keepAtLeast: { newest: 5, per: ['document_id'] },
  scope: { user: 'author_id' },
});
