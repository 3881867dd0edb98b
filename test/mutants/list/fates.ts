/** What becomes of rows that refer to those that go, and of rows that stay for the sake of their group. */
import type { Mutant } from '../mutant';

const statement = 'lib/engine/statement';
const along = 'test/engine/statement/mask-along.test.ts';
const spared = 'test/engine/statement/spared.test.ts';
const races = 'test/engine/statement/spared-races.test.ts';
const settle = `${statement}/spared/settle.ts`;
const judge = `${statement}/spared/judge.ts`;
const contents = 'test/engine/statement/contents.test.ts';
const detach = 'test/engine/statement/detach.test.ts';

export const fateMutants: readonly Mutant[] = [
  {
    id: 'FT01',
    promise: 'A receipt names every row that lost its reference.',
    file: 'lib/migrations/functions/receipts.sql',
    find: "nullif(nullif(current_setting('lapse.detached', true), ''), '{}')::jsonb",
    replace: 'null',
    tests: [`${detach}:is named in the receipt`],
  },
  {
    id: 'FT02',
    promise: 'What a receipt says of them is part of its hash.',
    file: 'lib/migrations/functions/receipts.sql',
    find: "'archive:' || c.archive::text, 'detached:' || c.detached::text",
    replace: "'archive:' || c.archive::text",
    tests: [`${detach}:the chain of receipts`, `${detach}:is named in the receipt`],
  },
  {
    id: 'FT03',
    promise: 'A hold on a row keeps its reference, and what it refers to.',
    file: `${statement}/predicate.ts`,
    find: 'policy.key), ...own, theirs, ...contents, along)',
    replace: 'policy.key), theirs, ...contents, along)',
    tests: [`${detach}:a hold on a row`],
  },
  {
    id: 'FT04',
    promise: 'Rows that go together are not changed first, or their places would be others.',
    file: `${statement}/detach.ts`,
    find: 'isSelf && sql`d.ctid <> all(',
    replace: 'isSelf && sql`true or d.ctid <> all(',
    tests: [`${detach}:a revision that stays`],
  },
  {
    id: 'FT05',
    promise: 'What loses its reference has a foreign key, or a row written meanwhile would refer to nothing.',
    file: `${statement}/preflight-gates.ts`,
    find: '!(goes || losing.includes(declared))',
    replace: '!goes',
    tests: [`${detach}:no foreign key says so`],
  },
  {
    id: 'FT06',
    promise:
      'A column that may not be null, or is under a constraint nobody has looked at, is refused first.',
    file: `${statement}/preflight.ts`,
    find: '  detachable,\n  fileIndexes',
    replace: '  fileIndexes',
    tests: [`${detach}:the column may not be null`, `${detach}:a constraint could refuse`],
  },
  {
    id: 'FT07',
    promise: 'A trigger on UPDATE of what loses its reference is looked at first.',
    file: `${statement}/preflight-along.ts`,
    find: "      on: 'update' as const,\n      columns: clearedColumns(declared),",
    replace: "      on: 'update' as const,\n      columns: clearedColumns(declared).slice(9),",
    tests: [`${detach}:a trigger could keep it`],
  },
  {
    id: 'FT08',
    promise: 'Dependants of a row that is masked go only where the strategy says so.',
    file: 'lib/policies/strategies/mask.ts',
    find: 'takesAlong: goes,',
    replace: 'takesAlong: true || goes,',
    tests: [`${along}:without saying so`],
  },
  {
    id: 'FT09',
    promise: 'The net counts what leaves with rows that stay.',
    file: 'lib/migrations/functions/batch.sql',
    find: 'if gone <> named then',
    replace: "if gone <> named and rc.action = 'delete' then",
    tests: [`${along}:what leaves beside them`],
  },
  {
    id: 'FT10',
    promise: 'A table from which rows go along has its guard, also where the row itself stays.',
    file: `${statement}/preflight-facts.ts`,
    find: '[...own, ...this.going.map((g) => g.relation)]',
    replace: '[...own, ...(own.length > 0 ? this.going.map((g) => g.relation) : [])]',
    tests: [`${along}:they are not guarded`],
  },
  {
    id: 'FT11',
    promise: 'Another decision about the dependants of masked rows waits out the cooling-off.',
    file: 'lib/policies/strategies/mask.ts',
    find: '({ column, to })), dependants },',
    replace: '({ column, to })) },',
    tests: [`${along}:without saying so`],
  },
  {
    id: 'FT12',
    promise: 'What stays of a group is looked for again after the rows that go were locked.',
    file: `${statement}/shapes/spares.ts`,
    find: 'between: [sparing(b, LOCKED_PLACES), ...(shape.between ?? [])],',
    replace:
      'between: [...(b.request.seq < 0 ? [sparing(b, LOCKED_PLACES)] : []), ...(shape.between ?? [])],',
    tests: [`${spared}:between the look and the lock`],
  },
  {
    id: 'FT13',
    promise: 'What stays of a group is locked until the batch has ended.',
    file: settle,
    find: ' for share skip locked',
    replace: '',
    tests: [`${races}:the one row that a period keeps`],
  },
  {
    id: 'FT15',
    promise: 'Rows of equal clocks are told apart by their key.',
    file: judge,
    find: 'list(clockOf(policy, alias), ...keyOf(policy, alias));',
    replace: 'list(clockOf(policy, alias));',
    tests: [`${spared}:are told apart by the key`],
  },
  {
    id: 'FT16',
    promise: 'Rows that are marked already stand for none that stays.',
    file: judge,
    find: 'mark !== null && ',
    replace: 'mark === alias && ',
    tests: [`${spared}:do not count those that are marked`],
  },
  {
    id: 'FT17',
    promise: 'A time that comes twice lies in one day.',
    file: judge,
    find: "(policy, rank, 'n')} = ",
    replace: "(policy, rank, 'n')} >= ",
    tests: [`${spared}:whose midnight comes twice`, `${spared}:are those that plain SQL finds`],
  },
  {
    id: 'FT18',
    promise: 'Rows of no group are refused, and so is a group without an index.',
    file: `${statement}/preflight.ts`,
    find: '  groups,\n  detachable',
    replace: '  detachable',
    tests: [`${spared}:is refused where`],
  },
  {
    id: 'FT19',
    promise: 'Fewer that stay, or another tier, wait out the cooling-off.',
    file: 'lib/policies/effective.ts',
    find: '    keepAtLeast: policy.keepAtLeast,\n    thin: policy.thin,\n',
    replace: '',
    tests: [`${spared}:waits out the cooling-off`],
  },
  {
    id: 'FT20',
    promise: 'What the rows refer to is locked before it is asked who else refers to it.',
    file: `${statement}/shapes/with-contents.ts`,
    find: 'between: [lockingContents(b, LOCKED_PLACES), ...(shape.between ?? [])],',
    replace:
      'between: [...(b.request.seq < 0 ? [lockingContents(b, LOCKED_PLACES)] : []), ...(shape.between ?? [])],',
    tests: [`${contents}:of two batches`, `${contents}:while someone else decides`],
  },
  {
    id: 'FT21',
    promise: 'A content stays while another row of the table refers to it.',
    file: `${statement}/contents.ts`,
    find: 'return anyOf(...own, ...sharing(content));',
    replace: 'return anyOf(...own.slice(9), ...sharing(content));',
    tests: [`${contents}:goes with the last row`],
  },
  {
    id: 'FT22',
    promise: 'A content stays while a row of another table refers to it.',
    file: `${statement}/contents.ts`,
    find: 'return anyOf(...own, ...sharing(content));',
    replace: 'return anyOf(...own, ...sharing(content).slice(9));',
    tests: [`${contents}:stays without one`],
  },
  {
    id: 'FT23',
    promise: 'A hold on a content keeps every row that refers to it.',
    file: `${statement}/predicate.ts`,
    find: 'theirs, ...contents, along)',
    replace: 'theirs, ...contents.slice(9), along)',
    tests: [`${contents}:a hold on it`],
  },
  {
    id: 'FT24',
    promise: 'Every foreign key that points at a content is declared.',
    file: `${statement}/preflight-contents.ts`,
    find: 'return [...undeclared, ...unheld(',
    replace: 'return [...undeclared.slice(9), ...unheld(',
    tests: [`${contents}:stays, by a foreign key`],
  },
  {
    id: 'FT25',
    promise: 'What refers to a content without a foreign key is behind a gate.',
    file: `${statement}/preflight-contents.ts`,
    find: 'catalog.policy.dependants.slice(0, content.sharedWith.length)',
    replace: 'catalog.policy.dependants.slice(0, 0)',
    tests: [`${contents}:stays without one`],
  },
  {
    id: 'FT26',
    promise:
      'A row held by its organization is not changed, however the reference to its own table is declared.',
    file: `${statement}/predicate.ts`,
    find: '? { ...policy.scope, ...d.scope } : d.scope',
    replace: '? d.scope : d.scope',
    tests: [`${detach}:a row held by its organization`],
  },
];
