/** Notices: what nobody was told of stays, whoever is told is told once, and the calendar is what will happen. */
import type { Mutant } from '../mutant';

const guard = ['test/engine/run/unnoticed.test.ts'];
const calendar = ['test/watch/calendar/calendar.test.ts'];

export const noticeMutants: readonly Mutant[] = [
  {
    id: 'NO1',
    promise: 'What a policy must tell of first stays until it has been told.',
    file: 'lib/engine/statement/predicate.ts',
    find: `not \${unheard}\`;`,
    replace: `not (\${unheard} and false)\`;`,
    tests: guard,
  },
  {
    id: 'NO2',
    promise: 'A message counts from so many days after it was delivered.',
    file: 'lib/engine/statement/predicate.ts',
    find: 'constant(days * DAY_SECONDS)',
    replace: 'constant(days)',
    tests: guard,
  },
  {
    id: 'NO3',
    promise: 'A message to one organization is none to another.',
    file: 'lib/engine/statement/predicate.ts',
    find: `    sql\`n.tenant = \${id('t', policy.tenants!.column)}::text\`,\n`,
    replace: '',
    tests: guard,
  },
  {
    id: 'NO4',
    promise: 'A message about one policy is none about another.',
    file: 'lib/engine/statement/predicate.ts',
    find: `    sql\`n.policy = \${literal(policy.name)}\`,\n`,
    replace: '',
    tests: guard,
  },
  {
    id: 'NO5',
    promise: 'A message counts for the period that it spoke of.',
    file: 'lib/engine/statement/predicate.ts',
    find: `    sql\`n.keep_seconds = extract(epoch from \${asOf} - \${cutoff})\`,\n`,
    replace: '',
    tests: guard,
  },
  {
    id: 'NO6',
    promise: 'A message counts for the rows that it told of.',
    file: 'lib/engine/statement/predicate.ts',
    find: "    isBefore(policy, id('t', policy.clock.column), sql`n.before`),\n",
    replace: '',
    tests: guard,
  },
  {
    id: 'NO7',
    promise: 'Requiring a notice no longer waits for the cooling-off.',
    file: 'lib/policies/effective.ts',
    find: '    noticeDays: policy.notice?.requiredDays,\n',
    replace: '',
    tests: guard,
  },
  {
    id: 'NO8',
    promise: 'The calendar has what something kept until that day.',
    file: 'lib/engine/statement/spans.ts',
    find: '...(span.before ? [released(w, span.before, span)] : [])',
    replace: '',
    tests: calendar,
  },
  {
    id: 'NO9',
    promise: 'The calendar looks at no more rows of a range than its bound.',
    file: 'lib/engine/statement/spans.ts',
    find: `order by \${order} limit \${constant(most + 1)}`,
    replace: `order by \${order}`,
    tests: calendar,
  },
  {
    id: 'NO10',
    promise: 'The calendar counts no row on two days.',
    file: 'lib/engine/statement/spans.ts',
    find: `where \${mayGo(w)} and (\${might}) is not true`,
    replace: `where \${mayGo(w)}`,
    tests: calendar,
  },
  {
    id: 'NO11',
    promise: 'The calendar goes by the periods that will count on each day.',
    file: 'lib/engine/guard/ahead.ts',
    find: 'x.at::timestamptz, make_interval',
    replace: 'retention.clock(), make_interval',
    tests: calendar,
  },
];
