/** P2. Documents by purchase status; the blob goes with the row, the accounting record stays. */
import { days, definePolicy } from '../../policies/contract';

export const generatedPdfs = definePolicy({
  name: 'generated-pdfs',
  description:
    'Generated PDFs with their files: 30 days unless bought; what was bought is kept for seven years.',
  justification:
    'An offer that was not taken is of no use after a month. A bought document is what was delivered for the money, and may be asked for as long as claims and tax audits can be.',
  ground: 'GDPR Art. 5(1)(e), storage limitation; Art. 6(1)(c), legal obligation to keep commercial records',
  schedule: { run: '15 3 * * *', resume: '45 3 * * *' },
  table: { name: 'generated_pdfs' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'created_at', type: 'timestamptz' },
  rules: [
    {
      label: 'unpurchased',
      keepFor: days(30, 'RETENTION_DAYS_PDF_UNPURCHASED'),
      match: { purchase_status: 'unpurchased' },
    },
    {
      label: 'purchased',
      keepFor: days(2555, 'RETENTION_DAYS_PDF_PURCHASED'),
      match: { purchase_status: 'purchased' },
    },
    // A refund can be disputed; the document proves what had been delivered.
    { label: 'refunded', keepFor: days(180), match: { purchase_status: 'refunded' } },
  ],
  scope: { organization: 'organization_id', user: 'user_id' },
  dependants: [
    {
      table: { name: 'purchases' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['generated_pdf_id'],
      fate: 'keep',
      knownTriggers: ['touch'],
    },
  ],
  files: [{ column: 'file_url', bytes: 'file_bytes', fate: 'delete', prefix: 'pdfs/', suffixed: true }],
});
