/**
 * Whether a row stays for the sake of its group, as a condition on `t`: fewer than so many of the group come before it. Read
 * from an index on the group, the clock and the key, so many rows and no further, however large the group is.
 */
import { allOf, constant, id, list, literal, raw, type Sql, sql } from '../../../platform/sql';
import { scaleOf } from '../../../policies/clocks';
import type { Policy } from '../../../policies/contract';
import { markOf } from '../../../policies/going';
import { type Rank, ranksOf } from '../../../policies/spared';
import { clockOf, keyOf, wholeOf } from '../legs/columns';
import type { Walk } from '../legs/walk';

/** Around a change of the clocks the same time may mean two instants: looked for within these, and then compared. */
const MARGIN = sql`interval '3 hours'`;

type Calendar = NonNullable<Rank['period']>;

/** The value of a clock as a time in the calendar's zone. */
function timeOf({ clock }: Policy, { zone }: Calendar, value: Sql): Sql {
  if (clock.type === 'timestamptz') return sql`(${value} at time zone ${literal(zone)})`;
  return clock.type === 'date' ? sql`${value}::timestamp` : value;
}

/** The way back, for comparing: so much earlier or later than the time that no value of it is missed. */
function boundOf({ clock }: Policy, { zone }: Calendar, time: Sql, sign: '-' | '+'): Sql {
  if (clock.type === 'timestamptz')
    return sql`(${time} at time zone ${literal(zone)}) ${raw(sign)} ${MARGIN}`;
  return clock.type === 'date' ? sql`(${time})::date` : time;
}

const LENGTHS = { day: '1 day', week: '1 week', month: '1 month', quarter: '3 months', year: '1 year' };
const endOf = ({ unit }: Calendar, period: Sql): Sql => sql`(${period} + interval ${literal(LENGTHS[unit])})`;

/** The period that row `t` lies in, by its beginning; 0 where groups have none. */
export const periodOf = (policy: Policy, { period }: Rank, alias = 't'): Sql =>
  period === null
    ? sql`0`
    : sql`date_trunc(${literal(period.unit)}, ${timeOf(policy, period, clockOf(policy, alias))})`;

/** Whether the tier still keeps the period of row `t`; of all of its rows the same. */
export function isLive({ policy, asOf }: Walk, rank: Rank): Sql | null {
  const { period } = rank;
  if (period === null || period.untilSeconds === null) return null;
  const end = sql`(${endOf(period, periodOf(policy, rank))} at time zone ${literal(period.zone)})`;
  return sql`${end} > ${asOf} - make_interval(secs => ${constant(period.untilSeconds)})`;
}

/** Whether a row `n` is of the group with these values and this period: one that is there, and has an instant. */
export function isOfGroup(policy: Policy, rank: Rank, values: readonly Sql[], q: Sql): Sql {
  const clock = clockOf(policy, 'n');
  const { period, per } = rank;
  const mark = markOf(policy);
  return allOf(
    ...per.map((column, i) => sql`${id('n', column)} = ${values[i]!}`),
    period && sql`${clock} >= ${boundOf(policy, period, q, '-')}`,
    period &&
      sql`${clock} ${raw(policy.clock.type === 'date' ? '<' : '<=')} ${boundOf(policy, period, endOf(period, q), '+')}`,
    period && sql`${periodOf(policy, rank, 'n')} = ${q}`,
    scaleOf(policy.clock).isInstant(clock),
    mark !== null && sql`${id('n', mark)} is null`,
  );
}

/** By clock, then key, of the rows of that alias. */
const place = (policy: Policy, alias: string): Sql => list(clockOf(policy, alias), ...keyOf(policy, alias));

/** The same in one direction, for `order by`. */
export const inOrder = (policy: Policy, alias: string, direction: 'asc' | 'desc'): Sql =>
  list(...[clockOf(policy, alias), ...keyOf(policy, alias)].map((c) => sql`${c} ${raw(direction)}`));

/** That row `t` is one of those of its group that stay. */
function isSpared(w: Walk, rank: Rank): Sql {
  const { policy } = w;
  const [comes, direction] = rank.which === 'last' ? (['>', 'asc'] as const) : (['<', 'desc'] as const);
  const values = rank.per.map((column) => id('t', column));
  const before = sql`select 1 from ${wholeOf(policy)} n
        where ${isOfGroup(policy, rank, values, periodOf(policy, rank))} and (${place(policy, 'n')}) ${raw(comes)} (${place(policy, 't')})
        order by ${inOrder(policy, 'n', direction)} limit ${constant(rank.most)}`;
  return allOf(isLive(w, rank), sql`(select count(*) from (${before}) n) < ${constant(rank.most)}`);
}

/** Of each kind that is declared, with its reason; none where the leg spares nobody, as an erasure does. */
export function spared(w: Walk): { reason: Rank['reason']; is: Sql }[] {
  if (!w.isExtendable) return [];
  return ranksOf(w.policy).map((rank) => ({ reason: rank.reason, is: sql`(${isSpared(w, rank)})` }));
}
