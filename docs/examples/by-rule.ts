/** Notifications: read ones 30 days, unread ones half a year, pinned ones not at all. */
import { days, definePolicy } from '@/lib/policies/contract';

export const notifications = definePolicy({
  name: 'notifications',
  description: 'Notifications: read ones after 30 days, unread ones after half a year. Pinned ones stay.',
  justification: 'What was read has done its work; what nobody read in half a year nobody will.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '20 2 * * *' },
  table: { name: 'notifications' },
  key: [{ column: 'id', type: 'bigint' }],
  clock: { column: 'created_at', type: 'timestamptz' },
  rules: [
    { label: 'read', keepFor: days(30), match: { state: 'read' } },
    { label: 'unread', keepFor: days(180), match: { state: 'unread' } },
  ],
  where: 'not t.pinned',
  scope: { user: 'user_id' },
});
