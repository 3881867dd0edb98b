/** One rule with its one cutoff, in the order of (clock, key). */
import { allOf, cte, empty, id, list, type Sql, sql, tableId, typed } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import type { RuleLeg } from '../leg';
import { condition, inClock, instantOf, isDue, isPast, source, unmarked, whereIndexed } from '../predicate';
import { ahead, byClock, clockOf, keyNames, namedKey, ofLast, pickedByKey, upToLast } from './columns';
import { PLAIN_CURSOR, type Range, type Walk } from './walk';

/** Of a clock in another table, in the order of the key alone: every row of the rule is looked at. */
export function walkByRule(policy: Policy, leg: RuleLeg, asOf: Sql): Walk {
  const walk = walkByClock(policy, leg, asOf);
  if (!policy.clock.in) return walk;
  return {
    ...walk,
    columns: keyNames(policy),
    picked: (position, limit) => [
      pickedByKey(policy, allOf(walk.own, unmarked(policy), walk.indexed), position, limit),
    ],
    range: () => null,
  };
}

function walkByClock(policy: Policy, leg: RuleLeg, asOf: Sql): Walk {
  const cutoff = typed(leg.cutoff, 'timestamptz');
  const rows = sql`${source(policy)} t`;
  const match = Object.entries(leg.rule.match).map(([column, value]) => sql`${id('t', column)} = ${value}`);
  const indexed = whereIndexed(policy);
  const due = allOf(...match, isDue(policy, cutoff), unmarked(policy), indexed);
  const past = allOf(...match, isPast(policy, cutoff), unmarked(policy));
  return {
    policy,
    asOf,
    ownLabel: leg.rule.label,
    label: typed(leg.rule.label, 'text'),
    cutoff,
    unknown: sql`false`,
    isExtendable: true,
    held: null,
    instant: instantOf(policy),
    locksFirst: false,
    lead: [],
    rows,
    scopes: sql`(select ${typed(leg.rule.label, 'text')} as label, ${cutoff} as cutoff) w`,
    own: allOf(...match),
    due,
    indexed,
    past,
    condition: condition(policy),
    takes: sql`(${allOf(past, condition(policy))})`,
    columns: [sql`clk`, ...keyNames(policy)],
    order: byClock(policy),
    cursor: PLAIN_CURSOR,
    picked: (position, limit) => [
      picked(next(policy, due, ahead(policy, position, leg.until)), policy, limit),
    ],
    range: (position, limit) =>
      range(next(policy, due, ahead(policy, position, leg.until)), policy, cutoff, limit),
    each: (what, where, then = empty) => sql`select ${what} from ${rows} where ${where}${then}`,
  };
}

/** What is read next, in the order of the walk. */
interface Next {
  readonly after: Sql | null;
  /** Reads `what` of them. */
  select(what: Sql): Sql;
}

function next(policy: Policy, due: Sql, after: Sql | null): Next {
  return {
    after,
    select: (what) => sql`
    select ${what} from only ${tableId(policy.table)} t
    where ${allOf(due, after)}
    order by ${byClock(policy)}`,
  };
}

const clockAndKey = (policy: Policy): Sql => list(sql`${clockOf(policy)} as clk`, ...namedKey(policy));

const picked = ({ select }: Next, policy: Policy, limit: number): Sql =>
  cte(
    'picked',
    sql`${select(list(sql`t.ctid as c`, clockAndKey(policy)))} limit ${typed(limit, 'int')}\n  `,
    true,
  );

function range({ after, select }: Next, policy: Policy, cutoff: Sql, limit: number): Range {
  const last = sql`${select(clockAndKey(policy))} offset ${typed(limit - 1, 'int')} limit 1\n  `;
  // Plainly compared, the clock ends the scan of the index; the key then decides among equal clocks.
  const end = sql`${clockOf(policy)} <= (select coalesce(${ofLast(sql`clk`)}, ${inClock(policy, cutoff)}))`;
  return {
    lead: [cte('last', last, true)],
    within: allOf(after, end, sql`(not exists (select 1 from last) or ${upToLast(policy)})`),
    rest: sql`(select count(*)::int from (${select(sql`1`)} limit ${typed(limit, 'int')}) x)`,
  };
}
