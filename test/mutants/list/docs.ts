/** What the database and the documents say of themselves: lib/dev/docs, the dictionary and the times of rows. */
import type { Mutant } from '../mutant';

const rules = 'lib/dev/docs/data-model-rules.ts';
const model = (title: string) => [`test/dev/docs/data-model.test.ts:${title}`];

export const docsMutants: readonly Mutant[] = [
  {
    id: 'U01',
    promise: 'A table that says it is restricted may not be read by the role of the app.',
    file: rules,
    find: "marks.class === 'restricted' && appMayRead",
    replace: "marks.class === 'restricted' && !appMayRead",
    tests: model('is refused as'),
  },
  {
    id: 'U02',
    promise: 'A column that can hold what a person wrote says how it is classified.',
    file: rules,
    find: 'if (!marks.text || (decides && !marks.class)) return [line];',
    replace: 'if (!marks.text) return [line];',
    tests: model('a new table that says nothing'),
  },
  {
    id: 'U03',
    promise: 'Personal data without a handling is refused.',
    file: rules,
    find: 'if ((marks.personal === null) !== (marks.handling === null)) return [line];',
    replace: 'if (marks.personal === null && marks.handling !== null) return [line];',
    tests: model('a new table that says nothing'),
  },
  {
    id: 'U04',
    promise: 'The switch that stops everything tells when it last changed.',
    file: 'lib/migrations/retention/0037_times.sql',
    find: 'create trigger lapse_touch before update on retention.kill_switch',
    replace: 'create trigger lapse_touch before delete on retention.kill_switch',
    tests: ['test/migrations/migrations.test.ts:tells when a row last changed'],
  },
  {
    id: 'U05',
    promise: 'Customers are told when a request to erase does not reach a table.',
    file: 'lib/dev/docs/retention.ts',
    find: 'if (scope.user && scope.organization)',
    replace: 'if (scope.user || scope.organization)',
    tests: ['test/dev/docs/retention.test.ts:whether a request to erase reaches it'],
  },
  {
    id: 'U06',
    promise: 'A row of a permanent table that others refer to stays, and the answer says so.',
    file: 'lib/operators/carry-out.ts',
    find: "if (error.sqlState === '23503') {",
    replace: "if (error.sqlState === '23001') {",
    tests: ['test/operators/permanent.test.ts:a row that others refer to'],
  },
];
