/** All tenants, each with the cutoff of its own rule, in the order of (tenant, clock, key). */
import {
  allOf,
  cte,
  empty,
  id,
  list,
  raw,
  type Sql,
  sql,
  tableId,
  typed,
  withParts,
} from '../../../platform/sql';
import { scaleOf } from '../../../policies/clocks';
import type { Policy } from '../../../policies/contract';
import type { Position, TenantsLeg } from '../leg';
import { condition, inClock, instantOf, isDue, isPast, source, unmarked, whereIndexed } from '../predicate';
import { afterClock, byClock, clockOf, keyNames, namedKey, ofLast, upToLast } from './columns';
import { TENANT_WINDOW, tenantsOf } from './tenants';
import type { Cursor, Range, Walk } from './walk';

type Tenants = NonNullable<Policy['tenants']>;

export function walkByTenant(policy: Policy, tenants: Tenants, leg: TenantsLeg, asOf: Sql): Walk {
  const all = tenantsOf(policy, tenants, leg, asOf);
  const own = id('t', tenants.column);
  const indexed = whereIndexed(policy);
  const due = allOf(isDue(policy, sql`w.cutoff`), unmarked(policy), indexed);
  const past = allOf(isPast(policy, sql`w.cutoff`), unmarked(policy));
  return {
    policy,
    asOf,
    ownLabel: null,
    label: sql`w.label`,
    cutoff: sql`w.cutoff`,
    unknown: sql`w.unknown`,
    isExtendable: true,
    held: null,
    instant: instantOf(policy),
    locksFirst: false,
    lead: [all()],
    rows: sql`${source(policy)} t join tenants w on w.tenant = ${own}`,
    scopes: sql`tenants w`,
    own: sql`${own} = w.tenant`,
    due,
    indexed,
    past,
    condition: condition(policy),
    // All tenants once a statement, as one object: a look-up a row, however many there are.
    takes: sql`exists (select 1 from (select ((
      ${withParts(all())}select jsonb_object_agg(x.tenant::text, x.cutoff) from tenants x
    ) ->> ${own}::text)::timestamptz as cutoff) w where ${allOf(past, condition(policy))})`,
    columns: [sql`tenant`, sql`clk`, ...keyNames(policy)],
    order: list(sql`w.tenant`, byClock(policy)),
    cursor: CURSOR,
    picked: (position, limit) => [
      all({ from: position, window: TENANT_WINDOW }),
      picked(
        next(policy, tenants, allOf(sql`${own} = w.tenant`, due), position, limit),
        policy,
        tenants,
        limit,
      ),
    ],
    range: (position, limit) => {
      const window = all({ from: position, window: TENANT_WINDOW });
      return range(
        window,
        next(policy, tenants, allOf(sql`${own} = w.tenant`, due), position, limit),
        policy,
        tenants,
        limit,
      );
    },
    each: (what, where, then = empty) => sql`${withParts(all())}select r.* from tenants w cross join lateral (
        select ${what} from ${source(policy)} t where ${own} = w.tenant and ${where}${then}) r`,
  };
}

/** A batch that is not full has passed by every tenant of its window. */
const CURSOR: Cursor = {
  last: sql`tenant as raw_tenant, tenant::text as tenant, `,
  after: sql`case when x.full_batch
          then jsonb_build_object('ended', false, 'tenant', l.tenant, 'clock', l.clock, 'key', coalesce(l.key, '[]'))
        else jsonb_build_object('ended', z.n < ${raw(String(TENANT_WINDOW))}, 'clock', null, 'key', '[]'::jsonb)
          || case when z.last is null then '{}' else jsonb_build_object('tenant', z.last) end end`,
  beside: sql` cross join (select count(*) as n, (select tenant::text from tenants order by tenants.tenant desc limit 1) as last from tenants) z`,
  unknown: sql`(select count(*) from tenants w where w.unknown and (not x.full_batch or w.tenant <= l.raw_tenant))`,
};

/** What is read next, in the order of the walk. */
interface Next {
  readonly after: Sql | null;
  /** Reads `what` of them. */
  select(what: Sql): Sql;
}

/** The loop over tenants is outermost and in order, so a limit outside needs no sort. */
function next(policy: Policy, tenants: Tenants, due: Sql, position: Position | null, limit: number): Next {
  const after = position?.clock ? within(policy, tenants, position) : null;
  return {
    after,
    select: (what) => sql`
    select r.* from tenants w cross join lateral (
      select ${what} from only ${tableId(policy.table)} t
      where ${allOf(due, after)}
      order by ${byClock(policy)} limit ${typed(limit, 'int')}
    ) r`,
  };
}

const place = (policy: Policy, tenants: Tenants): Sql =>
  list(sql`${id('t', tenants.column)} as tenant`, sql`${clockOf(policy)} as clk`, ...namedKey(policy));

const picked = ({ select }: Next, policy: Policy, tenants: Tenants, limit: number): Sql =>
  cte(
    'picked',
    sql`${select(list(sql`t.ctid as c`, place(policy, tenants)))} limit ${typed(limit, 'int')}\n  `,
    true,
  );

function range(window: Sql, { after, select }: Next, policy: Policy, tenants: Tenants, limit: number): Range {
  const last = sql`${select(place(policy, tenants))} offset ${typed(limit - 1, 'int')} limit 1\n  `;
  const [tenant, clock] = [ofLast(sql`tenant`), ofLast(sql`clk`)];
  const isOpen = sql`not exists (select 1 from last)`;
  const cutoff = inClock(policy, sql`w.cutoff`);
  return {
    lead: [window, cte('last', last, true)],
    using: sql`tenants w`,
    within: allOf(
      sql`${id('t', tenants.column)} = w.tenant`,
      after,
      // Plainly compared, tenant and clock end the loop and its scans; the key then decides among equal clocks.
      sql`(${isOpen} or w.tenant <= ${tenant})`,
      sql`${clockOf(policy)} <= (case when w.tenant = ${tenant} then ${clock} else ${cutoff} end)`,
      sql`(${isOpen} or w.tenant < ${tenant} or ${upToLast(policy)})`,
    ),
    rest: sql`(select count(*)::int from (${select(sql`1`)}) x)`,
  };
}

/** Of the position's own tenant only what lies behind it. */
function within(policy: Policy, tenants: Tenants, position: Position): Sql {
  const tenant = typed(position.tenant ?? null, tenants.key.type);
  const { type, low } = scaleOf(policy.clock);
  const clock = typed(position.clock, type);
  // The first condition is what the index uses; the second steps over equal clocks.
  return sql`${clockOf(policy)} >= (case when w.tenant = ${tenant} then ${clock} else ${low} end)
        and (w.tenant <> ${tenant} or ${afterClock(policy, position)})`;
}
