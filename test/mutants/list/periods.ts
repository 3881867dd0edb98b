/** The periods of the policies that ship, and on which side of a cutoff a row goes. Gone with the example. */
import type { Mutant } from '../mutant';

const every = 'test/policies/every-policy.test.ts';
const period = (id: string, policy: string, promise: string, find: string, replace: string): Mutant => ({
  id,
  promise,
  file: `lib/example/policies/${policy}.ts`,
  find,
  replace,
  tests: [every],
});

export const periodMutants: readonly Mutant[] = [
  period('D01', 'quiz-responses', 'Answers to a quiz are kept for thirty days.', 'days(30)', 'days(3)'),
  period('D02', 'magic-links', 'Tokens to sign in go after 24 hours.', 'hours(24)', 'hours(25)'),
  period(
    'D03',
    'webhook-events',
    'Failed events go after a week.',
    "days(7, 'RETENTION_DAYS_WEBHOOK_FAILED')",
    "days(30, 'RETENTION_DAYS_WEBHOOK_FAILED')",
  ),
  period(
    'D04',
    'webhook-events',
    'Processed events are kept for thirty days.',
    "days(30, 'RETENTION_DAYS_WEBHOOK_PROCESSED')",
    "days(7, 'RETENTION_DAYS_WEBHOOK_PROCESSED')",
  ),
  period('D05', 'render-jobs', 'Rendering jobs go after a week.', 'days(7)', 'days(8)'),
  period(
    'D06',
    'generated-pdfs',
    'A PDF nobody bought is kept for thirty days.',
    "days(30, 'RETENTION_DAYS_PDF_UNPURCHASED')",
    "days(29, 'RETENTION_DAYS_PDF_UNPURCHASED')",
  ),
  period(
    'D07',
    'generated-pdfs',
    'A PDF that was bought is kept for seven years.',
    "days(2555, 'RETENTION_DAYS_PDF_PURCHASED')",
    "days(2550, 'RETENTION_DAYS_PDF_PURCHASED')",
  ),
  period('D08', 'generated-pdfs', 'A PDF that was paid back is kept for 180 days.', 'days(180)', 'days(30)'),
  period(
    'D09',
    'artifacts',
    'Artifacts of a free plan go after thirty days.',
    "days(30, 'RETENTION_DAYS_FREE')",
    "days(31, 'RETENTION_DAYS_FREE')",
  ),
  period(
    'D10',
    'artifacts',
    'Artifacts of a basic plan are kept for ninety days.',
    "days(90, 'RETENTION_DAYS_BASIC')",
    "days(30, 'RETENTION_DAYS_BASIC')",
  ),
  period(
    'D11',
    'artifacts',
    'Artifacts of a pro plan go after a year.',
    "days(365, 'RETENTION_DAYS_PRO')",
    "days(366, 'RETENTION_DAYS_PRO')",
  ),
  period(
    'D12',
    'artifacts',
    'Artifacts of an enterprise plan are kept forever.',
    "forever('RETENTION_DAYS_ENTERPRISE')",
    "days(3650, 'RETENTION_DAYS_ENTERPRISE')",
  ),
  period(
    'D13',
    'artifacts',
    'A subscription that has ended keeps nothing.',
    "s.status in ('active', 'trialing')",
    "s.status <> 'past_due'",
  ),
  period('D14', 'documents', 'A draft is abandoned after a year.', 'days(365)', 'days(360)'),
  period(
    'D15',
    'documents',
    'A draft that was marked can be restored for thirty days.',
    "days(30, 'RETENTION_DAYS_DOCUMENTS_GRACE')",
    "days(3, 'RETENTION_DAYS_DOCUMENTS_GRACE')",
  ),
  period('D16', 'usage-events', 'Usage is kept for thirteen months.', 'days(395)', 'days(365)'),
  {
    id: 'D17',
    promise: 'A row that was kept for exactly its period is not past it.',
    file: `lib/engine/statement/predicate.ts`,
    find: `\${clock} < \${inClock(policy, instant)}`,
    replace: `\${clock} <= \${inClock(policy, instant)}`,
    tests: [every],
  },
  {
    id: 'UF01',
    promise: 'A field of a policy that means nothing is refused, at any depth.',
    file: 'lib/policies/unknown-fields.ts',
    find: 'return unknownFields(value,',
    replace: "return field === '' ? [] : unknownFields(null,",
    tests: ['test/policies/contract.test.ts:refuses a field that means nothing'],
  },
];
