/** Usage, event by event, partitioned by month: whole months go thirteen months after the last of their events. */
import { days, definePolicy } from '../../policies/contract';

export const usageEvents = definePolicy({
  name: 'usage-events',
  description: 'Events that invoices are made from, 395 days after they happened; whole months at a time.',
  justification:
    'Invoices name totals, which accounting keeps. Single events answer questions about an invoice and compare a month with the same month of the year before; thirteen months cover both.',
  ground: 'GDPR Art. 5(1)(c) and (e), data minimization and storage limitation',
  schedule: { run: '20 3 * * *' },
  table: { name: 'usage_events' },
  key: [
    { column: 'id', type: 'uuid' },
    { column: 'occurred_at', type: 'timestamptz' },
  ],
  clock: { column: 'occurred_at', type: 'timestamptz' },
  rules: [{ label: 'all', keepFor: days(395) }],
  partitioned: { by: 'month' },
  scope: { organization: 'organization_id', user: 'user_id' },
  // A month goes at once: more than a night's worth of a table walked row by row.
  guard: { rows: 10_000_000 },
});
