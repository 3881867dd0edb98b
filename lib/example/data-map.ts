/** The data map of the example. */
import type { DataMapInput } from '../policies/data-map-contract';

// biome-ignore format: one line a table
export const exampleDataMap: DataMapInput = {
  'public.users': { kept: 'while the account lasts: contract, GDPR Art. 6(1)(b)', subject: 'user', identifiers: ['email'], files: ['avatars/{id}/'], knownTriggers: ['touch'], confidential: { delete: ['email', 'name'] } },
  'public.organizations': { kept: 'while the customer stays: contract, GDPR Art. 6(1)(b)', subject: 'organization', knownTriggers: ['touch'], internal: { mask: { owner_id: null } }, impersonal: ['name'] },
  'public.subscriptions': { kept: 'with the organization: which plan decided what', internal: { retain: { columns: ['organization_id'], ground: 'which plan decided what: GDPR Art. 5(2)', until: 'removal' } } },
  'public.quiz_responses': { policy: 'quiz-responses', confidential: { delete: ['user_id', 'answers'] } },
  'public.generated_pdfs': { policy: 'generated-pdfs', confidential: { delete: ['user_id'] } },
  'public.purchases': { kept: 'accounting records, ten years: tax law, AO 147', knownTriggers: ['touch'], confidential: { mask: { user_id: null } } },
  'public.magic_links': { policy: 'magic-links', confidential: { delete: ['user_id'] }, restricted: { delete: ['token_hash'] } },
  'public.email_blacklist': { permanent: 'email-blacklist', mentions: [{ column: 'email', is: 'email' }], confidential: { retain: { columns: ['email'], ground: 'right to object, GDPR Art. 21(3)', until: 'removal' } } },
  'public.webhook_events': { policy: 'webhook-events', mentions: [{ column: 'payload', path: '$.customer.email', is: 'email' }], confidential: { delete: ['payload'] } },
  'public.render_jobs': { policy: 'render-jobs', confidential: { delete: ['user_id'] } },
  'public.render_job_logs': { policy: 'render-jobs' },
  'public.render_outputs': { kept: 'finished videos belong to the customer' },
  'public.artifacts': { policy: 'artifacts', confidential: { delete: ['user_id'] } },
  'public.artifact_files': { policy: 'artifacts' },
  'public.documents': { policy: 'documents', confidential: { delete: ['user_id', 'title', 'body'] } },
  'public.usage_events': { policy: 'usage-events', confidential: { delete: ['user_id'] } },
  'public.orders': { kept: 'accounting records, ten years: tax law, AO 147', knownTriggers: ['touch'], confidential: { mask: { user_id: null }, retain: { columns: ['organization_id'], ground: 'accounting records: tax law, AO 147', until: { years: 10, after: 'created_at' } } } },
  'public.consents': { kept: 'proof of consent while the account lasts: GDPR Art. 7(1)', confidential: { delete: ['user_id'] } },
  'public.support_tickets': { kept: 'while the account lasts: contract, GDPR Art. 6(1)(b)', confidential: { delete: ['user_id', 'topic'] } },
  'public.support_messages': { kept: 'with their ticket', confidential: { delete: ['body', 'ticket_id'] } },
};
