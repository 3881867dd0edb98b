/**
 * Clocks of every kind: what is no instant is never before a cutoff. Keys of every type: each is named exactly. Partitions of
 * every kind: only what is a part of the table is deleted from.
 */
import type { Mutant } from '../mutant';

const clocks = 'test/engine/run/clocks.test.ts';
const elsewhere = 'test/engine/run/clock-elsewhere.test.ts';
const places = 'test/engine/run/partitions-other.test.ts';
const keys = 'test/engine/statement/keys.test.ts';

export const clockMutants: readonly Mutant[] = [
  {
    id: 'CK1',
    promise: 'A number that stands for no time, or counts in another unit, is no instant.',
    file: 'lib/policies/clocks/epoch.ts',
    find: 'const FIRST = 31_536_000;',
    replace: 'const FIRST = -1;',
    tests: [`${clocks}:a clock of`],
  },
  {
    id: 'CK2',
    promise: 'A text in another form than the one that sorts as it counts is no instant.',
    file: 'lib/policies/clocks/iso.ts',
    find: `isBefore: (value, cutoff) => sql\`\${instant(value)} < \${cutoff}\``,
    replace: 'isBefore: () => sql`true`',
    tests: [`${clocks}:a clock of`],
  },
  {
    id: 'CK3',
    promise: 'A number of seconds is before a cutoff only where all of that second is.',
    file: 'lib/policies/clocks/epoch.ts',
    find: `sql\`ceil(\${count})::bigint\``,
    replace: `sql\`ceil(\${count})::bigint + 1\``,
    tests: [`${clocks}:a clock of`],
  },
  {
    id: 'CK4',
    promise: 'Of several columns the first that is set counts, not the oldest.',
    file: 'lib/policies/clocks/index.ts',
    find: `sql\`coalesce(\${list(...columns)})\``,
    replace: `sql\`least(\${list(...columns)})\``,
    tests: [`${clocks}:of two columns`],
  },
  {
    id: 'CK5',
    promise: 'Of several columns the latest counts where the policy says so.',
    file: 'lib/policies/clocks/index.ts',
    find: `sql\`greatest(\${list(...columns)})\``,
    replace: `sql\`coalesce(\${list(...columns)})\``,
    tests: [`${clocks}:of two columns`],
  },
  {
    id: 'CK6',
    promise: 'Only a clock that lies ahead may be kept for no time at all.',
    file: 'lib/policies/contract.ts',
    find: '  policy.clock.ahead\n    ? []',
    replace: '  true\n    ? []',
    tests: [`${clocks}:goes at once`],
  },
  {
    id: 'CK7',
    promise: 'An index counts only where PostgreSQL finds the rows in the order of the walk by it.',
    file: 'lib/engine/statement/preflight-indexes.ts',
    find: '!/Sort$/.test(n.node) && ',
    replace: '',
    tests: [`${clocks}:an index`],
  },
  {
    id: 'CK8',
    promise: 'An index does not count by which rows of other rules would be read on the way.',
    file: 'lib/engine/statement/preflight-indexes.ts',
    find: ' && (n.filter === null || unmarked.includes(n.filter))',
    replace: '',
    tests: [`${clocks}:an index`],
  },
  {
    id: 'KY1',
    promise: 'A key of text that may name a person is refused, also where its type is not declared.',
    file: 'lib/engine/statement/preflight-columns.ts',
    find: `    .filter((k) => k.personal !== false && TEXT.test(r.columns[k.column]!.base))`,
    replace: `    .filter(() => false)`,
    tests: [`${keys}:of text is refused`],
  },
  {
    id: 'KY2',
    promise: 'A domain over text is text.',
    file: 'lib/engine/statement/preflight-columns.ts',
    find: `TEXT.test(r.columns[k.column]!.base)`,
    replace: `TEXT.test(r.columns[k.column]!.plain)`,
    tests: [`${keys}:of text is refused`],
  },
  {
    id: 'PL1',
    promise: 'From a partition that was detached while a run lasts nothing more is deleted.',
    file: 'lib/engine/statement/request.ts',
    find: '    t.of &&\n',
    replace: '    false &&\n      t.of &&\n',
    tests: [`${places}:while a run lasts`],
  },
  {
    id: 'PL2',
    promise: 'A partition in a schema that the role may not use is refused, with what opens it.',
    file: 'lib/migrations/functions/partitions.sql',
    find: `has_schema_privilege(n.oid, 'USAGE') and `,
    replace: '',
    tests: [`${places}:a table partitioned`],
  },
  {
    id: 'PL3',
    promise: 'What is left is looked for in every partition there is by then.',
    file: 'lib/engine/run/pass.ts',
    find: 'await leftOnLeaves(await onEachLeaf(work.policy, legs, reading), asOf, reading)',
    replace: 'await leftOnLeaves([], asOf, reading)',
    tests: [`${places}:while a run lasts`],
  },
  {
    id: 'CE1',
    promise: 'No change of a clock in another table passes by a running batch.',
    file: 'lib/engine/statement/preflight-elsewhere.ts',
    find: '  if (waits || isGated(catalog, r)) return [];',
    replace: '  if (waits || isGated(catalog, r) || true) return [];',
    tests: [`${elsewhere}:never misses a change`],
  },
  {
    id: 'CE2',
    promise: 'A row goes by the clock of one row of the other table, not of any of several.',
    file: 'lib/engine/statement/preflight-elsewhere.ts',
    find: '...isOne(r, clock.in), ',
    replace: '',
    tests: [`${elsewhere}:is refused where`],
  },
  {
    id: 'CE3',
    promise: 'A gate on single columns does not count where another trigger writes them.',
    file: 'lib/engine/statement/preflight-elsewhere.ts',
    find: '(!isWritten && columns',
    replace: '(columns',
    tests: [`${elsewhere}:demands the gate`],
  },
];
