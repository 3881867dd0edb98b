/**
 * Part `tenants`: tenants with the cutoff of each: its override, else its label's rule; and of those and what was in
 * force within the cooling-off (labels seen, overrides changed), the one that keeps longest (G6). A label no rule has,
 * and a rule that keeps forever, give NULL: nothing of that tenant is picked.
 */
import { allOf, cte, id, raw, Sql, sql, tableId, typed } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import type { Position, TenantsLeg } from '../leg';

/** Tenants looked at by one statement: a probe each, so about 2 ms when none of them has anything to give. */
export const TENANT_WINDOW = 200;

interface Some {
  /** The first of them: that of a position, or behind it where everything of that one is behind us. */
  readonly from: Position | null;
  /** So many of them. */
  readonly window: number | null;
  /** Only these: as text, or an array of the type of their key. */
  readonly those?: readonly string[] | Sql | undefined;
}

export const tenantsOf =
  (policy: Policy, tenants: NonNullable<Policy['tenants']>, leg: TenantsLeg, asOf: Sql) =>
  ({ from, window, those }: Some = { from: null, window: null }): Sql => {
    const key = id('o', tenants.key.column);
    const first =
      from?.tenant === undefined
        ? sql`true`
        : sql`${key} ${raw(from.clock === null ? '>' : '>=')} ${typed(from.tenant, tenants.key.type)}`;
    const array = those instanceof Sql ? those : those && typed(those, `${tenants.key.type}[]`);
    const named = array && sql`${key} = any(${array})`;
    const last = leg.until === undefined ? null : sql`${key} <= ${typed(leg.until, tenants.key.type)}`;
    const some = window === null ? sql`` : sql` limit ${raw(String(window))}`;
    const ruled = typed(JSON.stringify(leg.cutoffs), 'jsonb');
    const now = sql`select case when v.tenant is not null then ${asOf} - make_interval(secs => v.keep_seconds)
        else (${ruled} ->> l.label)::timestamptz end as cutoff`;
    return cte(
      'tenants',
      sql`
    select l.tenant, case when v.tenant is not null then 'override' else l.label end as label,
      v.tenant is null and not coalesce(${ruled} ? l.label, false) as unknown, e.cutoff
    from (
      select ${key} as tenant, (${raw(tenants.label)}) as label from ${tableId(tenants.table)} o
      where ${allOf(first, named, last)} order by ${key}${some}
    ) l
    left join retention.period_override v on v.policy = ${policy.name} and v.tenant = l.tenant::text
    cross join lateral (${leg.coolingSeconds > 0 ? longest(policy, leg, asOf, ruled) : now}) e
    order by l.tenant
  `,
      true,
    );
  };

/** Of override `v`, live label `l` and all that ended within the cooling-off, the cutoff furthest back (G6). */
function longest(policy: Policy, leg: TenantsLeg, asOf: Sql, ruled: Sql): Sql {
  const ended = sql`(${asOf} - make_interval(secs => ${typed(leg.coolingSeconds, 'float8')}))`;
  // An override shortens only once it has been there that long itself.
  const byLabel = sql`(v.tenant is null or v.created_at > ${ended})`;
  return sql`
      select case when bool_or(x.cutoff is null) then null else min(x.cutoff) end as cutoff from (
        select ${asOf} - make_interval(secs => v.keep_seconds) as cutoff where v.tenant is not null
        union all select (${ruled} ->> l.label)::timestamptz where ${byLabel}
        union all select (${ruled} ->> h.label)::timestamptz from retention.tenant_label h
          where h.policy = ${policy.name} and h.tenant = l.tenant::text and h.label is distinct from l.label
            and (h.ended_at is null or h.ended_at > ${ended}) and ${byLabel}
        union all select ${asOf} - make_interval(secs => h.keep_seconds) from retention.past_override h
          where h.policy = ${policy.name} and h.tenant = l.tenant::text and h.ended_at > ${ended}
      ) x
    `;
}
