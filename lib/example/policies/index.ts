/** The policies of the example. `npm run example:remove` takes them out with everything else of lib/example. */
import type { PermanentTable, Policy } from '../../policies/contract';
import { artifacts } from './artifacts';
import { documents } from './documents';
import { emailBlacklist } from './email-blacklist';
import { generatedPdfs } from './generated-pdfs';
import { magicLinks } from './magic-links';
import { quizResponses } from './quiz-responses';
import { renderJobs } from './render-jobs';
import { usageEvents } from './usage-events';
import { webhookEvents } from './webhook-events';

export const examplePermanentTables: readonly PermanentTable[] = [emailBlacklist];

export const examplePolicies: readonly Policy[] = [
  quizResponses,
  generatedPdfs,
  magicLinks,
  webhookEvents,
  renderJobs,
  artifacts,
  documents,
  usageEvents,
];
