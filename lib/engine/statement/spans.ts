/**
 * The rows that a run at one instant may take and an earlier one may not: what comes up between the two. Ranges of the
 * policy's own index, each looked at up to a bound, and judged by the predicate of the batch: rows whose clock passes the cutoff, and
 * older ones that something kept until now: an extension that ends, a second attempt, a notice that has had its time.
 */
import { z } from 'zod';
import { oneRow, type Query, query, rows } from '../../platform/query';
import {
  allOf,
  anyOf,
  constant,
  cte,
  empty,
  id,
  keyAsText,
  list,
  literal,
  type Sql,
  sql,
  tableId,
  tableLabels,
  typed,
  united,
  withParts,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { KeptReason, staysBecause } from './keeping';
import { hasOneCutoff, type Leg, type Position, type TenantsLeg } from './leg';
import { type Walk, walkOf } from './legs';
import { byClock, clockOf } from './legs/columns';
import { TENANT_WINDOW, tenantsOf } from './legs/tenants';
import { inClock, isBefore, isDue, isInstant, isPast, mayGo, source, unmarked } from './predicate';

/** A leg at an instant, with the periods that count then. */
export interface Moment {
  readonly policy: Policy;
  readonly leg: Leg;
  readonly asOf: string;
}

export interface Span {
  /** Null: everything that is due at `at` comes up. */
  readonly before: Moment | null;
  readonly at: Moment;
  /** Rows looked at in one range, at most. */
  readonly most: number;
  /** Tenants behind this one, or only this one; without it, from the first. */
  readonly from?: Position | undefined;
  readonly tenants?: number;
  /** Only these tenants. */
  readonly those?: readonly string[] | undefined;
}

export const ComingUp = z.object({
  organization: z.string().nullable(),
  /** Null: they may go. */
  stays: KeptReason.nullable(),
  n: z.coerce.number().int(),
  /** There are more than were looked at. */
  more: z.boolean(),
});
export type ComingUp = z.infer<typeof ComingUp>;

/** One row an organization and reason; null organization where the policy does not say whose its rows are. */
export function comingUp(span: Span): Query<ComingUp[]> {
  const { policy } = span.at;
  const w = walkOf(policy, span.at.leg, span.at.asOf);
  const most = constant(span.most);
  const found = united([passing(w, span), ...(span.before ? [released(w, span.before, span)] : [])]);
  return query(
    sql`${withParts(...scopesOf(w, span))}select x.organization, x.stays, (count(*) filter (where x.nth <= ${most}))::text as n, bool_or(x.nth > ${most}) as more
  from (${found}) x group by 1, 2`,
    rows(ComingUp),
  );
}

const Key = z.object({ key: z.string(), more: z.boolean() });

/** Keys of the rows of one organization among them that may go, in the order of the index; `more`: it was not looked at to its end. */
export function keysComingUp(span: Span, organization: string): Query<z.infer<typeof Key>[]> {
  const { policy } = span.at;
  const w = walkOf(policy, span.at.leg, span.at.asOf);
  const key = sql`, ${keyAsText('t', policy.key)} as key`;
  const found = united([
    passing(w, span, key),
    ...(span.before ? [released(w, span.before, span, key)] : []),
  ]);
  return query(
    sql`${withParts(...scopesOf(w, span))}select x.key, x.nth > ${constant(span.most)} as more
  from (${found}) x where x.organization = ${organization} and x.stays is null order by x.nth, x.key`,
    rows(Key),
  );
}

/** Parts up to `w(label, cutoff, lower)`: each scope with its cutoff at both instants. */
function scopesOf(w: Walk, { before, at, from, those, tenants = TENANT_WINDOW }: Span): Sql[] {
  const scopes = (body: Sql): Sql => cte('scopes', body, true);
  if (hasOneCutoff(at.leg)) {
    const lower = before && walkOf(before.policy, before.leg, before.asOf).cutoff;
    return [
      scopes(
        sql`select ${w.label} as label, ${w.cutoff} as cutoff, ${lower ?? sql`'-infinity'::timestamptz`} as lower`,
      ),
    ];
  }
  const some = those ? { from: null, window: null, those } : { from: from ?? null, window: tenants };
  const all = (m: Moment) =>
    tenantsOf(m.policy, m.policy.tenants!, m.leg as TenantsLeg, sql`${m.asOf}::timestamptz`)(some);
  const earlier = before
    ? cte('earlier', sql`${withParts(all(before))}select * from tenants`, true)
    : cte('earlier', sql`select null::text as tenant, null::timestamptz as cutoff`, true);
  return [
    all(at),
    earlier,
    scopes(sql`select t.*, coalesce(e.cutoff, '-infinity') as lower from tenants t
    left join earlier e on e.tenant::text = t.tenant::text`),
  ];
}

/** Of each scope the first rows in the order of the index; `nth` counts them. */
const firstOf = (w: Walk, where: Sql, most: number): Sql => {
  const order = byClock(w.policy);
  return sql`scopes w cross join lateral (
      select t.*, row_number() over (order by ${order}) as nth from (
        select t.* from ${source(w.policy)} t where ${allOf(w.own, unmarked(w.policy), isInstant(w.policy), w.indexed, where)}
        order by ${order} limit ${constant(most + 1)}
      ) t
    ) t`;
};

const organizationOf = ({ tenants, scope }: Policy): Sql => {
  const column = tenants?.column ?? scope.organization;
  return column === undefined ? sql`null::text` : sql`${id('t', column)}::text`;
};

/** Rows whose clock lies between the two cutoffs. */
function passing(w: Walk, { most }: Span, more: Sql = empty): Sql {
  const { policy } = w;
  const between = policy.clock.orLaterIn
    ? allOf(isPast(policy, sql`w.cutoff`), sql`not (${isPast(policy, sql`w.lower`)})`)
    : allOf(
        sql`${clockOf(policy)} >= ${inClock(policy, sql`w.lower`)}`,
        isBefore(policy, clockOf(policy), sql`w.cutoff`),
      );
  return sql`select ${organizationOf(policy)} as organization, t.nth,
      case when ${mayGo(w)} then null else coalesce(${staysBecause(w)}, 'busy') end as stays${more}
    from ${firstOf(w, between, most)}`;
}

/** Older rows, where there may be any: they may go now, and might not at the earlier instant. */
function released(w: Walk, before: Moment, { most }: Span, more: Sql = empty): Sql {
  const { policy } = w;
  // Those that passed in between are counted already.
  const older = (policy.clock.orLaterIn ? isPast : isDue)(policy, sql`w.lower`);
  const then = walkOf(before.policy, before.leg, before.asOf);
  const past = allOf(isPast(policy, sql`w.lower`), unmarked(policy));
  const might = mayGo({ ...then, cutoff: sql`w.lower`, past });
  return sql`select ${organizationOf(policy)} as organization, t.nth, null::text as stays${more}
    from ${firstOf(w, allOf(older, sql`(select ${somethingEnds(w, then)})`), most)}
    where ${mayGo(w)} and (${might}) is not true`;
}

/** Whether anything that keeps rows ends between the two instants. */
function somethingEnds({ policy, asOf }: Walk, { asOf: since }: Walk): Sql {
  const named = sql`table_name in (${list(...tableLabels(policy.table).map(literal))})`;
  const between = (instant: Sql) => sql`${instant} > ${since} and ${instant} <= ${asOf}`;
  const days = policy.notice?.requiredDays;
  // Whole days and the hour of the row.
  const after = (n: number) => sql`delivered_at + make_interval(days => ${constant((days ?? 0) + n)})`;
  return anyOf(
    sql`exists (select 1 from retention.extension where ${named} and ${between(sql`keep_until`)})`,
    sql`exists (select 1 from retention.dead_letter where ${named} and state = 'open' and ${between(sql`next_attempt_at`)})`,
    days === undefined
      ? null
      : sql`exists (select 1 from retention.notice_part where policy = ${literal(policy.name)} and ${after(2)} > ${since} and ${after(0)} <= ${asOf})`,
  );
}

/** Only one tenant: the first that is not before it. */
export const onlyTenant = (tenant: string): Position => ({ tenant, clock: '', key: [] });
const Owing = z.object({
  those: z.array(z.string()),
  last: z.string().nullable(),
  looked: z.coerce.number().int(),
  ended: z.boolean(),
});
type Owing = z.infer<typeof Owing>;

/** Probes of an index in one statement: a tenth of a second. */
const PROBES = 10_000;

/**
 * The next tenants with a row before the latest cutoff that any of them can have at these moments: its oldest row says so, a probe of
 * the policy's index each, and one that has no row costs nothing. At most `most` of them; `last` is where to look on, and without
 * `ended` there are more.
 */
export function tenantsOwing(
  moments: readonly Moment[],
  behind: string | null,
  most: number,
  probes = PROBES,
): Query<Owing> {
  const { policy } = moments[0]!;
  const { column, key } = policy.tenants!;
  const own = id('t', column);
  const isOwing = isBefore(policy, clockOf(policy), sql`(select cutoff from latest)`);
  const next = (
    after: Sql | null,
  ) => sql`(select ${own} as tenant, coalesce(${isOwing}, false) as owes from ${source(policy)} t
      where ${allOf(after, unmarked(policy), isInstant(policy), sql`${own} is not null`)} order by ${list(own, byClock(policy))} limit 1)`;
  const first = behind === null ? null : sql`${own} > ${typed(behind, key.type)}`;
  return query(
    sql`with recursive latest as materialized (select ${latestCutoff(moments)} as cutoff), s(tenant, owes, found, looked) as (
      select n.tenant, n.owes, n.owes::int, 1 from ${next(first)} n
      union all
      select n.tenant, n.owes, s.found + n.owes::int, s.looked + 1 from s cross join lateral ${next(sql`${own} > s.tenant`)} n
      where s.found < ${constant(most)} and s.looked < ${constant(probes)}
    )
    select coalesce(jsonb_agg(tenant::text order by looked) filter (where owes), '[]') as those, coalesce(max(looked), 0)::text as looked,
      (select l.tenant::text from s l order by l.looked desc limit 1) as last,
      coalesce(max(found), 0) < ${constant(most)} and coalesce(max(looked), 0) < ${constant(probes)} as ended from s`,
    oneRow(Owing),
  );
}

/** No tenant has a later one: whatever it is under, and whatever counts beside it, can only keep longer than the shortest of all periods. */
function latestCutoff(moments: readonly Moment[]): Sql {
  const cutoffs = moments.flatMap(({ leg }) => (leg.kind === 'tenants' ? Object.values(leg.cutoffs) : []));
  const byRule = cutoffs.reduce(
    (latest, c) => (c !== null && (latest === null || c > latest) ? c : latest),
    null,
  );
  const { policy, asOf } = moments.at(-1)!;
  return sql`greatest(${byRule}::timestamptz, (select ${asOf}::timestamptz - make_interval(secs => min(v.keep_seconds))
      from retention.period_override v where v.policy = ${policy.name}))`;
}

/** Tenants behind the last one looked at. */
export const behindTenant = (tenant: string): Position => ({ tenant, clock: null, key: [] });

const Window = z.object({ last: z.string().nullable(), n: z.coerce.number().int() });

/** The next tenants in the order of their key: the last of them, and how many; fewer than asked for: there are no more. */
export function windowOf(
  policy: Policy,
  behind: string | null,
  tenants = TENANT_WINDOW,
): Query<z.infer<typeof Window>> {
  const { table, key } = policy.tenants!;
  const column = id('o', key.column);
  const where = behind === null ? empty : sql` where ${column} > ${typed(behind, key.type)}`;
  return query(
    sql`with x as materialized (select ${column} as k from ${tableId(table)} o${where} order by ${column} limit ${constant(tenants)})
  select (select k::text from x order by k desc limit 1) as last, count(*)::text as n from x`,
    oneRow(Window),
  );
}
