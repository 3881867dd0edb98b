/** Page views, 400 days, whole months at a time. */
import { days, definePolicy } from '@/lib/policies/contract';

export const pageViews = definePolicy({
  name: 'page-views',
  description: 'Page views, 400 days after they happened; whole months at a time.',
  justification: 'A month is compared with the same month of the year before; thirteen months cover that.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '10 3 * * *' },
  table: { name: 'page_views' },
  key: [
    { column: 'id', type: 'bigint' },
    { column: 'seen_at', type: 'timestamptz' },
  ],
  clock: { column: 'seen_at', type: 'timestamptz' },
  rules: [{ label: 'all', keepFor: days(400) }],
  partitioned: { by: 'month' },
  scope: { user: 'user_id' },
  // A month goes at once: more than a night's worth of a table walked row by row.
  guard: { rows: 10_000_000 },
});
