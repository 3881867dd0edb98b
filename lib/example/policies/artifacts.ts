/** P7. Generated artifacts by the tier of the organization's active subscription, with all their blobs. */
import { days, definePolicy, forever } from '../../policies/contract';

export const artifacts = definePolicy({
  name: 'artifacts',
  description:
    'Artifacts of all six kinds with their files, by subscription: free 30, basic 90, pro 365 days, enterprise forever.',
  justification:
    'How long work is kept is part of what each plan promises; beyond that the files cost money and may hold personal data.',
  ground: 'GDPR Art. 5(1)(e), storage limitation; Art. 6(1)(b), performance of the contract',
  schedule: { run: '0 4 * * *', resume: '30 4 * * *' },
  table: { name: 'artifacts' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'created_at', type: 'timestamptz' },
  rules: [
    { label: 'free', keepFor: days(30, 'RETENTION_DAYS_FREE') },
    { label: 'basic', keepFor: days(90, 'RETENTION_DAYS_BASIC') },
    { label: 'pro', keepFor: days(365, 'RETENTION_DAYS_PRO') },
    { label: 'enterprise', keepFor: forever('RETENTION_DAYS_ENTERPRISE') },
  ],
  tenants: {
    table: { name: 'organizations' },
    key: { column: 'id', type: 'uuid' },
    column: 'organization_id',
    // Without an active subscription an organization is free.
    label: `coalesce((select s.plan from public.subscriptions s
      where s.organization_id = o.id and s.status in ('active', 'trialing') limit 1), 'free')`,
  },
  scope: { organization: 'organization_id', user: 'user_id' },
  dependants: [
    {
      table: { name: 'artifact_files' },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['artifact_id'],
      fate: 'delete',
      files: [
        { column: 'storage_key', bytes: 'size_bytes', fate: 'delete', prefix: 'artifacts/', suffixed: true },
      ],
    },
  ],
  files: [
    { column: 'storage_key', bytes: 'size_bytes', fate: 'delete', prefix: 'artifacts/', suffixed: true },
  ],
});
