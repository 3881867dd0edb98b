/** Answers to surveys, two years; of who withdraws the consent to research, all at once. */
import { days, definePolicy } from '@/lib/policies/contract';

export const surveys = definePolicy({
  name: 'survey-answers',
  description: 'Answers to surveys, two years after they were given.',
  justification: 'A study takes two years; longer nobody has agreed to.',
  ground: 'GDPR Art. 6(1)(a), consent',
  schedule: { run: '25 2 * * *' },
  table: { name: 'survey_answers' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'answered_at', type: 'timestamptz' },
  rules: [{ label: 'all', keepFor: days(730) }],
  scope: { user: 'user_id' },
  consent: {
    table: { name: 'agreements' },
    subject: 'user_id',
    purpose: { column: 'purpose', is: 'research' },
    withdrawnAt: 'withdrawn_at',
  },
});
