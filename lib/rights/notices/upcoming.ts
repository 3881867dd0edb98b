/**
 * What organizations are to be told of now: of each policy and threshold the rows that come due before its horizon and were not
 * announced under the period that counts. A horizon lies a whole day of UTC further than the threshold: whenever on a day a message
 * leaves, each of its rows has at least that many days left, and all calls of one day say the same.
 */
import { z } from 'zod';
import { periodsAt } from '../../engine/guard/ahead';
import { bytesOf, capped, filesOf } from '../../engine/statement/files';
import { legsOf, type TenantsLeg } from '../../engine/statement/leg';
import { walkOf } from '../../engine/statement/legs';
import { byClock, clockOf } from '../../engine/statement/legs/columns';
import { tenantsOf } from '../../engine/statement/legs/tenants';
import {
  condition,
  inClock,
  instantOf,
  isBefore,
  isInstant,
  mayGo,
  source,
  unmarked,
} from '../../engine/statement/predicate';
import { NO_ROWS } from '../../engine/statement/preview';
import { behindTenant } from '../../engine/statement/spans';
import { type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import {
  allOf,
  constant,
  cte,
  id,
  keyAsText,
  literal,
  type Sql,
  sql,
  utc,
  withParts,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { ownFiles } from '../../policies/going';
import type { Services } from '../../services';

const DAY_MS = 86_400_000;
/** Rows of an organization that one part counts; what has more is told as "more than". */
export const PART_CAP = 10_000;
/** With caps as they are, a window of organizations is a second at most. */
const LIMITS = { statementMs: 15_000, readOnly: true, indexesOnly: true };

/** A policy at the horizon of one of its thresholds. */
export interface Horizon {
  readonly policy: Policy;
  readonly thresholdDays: number;
  readonly leg: TenantsLeg;
  readonly asOf: string;
}

export const Part = z.object({
  tenant: z.string(),
  policy: z.string(),
  threshold_days: z.coerce.number().int(),
  keep_seconds: z.coerce.number(),
  /** Clocks in [since, before), as PostgreSQL prints them. */
  since: z.string(),
  before: z.string(),
  /** Rows that may go; those that something else keeps for now are told of too. */
  found: z.coerce.number().int(),
  kept: z.coerce.number().int(),
  more: z.boolean(),
  files: z.coerce.number(),
  bytes: z.coerce.number(),
  /** Hash of the keys of all of them, in the order of the walk. */
  digest: z.string(),
  /** When the first of them is due, the last at the latest, and since when a delivered message has told of all. */
  first_due: z.iso.datetime(),
  last_due: z.iso.datetime(),
  told_at: z.iso.datetime().nullable(),
});
export type Part = z.infer<typeof Part>;

/** By threshold, the nearest first; none while a version with another reach cools off. */
export async function horizonsOf(services: Services, policy: Policy): Promise<Horizon[]> {
  const midnight = Math.floor(services.clock().getTime() / DAY_MS) * DAY_MS;
  const thresholds = [...policy.notice!.thresholdsDays].sort((a, b) => a - b);
  const instants = thresholds.map((days) => new Date(midnight + (days + 2) * DAY_MS));
  const cooling = services.settings.guards.coolingOffSeconds;
  const ahead = await askOne(services.database, periodsAt(policy, instants, cooling), LIMITS);
  return ahead.flatMap(({ periods, waits }, i) => {
    const asOf = instants[i]!;
    const then = withPeriods(policy, periods);
    const leg = legsOf(then, asOf, cooling)[0] as TenantsLeg;
    return waits ? [] : [{ policy: then, thresholdDays: thresholds[i]!, leg, asOf: asOf.toISOString() }];
  });
}

/** Of the next organizations behind one, what each is to be told of; nothing for most of them. */
export function partsOf(
  at: Horizon,
  nearer: Horizon | null,
  { behind, tenants }: { behind: string | null; tenants: number },
): Query<Part[]> {
  // What is announced here need not have been announced: that is what is being found out.
  const { notice: _, ...policy } = at.policy;
  const w = walkOf(policy, at.leg, at.asOf);
  const some = { from: behind === null ? null : behindTenant(behind), window: tenants };
  const all = (h: Horizon) =>
    tenantsOf(h.policy, h.policy.tenants!, h.leg, sql`${h.asOf}::timestamptz`)(some);
  const earlier = nearer
    ? sql`${withParts(all(nearer))}select * from tenants`
    : sql`select null::text as tenant, null::timestamptz as cutoff where false`;
  return query(
    sql`${withParts(all(at), cte('nearer', earlier, true), cte('untold', untold(at), true))}select w.tenant::text, ${literal(policy.name)} as policy, ${constant(at.thresholdDays)} as threshold_days, w.keep_seconds::text, w.since::text, w.cutoff::text as before, f.*,
    ${utc(sql`(f.oldest + make_interval(secs => w.keep_seconds))`)} as first_due, ${utc(sql`${w.asOf}`)} as last_due, ${utc(sql`w.told_at`)} as told_at
  from untold w cross join lateral (${counted(policy, w)}) f where f.found::bigint > 0`,
    rows(Part),
  );
}

const partOf = (policy: Policy): Sql =>
  sql`n.policy = ${literal(policy.name)} and n.tenant = w.tenant::text and n.keep_seconds = w.keep_seconds and n.announced_at is not null`;

/** Part `untold`: of each organization, since which clock nothing was announced at this threshold. */
function untold({ policy, thresholdDays, asOf }: Horizon): Sql {
  const last = sql`select max(n.before) from retention.notice_part n where ${partOf(policy)} and n.threshold_days = ${constant(thresholdDays)}`;
  const told = sql`select min(n.delivered_at) from retention.notice_part n where ${partOf(policy)} and n.before >= w.cutoff`;
  return sql`
    select w.*, greatest(e.cutoff, (${last}), '-infinity'::timestamptz) as since, (${told}) as told_at
    from (select *, extract(epoch from ${asOf}::timestamptz - cutoff)::bigint as keep_seconds from tenants where cutoff is not null) w
    left join nearer e on e.tenant::text = w.tenant::text
  `;
}

/** Rows of an organization with clocks in [since, cutoff), to a bound: those that may go then, and all of them by their keys. */
function counted(policy: Policy, w: ReturnType<typeof walkOf>): Sql {
  const order = byClock(policy);
  const files = ownFiles(policy);
  const may = sql`count(*) filter (where x.may and x.nth <= ${constant(PART_CAP)})`;
  return sql`
    select ${may}::text as found, count(*) filter (where not x.may and x.nth <= ${constant(PART_CAP)})::text as kept, bool_or(x.nth > ${constant(PART_CAP)}) as more,
      coalesce(sum(x.files) filter (where x.may), 0)::text as files, ${capped(sql`coalesce(sum(x.bytes) filter (where x.may), 0)`)}::text as bytes,
      retention.chain_rows(${NO_ROWS}, coalesce(array_agg(x.key order by x.nth), '{}')) as digest, min(x.clk) filter (where x.may) as oldest
    from (
      select t.nth, ${keyAsText('t', policy.key)} as key, ${instantOf(policy)} as clk, coalesce(${mayGo(w)}, false) as may,
        (${filesOf('t', files)}) as files, (${bytesOf('t', files)}) as bytes
      from (
        select t.*, row_number() over (order by ${order}) as nth from (
          select t.* from ${source(policy)} t where ${announced(policy, sql`w.tenant`, sql`w.since`, sql`w.cutoff`)}
          order by ${order} limit ${constant(PART_CAP + 1)}
        ) t
      ) t
    ) x`;
}

/** The rows `t` that a part speaks of. */
export const announced = (policy: Policy, tenant: Sql, since: Sql, before: Sql): Sql =>
  allOf(
    sql`${id('t', policy.tenants!.column)} = ${tenant}`,
    sql`${clockOf(policy)} >= ${inClock(policy, since)}`,
    isBefore(policy, clockOf(policy), before),
    isInstant(policy),
    unmarked(policy),
    condition(policy),
  );
