/** One rule with its one cutoff, in the order of (clock, key). */
import { allOf, cte, empty, id, list, type Sql, sql, tableId, typed } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import type { Position, RuleLeg } from '../leg';
import { condition, isBefore, isInstant, source, unmarked } from '../predicate';
import { afterClock, byClock, clockOf, keyNames, namedKey } from './columns';
import { PLAIN_CURSOR, type Walk } from './walk';

export function walkByRule(policy: Policy, leg: RuleLeg, asOf: Sql): Walk {
  const cutoff = typed(leg.cutoff, 'timestamptz');
  const rows = sql`${source(policy)} t`;
  const match = Object.entries(leg.rule.match).map(([column, value]) => sql`${id('t', column)} = ${value}`);
  const isPast = isBefore(policy, clockOf(policy), cutoff);
  const due = allOf(...match, isPast, unmarked(policy));
  const past = allOf(...match, isPast, isInstant(policy), unmarked(policy));
  return {
    policy,
    asOf,
    ownLabel: leg.rule.label,
    label: typed(leg.rule.label, 'text'),
    cutoff,
    unknown: sql`false`,
    isExtendable: true,
    lead: [],
    rows,
    scopes: sql`(select ${typed(leg.rule.label, 'text')} as label, ${cutoff} as cutoff) w`,
    own: allOf(...match),
    due,
    past,
    condition: condition(policy),
    takes: sql`(${allOf(past, condition(policy))})`,
    columns: [sql`clk`, ...keyNames(policy)],
    order: byClock(policy),
    cursor: PLAIN_CURSOR,
    picked: (position, limit) => [picked(policy, due, position, limit)],
    each: (what, where, then = empty) => sql`select ${what} from ${rows} where ${where}${then}`,
  };
}

const picked = (policy: Policy, due: Sql, position: Position | null, limit: number): Sql =>
  cte(
    'picked',
    sql`
    select ${list(sql`t.ctid as c`, sql`${clockOf(policy)} as clk`, ...namedKey(policy))} from only ${tableId(policy.table)} t
    where ${allOf(due, position && afterClock(policy, position))}
    order by ${byClock(policy)} limit ${typed(limit, 'int')}
  `,
    true,
  );
