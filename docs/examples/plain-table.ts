/** Sessions, 90 days after they were last used. */
import { days, definePolicy } from '@/lib/policies/contract';

export const sessions = definePolicy({
  name: 'app-sessions',
  description: 'Sessions, 90 days after they were last used.',
  justification:
    'A session nobody has used for a quarter has ended; its device and address are of no use any more.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '10 2 * * *' },
  table: { name: 'app_sessions' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'last_used_at', type: 'timestamptz' },
  rules: [{ label: 'unused', keepFor: days(90) }],
  scope: { user: 'user_id' },
});
