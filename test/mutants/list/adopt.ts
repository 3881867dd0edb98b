/** What adopting a database may change, offer and write. */
import type { Mutant } from '../mutant';

const survey = 'test/dev/adopt/survey.test.ts';
const way = 'test/dev/adopt/adopt.test.ts';
const written = 'test/dev/adopt/written.test.ts';

export const adoptMutants: readonly Mutant[] = [
  {
    id: 'Q01',
    promise: 'Looking at a database cannot change it.',
    file: 'lib/dev/adopt/read-only.ts',
    find: 'read committed read only',
    replace: 'read committed',
    tests: [survey],
  },
  {
    id: 'Q02',
    promise: 'Rows that are only old are never offered by themselves.',
    file: 'lib/dev/adopt/draft.ts',
    find: 'if (!isMadeToPass(table.facts.name)) return false;',
    replace: '',
    tests: [survey],
  },
  {
    id: 'Q03',
    promise:
      'What the engine would refuse is not offered after a change of the schema that nobody has agreed to.',
    file: 'lib/dev/adopt/judge.ts',
    find: '/^(GRANT |',
    replace: '/^(GRANT |ALTER |',
    tests: [survey],
  },
  {
    id: 'Q04',
    promise: 'A table with row-level security is not offered to a login that would see a part of it.',
    file: 'lib/dev/adopt/judge.ts',
    find: 'rls: right.row_security && !bypasses,',
    replace: 'rls: false,',
    tests: [survey],
  },
  {
    id: 'Q05',
    promise: 'The SQL file has every right that the app lacks, whatever its writer may do.',
    file: 'lib/dev/adopt/judge.ts',
    find: 'may: { use, select, delete: deletes, update },',
    replace: 'may: r.may,',
    tests: [way],
  },
  {
    id: 'Q06',
    promise: 'A line of the data map that a person wrote is never replaced.',
    file: 'lib/dev/adopt/map-lines.ts',
    find: ' && UNDECIDED.test(line)',
    replace: '',
    tests: [written],
  },
  {
    id: 'Q07',
    promise: 'What cascades with a row is declared as going with it.',
    file: 'lib/dev/adopt/draft.ts',
    find: "c: 'delete', n: 'keep'",
    replace: "c: 'keep', n: 'keep'",
    tests: [survey],
  },
  {
    id: 'Q08',
    promise: 'A key of text that may name a person is not written into receipts.',
    file: 'lib/dev/adopt/keys.ts',
    find: 'keyNamesNobody !== true && !isOpaque(',
    replace: 'keyNamesNobody === true && !isOpaque(',
    tests: [survey],
  },
  {
    id: 'Q09',
    promise: 'An index that an interrupted build has left does not pass for one that answers.',
    file: 'lib/dev/adopt/apply.ts',
    find: 'and not i.indisvalid`',
    replace: 'and i.indisvalid`',
    tests: ['test/dev/adopt/apply.test.ts'],
  },
  {
    id: 'AD90',
    promise: 'An empty date that says that a row is not over is never filled with another.',
    file: 'lib/dev/adopt/clocks.ts',
    find: '  if (!clock.nullable || !/^(happened|made|changed|unknown)$/.test(clock.meaning)) return clock;',
    replace: '  if (!clock.nullable) return clock;',
    tests: ['test/dev/adopt/clocks.test.ts:takes what counts otherwise'],
  },
  {
    id: 'AD91',
    promise: 'A text is a clock only where all rows have one form.',
    file: 'lib/dev/adopt/sample.ts',
    find: `\`bool_and(\${column} ~`,
    replace: `\`bool_or(\${column} ~`,
    tests: ['test/dev/adopt/clocks.test.ts:takes texts and numbers'],
  },
  {
    id: 'AD92',
    promise: 'A reference into several tables is taken for no user.',
    file: 'lib/dev/adopt/conventions.ts',
    find: '!namesManyTables(table, c) &&',
    replace: '',
    tests: [`${survey}:takes no reference into several tables`],
  },
  {
    id: 'AD94',
    promise: 'The client of a token, which is a program, is taken for no user.',
    file: 'lib/dev/adopt/conventions.ts',
    find: '!isProgram(c, table.name) &&',
    replace: '',
    tests: [`${survey}:takes the user of a row`],
  },
  {
    id: 'AD95',
    promise: 'A survey has nothing compiled.',
    file: 'lib/dev/adopt/read-only.ts',
    find: "set_config('jit', 'off', true), ",
    replace: '',
    tests: [`${survey}:has nothing compiled`],
  },
  {
    id: 'AD96',
    promise:
      'A date of something else than the row, as a letter that was sent to a user, does not say that the row is over.',
    file: 'lib/dev/adopt/clocks.ts',
    find: 'return wordsOf(table).some((word) => singular(word) === singular(last));',
    replace: 'return true;',
    tests: [`${written}:of what stands before it`],
  },
  {
    id: 'AD93',
    promise: 'What is counted of a table is counted of all of it, not of its first rows.',
    file: 'lib/dev/adopt/sample.ts',
    find: ' order by random()`',
    replace: '`',
    tests: [`${survey}:looks at rows of every age`],
  },
];
