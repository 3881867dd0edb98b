/** Snapshots: all of them for two days, then one a day for 30 days, one a week for a year, one a month for ten years. */
import { days, definePolicy } from '@/lib/policies/contract';

export const snapshots = definePolicy({
  name: 'snapshots',
  description: 'Snapshots of each server, thinned out: one a day, then one a week, then one a month.',
  justification:
    'The older a state is, the less it matters from which hour it was; the books ask for ten years.',
  ground: 'GDPR Art. 6(1)(c), commercial law',
  schedule: { run: '45 3 * * *' },
  table: { name: 'snapshots' },
  key: [{ column: 'id', type: 'bigint' }],
  clock: { column: 'taken_at', type: 'timestamptz' },
  rules: [{ label: 'taken', keepFor: days(2) }],
  thin: {
    tiers: [
      { keepOne: 'day', until: days(30) },
      { keepOne: 'week', until: days(365) },
      { keepOne: 'month', until: days(3650) },
    ],
    per: ['server_id'],
    which: 'last',
    zone: 'Europe/Zurich',
  },
});
