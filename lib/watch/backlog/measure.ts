/**
 * What is past its cutoff, by label: how many rows, how late the oldest that may go is, and how many more expire
 * within a day. Ranges of the policy's own index, each counted up to its bound; nothing reads the table.
 */
import { z } from 'zod';
import { askedOnLeaves } from '../../engine/statement/leaf-by-leaf';
import { hasOneCutoff, type Leg } from '../../engine/statement/leg';
import { type Walk, walkOf } from '../../engine/statement/legs';
import { byClock, clockOf } from '../../engine/statement/legs/columns';
import { tenantsOf } from '../../engine/statement/legs/tenants';
import {
  inClock,
  instantOf,
  isBefore,
  isInstant,
  isPast,
  mayGo,
  ownInstantOf,
  source,
  unmarked,
} from '../../engine/statement/predicate';
import { type Query, query, rows } from '../../platform/query';
import { allOf, literal, raw, type Sql, sql, united, withParts } from '../../platform/sql';
import type { Policy } from '../../policies/contract';

/** Counting stops here: tens of milliseconds of an index, and a backlog this large is described by its age. */
export const COUNT_CAP = 100_000;
const ENOUGH = raw(String(COUNT_CAP + 1));

export const Measured = z.object({
  plan: z.string(),
  waiting: z.coerce.number().int().nonnegative(),
  arriving: z.coerce.number().int().nonnegative(),
  seconds: z.coerce.number().nullable(),
});
export type Measured = z.infer<typeof Measured>;

/**
 * Rows `Measured`, of labels that have any row to speak of; a policy that keeps everything has none. `those`: only of these tenants.
 */
export function measure(
  policy: Policy,
  legs: readonly Leg[],
  asOf: string,
  those?: readonly string[],
): Query<Measured[]> | null {
  const parts = legs.map((leg) => {
    if (policy.partitioned) return ofLeaves(policy, leg, asOf);
    const w = walkOf(policy, leg, asOf);
    if (those === undefined || leg.kind !== 'tenants') return ofLeg(w);
    return ofLeg({
      ...w,
      lead: [tenantsOf(policy, policy.tenants!, leg, w.asOf)({ from: null, window: null, those })],
    });
  });
  return parts.length === 0 ? null : query(united(parts), rows(Measured));
}

const past = (w: Walk): Sql => allOf(isPast(w.policy, w.cutoff), unmarked(w.policy), w.indexed);

function soon({ policy, cutoff, indexed }: Walk): Sql {
  const tomorrow = sql`(${cutoff} + interval '1 day')`;
  // Of a date that other rows have a part in there is no range.
  if (policy.clock.orLaterIn)
    return allOf(isPast(policy, tomorrow), sql`not (${isPast(policy, cutoff)})`, unmarked(policy), indexed);
  return allOf(
    sql`${clockOf(policy)} >= ${inClock(policy, cutoff)}`,
    isBefore(policy, clockOf(policy), tomorrow),
    isInstant(policy),
    unmarked(policy),
    indexed,
  );
}

/**
 * Oldest rows looked at for one that may go, of a rule and of a tenant: behind so many held ones the age of the
 * last stands for it, which is never too young.
 */
const lookedAt = (w: Walk): number => (w.ownLabel === null ? 100 : 1_000);

/** Seconds the oldest row that may go is past the cutoff: the first of the oldest ones looked at, else the last of them. */
function lateness(w: Walk): Sql {
  const most = lookedAt(w);
  const order = byClock(w.policy);
  const oldest = sql`select t.* from ${source(w.policy)} t where ${allOf(w.own, past(w))} order by ${order} limit ${raw(String(most))}`;
  const since = (instant: Sql) => sql`extract(epoch from ${w.cutoff} - ${instant})::float8`;
  const seconds = since(ownInstantOf(w.policy));
  // What another row makes younger than its own clock says may not be the oldest.
  const first = w.policy.clock.orLaterIn
    ? sql`(select max(${since(instantOf(w.policy))}) from (${oldest}) t where ${mayGo(w)})`
    : sql`(select ${seconds} from (${oldest}) t where ${mayGo(w)} order by ${clockOf(w.policy)} limit 1)`;
  return sql`coalesce(
      ${first},
      (select ${seconds} from (${oldest}) t order by ${order} offset ${raw(String(most - 1))} limit 1))`;
}

/** Rows by label, up to the bound. */
const counted = (w: Walk, where: Sql): Sql => sql`(select x.label, count(*) as n from (
      select w.label from ${w.scopes} cross join lateral (
        select 1 from ${source(w.policy)} t where ${allOf(w.own, where)}) r limit ${ENOUGH}
    ) x group by x.label)`;

const ofLeg = (w: Walk): Sql => sql`(${withParts(...w.lead)}
    select l.label as plan, coalesce(c.n, 0)::text as waiting, coalesce(s.n, 0)::text as arriving, l.seconds
    from (select w.label, max(${lateness(w)}) as seconds from ${w.scopes} where w.cutoff is not null group by w.label) l
    left join ${counted(w, past(w))} c on c.label = l.label
    left join ${counted(w, soon(w))} s on s.label = l.label)`;

/** Of a partitioned table each partition by itself that has a row before its cutoff, or will within a day. */
function ofLeaves(policy: Policy, leg: Leg, asOf: string): Sql {
  const cutoff = hasOneCutoff(leg) ? new Date(Date.parse(leg.cutoff) + DAY_MS).toISOString() : asOf;
  const number = (field: string) => sql`sum((answer ->> ${literal(field)})::bigint)`;
  return sql`select answer ->> 'plan' as plan, ${number('waiting')}::text as waiting, ${number('arriving')}::text as arriving,
      max((answer ->> 'seconds')::float8) as seconds from ${askedOnLeaves(policy, leg, { asOf, cutoff, asks: ofLeg })} group by 1`;
}
const DAY_MS = 86_400_000;
