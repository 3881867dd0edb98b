/**
 * Picking: the next `limit` rows in the order of the index, bounded whatever is held, with no judgement
 * beyond what the index answers. The cursor is taken from what was picked, never from what was deleted.
 */

import { name, type Parameters, table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Leg, Position } from './leg';
import { before, ofSubject } from './predicate';

/** Tenants looked at by one statement: a probe each, so about 2 ms when none of them has anything to give. */
const TENANT_WINDOW = 200;

const columnsOf = (policy: Policy): string =>
  [
    't.ctid as c',
    ...(policy.tenants ? [`t.${name(policy.tenants.column)} as tenant`] : []),
    `t.${name(policy.clock.column)} as clk`,
    ...policy.key.map((k, i) => `t.${name(k.column)} as k${i}`),
  ].join(', ');

const orderOf = (policy: Policy): string =>
  [policy.clock.column, ...policy.key.map((k) => k.column)].map((c) => `t.${name(c)}`).join(', ');

/** `(clock, key) > (…)`; the first batch leaves it out instead of inventing a smallest key. */
function after(policy: Policy, position: Position, p: Parameters): string {
  const values = [
    p.add(position.clock, policy.clock.type),
    ...policy.key.map((k, i) => p.add(position.key[i] ?? null, k.type)),
  ];
  return `(${orderOf(policy)}) > (${values.join(', ')})`;
}

/** The CTEs `picked` and, with tenants, `tenants`, in front of every deciding statement. */
export function picking(
  policy: Policy,
  leg: Leg,
  position: Position | null,
  limit: number,
  asOf: string,
  p: Parameters,
): string {
  if (leg.kind === 'subject') return pickBySubject(policy, leg, position, limit, p);
  return leg.kind === 'rule'
    ? pickByRule(policy, leg, position, limit, p)
    : `${tenantsOf(policy, leg, position, asOf, p)},
  ${pickByTenant(policy, position, limit, p)}`;
}

/** Rows a soft delete has marked already would be looked at every night until their purge. */
export const unmarked = (policy: Policy): string[] =>
  policy.strategy.kind === 'soft-delete' ? [`t.${name(policy.strategy.column)} is null`] : [];

/** What a rule's walk looks at: matched, before the cutoff, and not marked already. */
export const dueByRule = (policy: Policy, leg: Leg & { kind: 'rule' }, p: Parameters): string[] => [
  ...Object.entries(leg.rule.match).map(([column, value]) => `t.${name(column)} = ${p.add(value)}`),
  before(policy, 't', p.add(leg.cutoff, 'timestamptz')),
  ...unmarked(policy),
];

function pickByRule(
  policy: Policy,
  leg: Leg & { kind: 'rule' },
  position: Position | null,
  limit: number,
  p: Parameters,
): string {
  const where = [...dueByRule(policy, leg, p), ...(position ? [after(policy, position, p)] : [])];
  return `picked as materialized (
    select ${columnsOf(policy)} from only ${table(policy.table)} t
    where ${where.join(' and ')}
    order by ${orderOf(policy)} limit ${p.add(limit, 'int')}
  )`;
}

/** Through the index on the subject's column; sorting what is left of one subject is what an erasure costs. */
function pickBySubject(
  policy: Policy,
  leg: Leg & { kind: 'subject' },
  position: Position | null,
  limit: number,
  p: Parameters,
): string {
  const columns = policy.key.map((k) => `t.${name(k.column)}`).join(', ');
  const from = position
    ? ` and (${columns}) > (${policy.key.map((k, i) => p.add(position.key[i] ?? null, k.type)).join(', ')})`
    : '';
  return `picked as materialized (
    select t.ctid as c, null::text as clk, ${policy.key.map((k, i) => `t.${name(k.column)} as k${i}`).join(', ')}
    from only ${table(policy.table)} t where ${ofSubject(leg, p)}${from}
    order by ${columns} limit ${p.add(limit, 'int')}
  )`;
}

/**
 * The next tenants with the cutoff of each: its override, else its label's rule; and of those and what was in
 * force within the cooling-off (labels seen, overrides changed), the one that keeps longest (G6). A label no
 * rule has, and a rule that keeps for ever, give NULL: nothing of that tenant is picked.
 */
export function tenantsOf(
  policy: Policy,
  leg: Leg & { kind: 'tenants' },
  position: Position | null,
  asOf: string,
  p: Parameters,
  window: number | null = TENANT_WINDOW,
): string {
  const t = policy.tenants!;
  const key = `o.${name(t.key.column)}`;
  const from =
    position?.tenant === undefined
      ? 'true'
      : `${key} ${position.clock === null ? '>' : '>='} ${p.add(position.tenant, t.key.type)}`;
  const cutoffs = p.add(JSON.stringify(leg.cutoffs), 'jsonb');
  const policyName = p.add(policy.name);
  const now = `case when v.tenant is not null then ${asOf} - make_interval(secs => v.keep_seconds)
        else (${cutoffs} ->> l.label)::timestamptz end`;
  const counts =
    leg.coolingSeconds > 0 ? longest(leg, asOf, cutoffs, policyName, p) : `(select ${now} as cutoff)`;
  return `tenants as materialized (
    select l.tenant, case when v.tenant is not null then 'override' else l.label end as label,
      v.tenant is null and not coalesce(${cutoffs} ? l.label, false) as unknown, e.cutoff
    from (
      select ${key} as tenant, (${t.label}) as label from ${table(t.table)} o
      where ${from} order by ${key}${window === null ? '' : ` limit ${window}`}
    ) l
    left join retention.period_override v on v.policy = ${policyName} and v.tenant = l.tenant::text
    cross join lateral ${counts} e
    order by l.tenant
  )`;
}

/** Of override `v`, live label `l` and all that ended within the cooling-off, the cutoff furthest back (G6). */
function longest(
  leg: Leg & { kind: 'tenants' },
  asOf: string,
  cutoffs: string,
  policyName: string,
  p: Parameters,
): string {
  const ended = `(${asOf} - make_interval(secs => ${p.add(leg.coolingSeconds, 'float8')}))`;
  // An override shortens only once it has been there that long itself.
  const byLabel = `(v.tenant is null or v.created_at > ${ended})`;
  return `(
      select case when bool_or(x.cutoff is null) then null else min(x.cutoff) end as cutoff from (
        select ${asOf} - make_interval(secs => v.keep_seconds) as cutoff where v.tenant is not null
        union all select (${cutoffs} ->> l.label)::timestamptz where ${byLabel}
        union all select (${cutoffs} ->> h.label)::timestamptz from retention.tenant_label h
          where h.policy = ${policyName} and h.tenant = l.tenant::text and h.label is distinct from l.label
            and (h.ended_at is null or h.ended_at > ${ended}) and ${byLabel}
        union all select ${asOf} - make_interval(secs => h.keep_seconds) from retention.past_override h
          where h.policy = ${policyName} and h.tenant = l.tenant::text and h.ended_at > ${ended}
      ) x
    )`;
}

function pickByTenant(policy: Policy, position: Position | null, limit: number, p: Parameters): string {
  const where = [
    `t.${name(policy.tenants!.column)} = w.tenant`,
    before(policy, 't', 'w.cutoff'),
    ...unmarked(policy),
  ];
  if (position?.clock) {
    const tenant = p.add(position.tenant ?? null, policy.tenants!.key.type);
    const clock = p.add(position.clock, policy.clock.type);
    // The first condition is what the index uses; the second steps over equal clocks.
    where.push(
      `t.${name(policy.clock.column)} >= (case when w.tenant = ${tenant} then ${clock} else '-infinity' end)`,
      `(w.tenant <> ${tenant} or ${after(policy, position, p)})`,
    );
  }
  const n = p.add(limit, 'int');
  // The loop over tenants is outermost and in order, so the outer limit needs no sort.
  return `picked as materialized (
    select r.* from tenants w cross join lateral (
      select ${columnsOf(policy)} from only ${table(policy.table)} t
      where ${where.join(' and ')}
      order by ${orderOf(policy)} limit ${n}
    ) r limit ${n}
  )`;
}

/** The columns of `picked` in the order of the walk. */
export const walked = (policy: Policy, leg: Leg): string[] => [
  ...(leg.kind === 'tenants' ? ['tenant'] : []),
  'clk',
  ...policy.key.map((_, i) => `k${i}`),
];

/** The same order, of the rows themselves: joined to their tenant where the leg has tenants. */
export const walkOrder = (policy: Policy, leg: Leg): string =>
  leg.kind === 'subject'
    ? policy.key.map((k) => `t.${name(k.column)}`).join(', ')
    : `${leg.kind === 'tenants' ? 'w.tenant, ' : ''}${orderOf(policy)}`;

/**
 * CTE `looked`, where no more than `most` of the picked rows may go: what was picked up to the last row that goes. What
 * lies behind it has not been judged, and is not behind the cursor.
 */
export const cutShort = (policy: Policy, leg: Leg, most: number, p: Parameters): string =>
  `placed as materialized (
    select *, row_number() over (order by ${walked(policy, leg).join(', ')}) as place from picked
  ),
  looked as materialized (
    select * from placed where place <= coalesce((
      select case when count(*) >= ${p.add(most, 'bigint')} then max(x.place) end from placed x join locked l on l.c = x.c
    ), place)
  )`;

/**
 * CTE `at`, one row: `picked` (how many), `unknown` (tenants passed by whose label no rule has) and `after`,
 * the position to go on from, with `ended` when the leg has nothing behind it.
 */
export function progress(
  policy: Policy,
  leg: Leg,
  limit: number,
  p: Parameters,
  looked: 'picked' | 'looked' = 'picked',
): string {
  const key = policy.key.map((_, i) => `k${i}::text`).join(', ');
  const position = `'clock', l.clock, 'key', coalesce(l.key, '[]')`;
  const after =
    leg.kind !== 'tenants'
      ? `jsonb_build_object('ended', not x.full_batch, ${position})`
      : `case when x.full_batch then jsonb_build_object('ended', false, 'tenant', l.tenant, ${position})
        else jsonb_build_object('ended', z.n < ${TENANT_WINDOW}, 'clock', null, 'key', '[]'::jsonb)
          || case when z.last is null then '{}' else jsonb_build_object('tenant', z.last) end end`;
  const tenants =
    leg.kind !== 'tenants'
      ? ''
      : ` cross join (select count(*) as n, (select tenant::text from tenants order by tenants.tenant desc limit 1) as last from tenants) z`;
  const unknown =
    leg.kind !== 'tenants'
      ? '0'
      : `(select count(*) from tenants w where w.unknown and (not x.full_batch or w.tenant <= l.raw_tenant))`;
  return `at as materialized (
    select x.n as picked, ${unknown} as unknown, ${after} as after
    from (select count(*)::int as n, (select count(*) from picked) >= ${p.add(limit, 'int')}${looked === 'looked' ? ' or count(*) < (select count(*) from picked)' : ''} as full_batch from ${looked}) x
    left join (
      select ${leg.kind === 'tenants' ? 'tenant as raw_tenant, tenant::text as tenant, ' : ''}clk::text as clock, jsonb_build_array(${key}) as key
      from ${looked} order by ${walked(policy, leg)
        .map((c) => `${c} desc`)
        .join(', ')} limit 1
    ) l on true${tenants}
  )`;
}

/** Counts by reason as one jsonb, from rows `(reason, n)`; tenants without a rule are counted beside them. */
export const reasons = (relation: string): string =>
  `coalesce((select jsonb_object_agg(reason, n) from ${relation}), '{}')
      || case when at.unknown > 0 then jsonb_build_object('unknown_rule', at.unknown) else '{}' end`;
