/** P4. Permanent: no policy may ever expire an entry; only an audited manual removal takes one out. */
import { definePermanentTable } from '../../policies/contract';

export const emailBlacklist = definePermanentTable({
  name: 'email-blacklist',
  description: 'Addresses that must never be written to again.',
  justification:
    'An objection to mail has to be honored forever; forgetting the address would mean writing to it again.',
  ground: 'GDPR Art. 21(3), right to object; Art. 6(1)(c), legal obligation',
  table: { schema: 'public', name: 'email_blacklist' },
});
