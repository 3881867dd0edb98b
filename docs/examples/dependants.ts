/** Conversations a year after they were closed, with their messages; a complaint keeps its conversation. */
import { days, definePolicy } from '@/lib/policies/contract';

export const conversations = definePolicy({
  name: 'conversations',
  description: 'Conversations with support, a year after they were closed, with their messages.',
  justification: 'Questions about an answer come within months; after a year nobody asks any more.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '50 2 * * *' },
  table: { name: 'conversations' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'closed_at', type: 'timestamptz' },
  rules: [{ label: 'closed', keepFor: days(365) }],
  // One that is open has no clock.
  quality: { emptyClocks: null },
  dependants: [
    {
      table: { name: 'messages' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['conversation_id'],
      fate: 'delete',
    },
    {
      table: { name: 'ratings' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['conversation_id'],
      fate: 'keep',
    },
    {
      table: { name: 'follow_ups' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['conversation_id'],
      fate: 'set-null',
    },
    {
      table: { name: 'complaints' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['conversation_id'],
      fate: 'block',
    },
  ],
  scope: { user: 'user_id' },
});
