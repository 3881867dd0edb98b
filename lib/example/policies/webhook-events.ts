/** P5. Received events: failed ones are kept for debugging, processed ones for their own period. */
import { days, definePolicy } from '../../policies/contract';

export const webhookEvents = definePolicy({
  name: 'webhook-events',
  description:
    'Events received from other services: failed ones after 7 days, processed ones after their own period.',
  justification:
    'A failed event is needed to find out why; senders stop redelivering within a week. A processed one answers questions of support and accounting for a month.',
  ground: 'GDPR Art. 5(1)(c) and (e), data minimization and storage limitation',
  schedule: { run: '15 2 * * *', resume: '45 2 * * *' },
  table: { name: 'webhook_events' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'received_at', type: 'timestamptz' },
  rules: [
    { label: 'failed', keepFor: days(7, 'RETENTION_DAYS_WEBHOOK_FAILED'), match: { status: 'failed' } },
    {
      label: 'processed',
      keepFor: days(30, 'RETENTION_DAYS_WEBHOOK_PROCESSED'),
      match: { status: 'processed' },
    },
  ],
});
