/** What a plan counts, with which rights, and how the record it compares with is kept. */
import type { Mutant } from '../mutant';

const plan = 'test/watch/plan/plan.test.ts';
const command = 'test/dev/cli/plan.test.ts';

export const planMutants: readonly Mutant[] = [
  {
    id: 'Y01',
    promise: 'A plan counts no row that production may delete anyway.',
    file: `lib/watch/plan/except.ts`,
    find: `.takes))} is not true\``,
    replace: `.takes))} is not null\``,
    tests: [plan],
  },
  {
    id: 'Y02',
    promise: 'No SQL from a record runs with the rights of the owner.',
    file: 'lib/watch/plan/effect.ts',
    find: 'if (!before || !isOwner ||',
    replace: 'if (!before || isOwner ||',
    tests: [command],
  },
  {
    id: 'Y03',
    promise: 'The periods that production has from its environment count in a plan.',
    file: 'lib/policies/recorded.ts',
    find: 'return set === undefined ? declared : { ...declared, seconds: set };',
    replace: 'return declared;',
    tests: [plan],
  },
  {
    id: 'Y04',
    promise: 'A plan over a plain connection cannot write.',
    file: 'lib/dev/read-only.ts',
    find: 'isolation level read committed, read only',
    replace: 'isolation level read committed',
    tests: [command],
  },
  {
    id: 'Y05',
    promise: 'A count of a plan ends at its bound.',
    file: 'lib/watch/plan/except.ts',
    find: 'counting.inTime() && found.picked < counting.mostRows',
    replace: 'counting.inTime()',
    tests: [plan],
  },
  {
    id: 'Y06',
    promise: 'The record follows a schedule that changes without another version.',
    file: 'lib/migrations/functions/guards.sql',
    find: ' or policy_version.declaration is distinct from excluded.declaration;',
    replace: ';',
    tests: [plan],
  },
  {
    id: 'Y07',
    promise: 'The cutoff of production itself is on the branch’s side of the difference.',
    file: 'lib/watch/plan/except.ts',
    find: 'asOf.getTime() - seconds * 1000 - 1)',
    replace: 'asOf.getTime() - seconds * 1000)',
    tests: [plan],
  },
  {
    id: 'Y08',
    promise: 'What goes no earlier than under production is no part of the days ahead.',
    file: 'lib/watch/plan/ahead.ts',
    find: 'seconds > first;',
    replace: 'seconds >= first;',
    tests: ['test/watch/plan/random.test.ts'],
  },
];
