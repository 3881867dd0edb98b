/** A strategy whose rows stay: what is masked, when, and what it never touches. */
import type { Mutant } from '../mutant';

const mask = 'lib/policies/strategies/mask.ts';
const test = 'test/engine/statement/mask.test.ts';

export const maskMutants: readonly Mutant[] = [
  {
    id: 'MK1',
    promise: 'A hash depends on the key.',
    file: 'lib/platform/keys.ts',
    find: 'byte ^ (key[i] ?? 0)',
    replace: 'byte',
    tests: [`${test}:is masked once`],
  },
  {
    id: 'MK2',
    promise: 'Without its key a policy that hashes stops the start.',
    file: mask,
    find: '!key || !KEY.test(key)',
    replace: 'false',
    tests: [`${test}:stops the start`],
  },
  {
    id: 'MK3',
    promise: 'A row that was masked is not masked again.',
    file: mask,
    find: '...columns.map((c) => ({ column: c.column, to: becomes(c) })),\n        { column: mark, to: MARKED_NOW },',
    replace: '...columns.map((c) => ({ column: c.column, to: becomes(c) })),',
    tests: [`${test}:is masked once`],
  },
  {
    id: 'MK4',
    promise: 'Columns that name files are never masked.',
    file: mask,
    find: 'column.names_files,',
    replace: 'false,',
    tests: [`${test}:a column that names files`],
  },
  {
    id: 'MK5',
    promise: 'Columns of a unique index are never masked, nor of a unique expression.',
    file: 'lib/engine/statement/preflight-catalog.ts',
    find: '(a.attnum = any(i.indkey::int2[]) or exists (',
    replace: '(a.attnum = any(i.indkey::int2[]) and exists (',
    tests: [`${test}:a unique`],
  },
  {
    id: 'MK6',
    promise: 'A constraint on a masked column is looked at by a person first.',
    file: mask,
    find: "!known.includes(name) && !(kind === 'f' && masked.to === null)",
    replace: 'false && name !== kind && known.length > 9',
    tests: [`${test}:a constraint nobody has looked at`],
  },
  {
    id: 'MK7',
    promise: 'What finds or names a row is never masked.',
    file: mask,
    find: '...(taken.has(column)',
    replace: '...(taken.size < 0',
    tests: [`${test}:a declaration that masks what is`],
  },
  {
    id: 'MK8',
    promise: 'A mask of more columns waits out the cooling-off.',
    file: mask,
    find: 'reach: { mark, columns: columns.map(({ column, to }) => ({ column, to })), dependants },',
    replace: 'reach: declared.kind,',
    tests: ['test/engine/guard/cooling.test.ts:a mask of one column more'],
  },
];
