/**
 * What is past its cutoff, by label: how many rows, how late the oldest that may go is, and how many more expire
 * within a day. Ranges of the policy's own index, each counted up to its bound; nothing reads the table.
 */
import { z } from 'zod';
import type { Leg } from '../../engine/statement/leg';
import { tenantsOf, unmarked } from '../../engine/statement/pick';
import { before, inClock, mayGo, source } from '../../engine/statement/predicate';
import type { Statement } from '../../platform/database';
import { name, Parameters } from '../../platform/sql';
import type { Policy } from '../../policies/contract';

/** Counting stops here: tens of milliseconds of an index, and a backlog this large is described by its age. */
export const COUNT_CAP = 100_000;
/**
 * Oldest rows looked at for one that may go, of a rule and of a tenant: behind so many held ones the age of the
 * last stands for it, which is never too young.
 */
const LOOKED_AT = { rule: 1_000, tenant: 100 };

export const Measured = z.object({
  plan: z.string(),
  waiting: z.coerce.number().int().nonnegative(),
  arriving: z.coerce.number().int().nonnegative(),
  seconds: z.coerce.number().nullable(),
});
export type Measured = z.infer<typeof Measured>;

/** Rows `Measured`, of labels that have any row to speak of; a policy that keeps everything has none. */
export function measure(policy: Policy, legs: readonly Leg[], asOf: string): Statement | null {
  const p = new Parameters();
  const at = p.add(asOf, 'timestamptz');
  const parts = legs.flatMap((leg) =>
    leg.kind === 'rule'
      ? [ofRule(policy, leg, at, p)]
      : leg.kind === 'tenants'
        ? [ofTenants(policy, leg, at, p)]
        : [],
  );
  return parts.length === 0 ? null : p.statement(parts.join('\nunion all\n'));
}

const clockOf = (policy: Policy): string => `t.${name(policy.clock.column)}`;
const orderOf = (policy: Policy): string =>
  [clockOf(policy), ...policy.key.map((k) => `t.${name(k.column)}`)].join(', ');

/** The clock as an instant. */
const instantOf = (policy: Policy): string =>
  policy.clock.type === 'timestamptz'
    ? clockOf(policy)
    : `(${clockOf(policy)}::timestamp at time zone '${policy.clock.zone.replaceAll("'", "''")}')`;

const past = (policy: Policy, cutoff: string): string[] => [
  before(policy, 't', cutoff),
  `isfinite(${clockOf(policy)})`,
  ...unmarked(policy),
];
const soon = (policy: Policy, cutoff: string): string[] => [
  `${clockOf(policy)} >= ${inClock(policy, cutoff)}`,
  before(policy, 't', `(${cutoff} + interval '1 day')`),
  `isfinite(${clockOf(policy)})`,
  ...unmarked(policy),
];

/** Seconds the oldest row that may go is past `cutoff`: the first of the oldest `most`, else the last of them. */
const lateness = (
  policy: Policy,
  leg: Leg,
  where: readonly string[],
  cutoff: string,
  most: number,
  at: string,
  p: Parameters,
): string => {
  const oldest = `select t.* from ${source(policy)} t where ${where.join(' and ')} order by ${orderOf(policy)} limit ${most}`;
  const seconds = `extract(epoch from ${cutoff} - ${instantOf(policy)})::float8`;
  return `coalesce(
      (select ${seconds} from (${oldest}) t where ${mayGo(policy, leg, at, p)} order by ${clockOf(policy)} limit 1),
      (select ${seconds} from (${oldest}) t order by ${orderOf(policy)} offset ${most - 1} limit 1))`;
};

function ofRule(policy: Policy, leg: Leg & { kind: 'rule' }, at: string, p: Parameters): string {
  const cutoff = p.add(leg.cutoff, 'timestamptz');
  const match = Object.entries(leg.rule.match).map(
    ([column, value]) => `t.${name(column)} = ${p.add(value)}`,
  );
  const count = (where: readonly string[]) =>
    `(select count(*) from (select 1 from ${source(policy)} t where ${[...match, ...where].join(' and ')} limit ${COUNT_CAP + 1}) x)::text`;
  return `select ${p.add(leg.rule.label)} as plan, ${count(past(policy, cutoff))} as waiting, ${count(soon(policy, cutoff))} as arriving,
    ${lateness(policy, leg, [...match, ...past(policy, cutoff)], cutoff, LOOKED_AT.rule, at, p)} as seconds`;
}

function ofTenants(policy: Policy, leg: Leg & { kind: 'tenants' }, at: string, p: Parameters): string {
  const own = `t.${name(policy.tenants!.column)} = w.tenant`;
  const count = (where: readonly string[]) => `(select x.label, count(*) as n from (
      select w.label from tenants w cross join lateral (
        select 1 from ${source(policy)} t where ${[own, ...where].join(' and ')}) r limit ${COUNT_CAP + 1}
    ) x group by x.label)`;
  const late = lateness(policy, leg, [own, ...past(policy, 'w.cutoff')], 'w.cutoff', LOOKED_AT.tenant, at, p);
  return `(with ${tenantsOf(policy, leg, null, at, p, null)}
    select l.label as plan, coalesce(c.n, 0)::text as waiting, coalesce(s.n, 0)::text as arriving, l.seconds
    from (select w.label, max(${late}) as seconds from tenants w where w.cutoff is not null group by w.label) l
    left join ${count(past(policy, 'w.cutoff'))} c on c.label = l.label
    left join ${count(soon(policy, 'w.cutoff'))} s on s.label = l.label)`;
}
