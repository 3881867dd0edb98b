/** Exports, by the plan of the account: free 7 days, team 90, enterprise forever. */
import { days, definePolicy, forever } from '@/lib/policies/contract';

export const exports = definePolicy({
  name: 'data-exports',
  description: 'Exports by the plan of the account: free 7 days, team 90 days, enterprise forever.',
  justification: 'How long an export can be fetched is part of what each plan promises.',
  ground: 'GDPR Art. 6(1)(b), performance of the contract',
  schedule: { run: '30 2 * * *' },
  table: { name: 'data_exports' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'created_at', type: 'timestamptz' },
  rules: [
    { label: 'free', keepFor: days(7) },
    { label: 'team', keepFor: days(90) },
    { label: 'enterprise', keepFor: forever() },
  ],
  tenants: {
    table: { name: 'accounts' },
    key: { column: 'id', type: 'uuid' },
    column: 'account_id',
    label: 'o.plan',
  },
  scope: { organization: 'account_id' },
});
