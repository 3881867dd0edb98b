/** Customers who closed their account two years ago stay as numbers: without a name, their address as a keyed hash. */
import { days, definePolicy } from '@/lib/policies/contract';

export const customers = definePolicy({
  name: 'customers',
  description:
    'Closed customer accounts are made unreadable after two years; what was bought stays countable.',
  justification: 'Claims end after two years; after that only counts are needed, and no person in them.',
  ground: 'GDPR Art. 5(1)(e), storage limitation',
  schedule: { run: '50 2 * * *' },
  table: { name: 'customers' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'closed_at', type: 'timestamptz' },
  strategy: {
    kind: 'mask',
    mark: 'masked_at',
    columns: [
      { column: 'email', to: { hash: 'customer-email' } },
      { column: 'full_name', to: null },
      { column: 'city', to: { constant: 'unknown' } },
    ],
  },
  rules: [{ label: 'closed', keepFor: days(730) }],
  quality: { emptyClocks: null },
});
