/** What outlives the rows of a person: entries of permanent tables, clocks of requests, the ledger, exports. */
import type { Mutant } from '../mutant';

const clock = ['test/rights/clock.test.ts'];
const removal = ['test/operators/permanent.test.ts'];

export const ledgerMutants: readonly Mutant[] = [
  {
    id: 'LG01',
    promise: 'Of an address that is taken off a permanent table, the chain keeps a keyed hash only.',
    file: 'lib/operators/permanent.ts',
    find: 'keyedHash(key, plain(address))',
    replace: 'plain(address)',
    tests: removal,
  },
  {
    id: 'LG02',
    promise: 'A reason that names the address is refused: it would stay in the chain.',
    file: 'lib/operators/permanent.ts',
    find: 'acting.reason.toLowerCase().includes(address.toLowerCase())',
    replace: 'acting.reason === address',
    tests: removal,
  },
  {
    id: 'LG03',
    promise: 'A key that is an address itself never comes into an entry.',
    file: 'lib/migrations/functions/permanent.sql',
    find: ' or g.person_column = any(g.key_columns)',
    replace: '',
    tests: removal,
  },
  {
    id: 'LG04',
    promise: 'One removal takes one row, also by an address.',
    file: 'lib/migrations/functions/permanent.sql',
    find: `if n <> 1 or elsewhere <> 1 then`,
    replace: 'if n < 1 then',
    tests: removal,
  },
  {
    id: 'LG05',
    promise: 'Where a month is shorter than thirty days, the month counts.',
    file: 'lib/migrations/functions/erasure.sql',
    find: `least(asked + interval '30 days', (asked`,
    replace: `greatest(asked + interval '30 days', (asked`,
    tests: clock,
  },
  {
    id: 'LG06',
    promise: 'A request whose month is over is told of as critical.',
    file: 'lib/rights/clock.ts',
    find: `severity: due.over ? 'critical' : 'warning'`,
    replace: `severity: 'warning'`,
    tests: clock,
  },
  {
    id: 'LG07',
    promise: 'The alert comes before the note that it was sent: a crash repeats it rather than losing it.',
    file: 'lib/rights/clock.ts',
    find: 'await reportIncidents(services, { wrong: due.map(symptomOf), over: over.map((o) => o.cause) });',
    replace: '',
    tests: clock,
  },
  {
    id: 'LG08',
    promise: 'A request that waits for a second operator has a clock too.',
    file: 'lib/rights/store.ts',
    find: `UNDER_WAY = ['requested', 'confirmed', 'open']`,
    replace: `UNDER_WAY = ['confirmed', 'confirmed', 'open']`,
    tests: clock,
  },
];
