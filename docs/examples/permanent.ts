/** Addresses that objected to mail: kept forever, so that nobody writes to them again. */
import { definePermanentTable } from '@/lib/policies/contract';

export const objections = definePermanentTable({
  name: 'mail-objections',
  description: 'Addresses that must never be written to again.',
  justification:
    'An objection has to be honored forever; forgetting the address would mean writing to it again.',
  ground: 'GDPR Art. 21(3), right to object',
  table: { schema: 'public', name: 'mail_objections' },
});
