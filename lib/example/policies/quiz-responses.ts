/** P1. Answers to a quiz, thirty days after completion; an unfinished one has no clock and stays. */
import { days, definePolicy } from '../../policies/contract';

export const quizResponses = definePolicy({
  name: 'quiz-responses',
  description: 'Answers to a quiz, 30 days after the quiz was completed. Unfinished ones are not matched.',
  justification:
    'The result is computed and delivered at completion; thirty days cover questions about it. After that the answers serve no purpose.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '0 2 * * *', resume: '30 2 * * *' },
  table: { name: 'quiz_responses' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'completed_at', type: 'timestamptz' },
  rules: [{ label: 'completed', keepFor: days(30) }],
  // An unfinished quiz has no clock. When more than half have none, the application probably fails to write it.
  quality: { emptyClocks: 0.5 },
  scope: { organization: 'organization_id', user: 'user_id' },
});
