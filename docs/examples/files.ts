/** Uploads that were never attached to anything, after three days, with their files. */
import { days, definePolicy } from '@/lib/policies/contract';

export const uploads = definePolicy({
  name: 'uploads',
  description: 'Uploads that were never attached to anything, after three days, with their files.',
  justification: 'An upload belongs to something within minutes, or the form was closed.',
  ground: 'GDPR Art. 5(1)(c), data minimization',
  schedule: { run: '0 3 * * *' },
  table: { name: 'uploads' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'uploaded_at', type: 'timestamptz' },
  rules: [{ label: 'unattached', keepFor: days(3) }],
  where: 't.attached_to is null',
  files: [{ column: 'file', bytes: 'file_bytes', fate: 'delete', prefix: 'uploads/', suffixed: true }],
  scope: { user: 'user_id' },
});
