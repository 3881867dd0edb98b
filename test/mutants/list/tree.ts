/** Rows and all that hangs on them: lib/engine/statement/below.ts, shapes/tree.ts and functions/tree.sql. */
import type { Mutant } from '../mutant';

const levels = 'test/dev/proof-levels.test.ts';
const tree = 'test/engine/statement/tree.test.ts';
const bounds = 'test/engine/statement/tree-bounds.test.ts';
const plans = 'test/engine/statement/tree-plans.test.ts';

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
  {
    id: 'TR20',
    promise:
      'Rows that were not counted before they went are counted then, and stay where they are too many.',
    file: 'lib/engine/statement/deleting.ts',
    find: `\${bound(shape)} cross join lateral`,
    replace: ' cross join lateral',
    tests: [`${bounds}:lets nothing go where the deletion finds more`],
  },
  {
    id: 'TR21',
    promise: 'A batch of too many rows is asked again in the form that counts first.',
    file: 'lib/engine/run/settle.ts',
    find: "error.failure === 'timeout' || error.sqlState === TOO_MANY",
    replace: "error.failure === 'timeout'",
    tests: [`${bounds}:lets nothing go where the deletion finds more`],
  },
  {
    id: 'TR22',
    promise: 'A batch that was not counted and took too long is asked again in the form that counts first.',
    file: 'lib/engine/run/settle.ts',
    find: "error.failure === 'timeout' || error.sqlState === TOO_MANY",
    replace: 'error.sqlState === TOO_MANY',
    tests: [`${bounds}:counts first where one that was not counted took too long`],
  },
  {
    id: 'TR23',
    promise: 'A batch that was too large is counted when it is asked again.',
    file: 'lib/engine/statement/shapes/tree.ts',
    find: 'ask: { ...counted, mostRows: most } } };',
    replace: 'ask: { ...request, mostRows: most } } };',
    tests: [`${bounds}:lets nothing go where the deletion finds more`],
  },
  {
    id: 'TR24',
    promise: 'The first batch of a tree, of which nothing is known, is counted.',
    file: 'lib/engine/run/sweep.ts',
    find: '#rowsOfEach: number | undefined;',
    replace: '#rowsOfEach: number | undefined = 1;',
    tests: [`${bounds}:counts the first`],
  },
  {
    id: 'TR05',
    promise:
      'What goes along is locked before the batch looks what lies below it: it does not leave meanwhile.',
    file: 'lib/engine/statement/shapes/tree.ts',
    find: 'lock: found(sql` for update`)',
    replace: 'lock: found(sql``)',
    tests: [`${levels}:what comes below a locked row`],
  },
  {
    id: 'TR06',
    promise: 'What a hold keeps and came below a row after it was picked keeps that row.',
    file: 'lib/engine/statement/shapes/locked.ts',
    find: `held(walk),\n    walk.isExtendable && extended`,
    replace: `walk.isExtendable && extended`,
    tests: [`${levels}:what comes below a locked row`],
  },
  {
    id: 'TR07',
    promise: 'A row that something began to keep while its batch ran fails no run: the batch steps over it.',
    file: 'lib/engine/guard/poison.ts',
    find: `steps over it.\n  return 'again';`,
    replace: `steps over it.\n  return 'no';`,
    tests: [`${levels}:begins to refer`],
  },
  {
    id: 'TR08',
    promise: 'A dry run counts a row once that goes with several, wherever these lie.',
    file: 'lib/engine/statement/preview.ts',
    find: 'mayHangOnSeveral(policy)',
    replace: 'mayHangOnSeveral(policy) && legs.length > 1',
    tests: [`${tree}:is counted once wherever the pages`],
  },
  {
    id: 'TR25',
    promise:
      'What hangs on a row is asked for by index, however deep, not joined from the lowest table upwards.',
    file: 'lib/engine/statement/below.ts',
    find: ' offset 0)`;\n\n/** Whether it is true',
    replace: ')`;\n\n/** Whether it is true',
    tests: [`${plans}:analyzed reads by index what hangs on the rows of a batch`],
  },
  {
    id: 'TR26',
    promise:
      'A row is asked whether a hold or an extension names it; what hangs on it is not searched for each of those.',
    file: 'lib/engine/statement/below.ts',
    find: `asked && sql\`\${asked} is true\``,
    replace: 'asked',
    tests: [`${plans}:analyzed reads few more where holds`],
  },
  {
    id: 'TR27',
    promise: 'Rows that are known already do not hide others that hang on the same.',
    file: 'lib/migrations/functions/tree.sql',
    find: " + case when (step ->> 'once')::boolean then 0 else cardinality(cs) end",
    replace: '',
    tests: [`${bounds}:finds what hangs on rows behind others`],
  },
  {
    id: 'TR09',
    promise: 'A chain goes from its end: what is deepest first.',
    file: 'lib/migrations/functions/tree.sql',
    find: 'order by max(y.depth) desc limit most',
    replace: 'order by max(y.depth) limit most',
    tests: ['test/engine/run/tree-apart.test.ts:far deeper than a batch'],
  },
  {
    id: 'TR10',
    promise: 'The end of a chain is taken only where it was found the same twice, with its rows locked.',
    file: 'lib/migrations/functions/tree.sql',
    find: 'exit when seen = before;',
    replace: 'exit;',
    tests: ['test/engine/run/tree-apart.test.ts:with every row of the chain locked'],
  },
];
