/** Documents a year after they were closed; the data of a document goes when no document and no draft refers to it any more. */
import { days, definePolicy } from '@/lib/policies/contract';

export const documents = definePolicy({
  name: 'closed-documents',
  description: 'Documents, a year after they were closed, with their data where nothing else uses it.',
  justification: 'A closed document is looked up for a year at most; its data has no purpose without it.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '25 3 * * *' },
  table: { name: 'closed_documents' },
  key: [{ column: 'id', type: 'bigint' }],
  clock: { column: 'closed_at', type: 'timestamptz' },
  rules: [{ label: 'closed', keepFor: days(365) }],
  contents: [
    {
      table: { name: 'document_data' },
      key: [{ column: 'id', type: 'bigint' }],
      references: [['data_id'], ['preview_id']],
      fate: 'with-last-reference',
      sharedWith: [{ table: { name: 'drafts' }, columns: ['data_id'] }],
    },
  ],
  scope: { user: 'owner_id' },
});
