/** P3. Sign-in tokens, 24 hours after issue, used or not. */
import { definePolicy, hours } from '../../policies/contract';

export const magicLinks = definePolicy({
  name: 'magic-links',
  description: 'Tokens to sign in by e-mail, 24 hours after they were issued.',
  justification: 'A token is refused after 24 hours; an expired one is only something to steal.',
  ground: 'GDPR Art. 5(1)(e), storage limitation; Art. 32, security of processing',
  schedule: { run: '5 * * * *' },
  allowedSeconds: 120,
  table: { name: 'magic_links' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'issued_at', type: 'timestamptz' },
  rules: [{ label: 'expired', keepFor: hours(24) }],
  scope: { user: 'user_id' },
});
