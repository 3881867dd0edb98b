/** Lanes by the index: lib/engine/run/{leg-walk,stretches,divided,lanes}.ts and where a stretch ends. */
import type { Mutant } from '../mutant';

const walk = 'lib/engine/run/leg-walk.ts';
const stretches = 'lib/engine/run/stretches.ts';
const unit = (title: string) => [`test/engine/run/leg-walk.test.ts:${title}`];
const whole = (title: string) => [`test/engine/run/lanes.test.ts:${title}`];

export const laneMutants: readonly Mutant[] = [
  {
    id: 'LN1',
    promise: 'A cursor never passes a place that is not done.',
    file: stretches,
    find: 'return this.#left[0]?.at ?? null;',
    replace: 'return this.#left.at(-1)?.at ?? null;',
    tests: unit('looks at each row once'),
  },
  {
    id: 'LN2',
    promise: 'A stretch that is divided ends where its other half begins.',
    file: stretches,
    find: '    of.until = middle;\n',
    replace: '',
    tests: unit('an idle lane takes half'),
  },
  {
    id: 'LN3',
    promise: 'What stops one lane stops all, whatever the others hear after it.',
    file: walk,
    find: 'this.#stop ??= stop;',
    replace: 'this.#stop = stop;',
    tests: unit('of one lane stops all'),
  },
  {
    id: 'LN4',
    promise: 'A lost lease stops all lanes, and none leaves a checkpoint behind it.',
    file: walk,
    find: '      this.#stop ??= { ending: lost };\n      return true;\n',
    replace: '      this.#stop ??= { ending: lost };\n',
    tests: unit('is a lost lease'),
  },
  {
    id: 'LN5',
    promise: 'An error in one lane stops the others.',
    file: walk,
    find: '      this.#stop ??= { ending: null };\n      throw error;',
    replace: '      throw error;',
    tests: unit('is an error'),
  },
  {
    id: 'LN6',
    promise: 'In company one lane works.',
    file: walk,
    find: 'if (this.#atWork > 0 && this.request.isOneByOne()) {',
    replace: 'if (this.#atWork > 1 && this.request.isOneByOne()) {',
    tests: unit('in company one lane'),
  },
  {
    id: 'LN7',
    promise: 'A run that may not delete all takes the first rows, one lane after them.',
    file: 'lib/engine/run/divided.ts',
    find: '  most.rows > 2 * mostUnderWay(run.lanes) &&\n',
    replace: '',
    tests: whole('what bounds a run'),
  },
  {
    id: 'LN15',
    promise: 'Lanes pass no limit: just before it one batch is sent at a time.',
    file: 'lib/engine/run/sweep.ts',
    find: 'return this.#room < mostUnderWay(run.lanes) || ',
    replace: 'return ',
    tests: whole('a limit far above'),
  },
  {
    id: 'LN8',
    promise: 'The number of a batch that failed is no other lane’s while its rows are tried.',
    file: 'lib/engine/run/batches.ts',
    find: '      neighbors.wrote();\n      await this.#fitness',
    replace: '      neighbors.wrote();\n      this.#seqs.giveBack(request.seq);\n      await this.#fitness',
    tests: whole('are set aside in whatever lane'),
  },
  {
    id: 'LN9',
    promise: 'A stretch of clocks ends before the next.',
    file: 'lib/engine/statement/legs/columns.ts',
    find: `until !== undefined && sql\`\${clockOf(policy)} < \${typed(until, clockType(policy))}\``,
    replace: 'false',
    tests: whole('divides a clock of type'),
  },
  {
    id: 'LN10',
    promise: 'A stretch begins with all of its first clock.',
    file: 'lib/engine/statement/legs/columns.ts',
    find: `\${clockOf(policy)} >= \${clock}\``,
    replace: `\${clockOf(policy)} > \${clock}\``,
    tests: [
      'test/engine/run/lanes.test.ts:three batches are under way',
      'test/engine/run/lanes.test.ts:divides a clock of type',
    ],
  },
  {
    id: 'LN11',
    promise: 'A stretch of tenants ends with its last one.',
    file: 'lib/engine/statement/legs/tenants.ts',
    find: `where \${allOf(first, named, last)} order by`,
    replace: `where \${allOf(first, named)} order by`,
    tests: whole('tenants are divided'),
  },
  {
    id: 'LN12',
    promise: 'A row that takes too long makes the batches of its own stretch smaller, whatever others do.',
    file: 'lib/engine/run/sweep.ts',
    find: '        next.fewer = Math.max(1, Math.floor(request.limit / 2));\n',
    replace: '',
    tests: whole('and one that takes too long'),
  },
  {
    id: 'LN13',
    promise: 'Small work has one lane.',
    file: 'lib/engine/run/divided.ts',
    find: 'total === null || total > DUE_CAP ? most : Math.min(most, Math.floor(total / rows))',
    replace: 'total === null || total > 0 ? most : Math.min(most, Math.floor(total / rows))',
    tests: whole('small work has one lane'),
  },
  {
    id: 'LN14',
    promise: 'One core of the server is left to everybody else.',
    file: 'lib/engine/run/lanes.ts',
    find: 'Math.min(MOST, cores - 1)',
    replace: 'Math.min(MOST, cores)',
    tests: unit('lanes for all cores but one'),
  },
];
