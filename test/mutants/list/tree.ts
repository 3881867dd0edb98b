/** Rows and all that hangs on them: lib/engine/statement/below.ts, shapes/tree.ts and functions/tree.sql. */
import type { Mutant } from '../mutant';

const tree = 'test/engine/statement/tree.test.ts';

export const treeMutants: readonly Mutant[] = [
  {
    id: 'TR01',
    promise: 'A hold at any level keeps the row, not only one directly below it.',
    file: 'lib/engine/statement/below.ts',
    find: 'const found = given([asked(place, d), ...under(place, d, depth + 1)]);',
    replace: 'const found = given([asked(place, d)]);',
    tests: [`${tree}:keeps the root`],
  },
  {
    id: 'TR02',
    promise: 'A row goes with those below it only where each of them may go itself.',
    file: 'lib/engine/statement/predicate.ts',
    find: `    }),
    staysBelow(w),
`,
    replace: `    }),
`,
    tests: [`${tree}:go with all below them`],
  },
  {
    id: 'TR03',
    promise: 'A row that another keeps is counted with the table of that one, not as kept by itself.',
    file: 'lib/engine/statement/keeping.ts',
    find: 'literal(keptUnder(reason, tableLabel(by)))',
    replace: 'literal(reason)',
    tests: [`${tree}:keeps the root`],
  },
  {
    id: 'TR04',
    promise: 'A row that is kept by itself is not said to be kept by one below it.',
    file: 'lib/engine/statement/keeping.ts',
    find: `coalesce(\${first}, \${deeper})`,
    replace: `coalesce(\${deeper}, \${first})`,
    tests: [`${tree}:is said first`],
  },
];
