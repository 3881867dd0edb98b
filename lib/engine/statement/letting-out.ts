/** A statement between the lock on the rows of a batch and their deletion, by which some of them stay after all. */
import { cte, type Sql, sql, tableId, united, withParts } from '../../platform/sql';
import type { Policy } from '../../policies/contract';

interface LettingOut {
  readonly policy: Policy;
  /** Those that are locked. */
  readonly places: Sql;
  /** Parts that say which of them stay, each a relation `(c)`. */
  readonly parts: readonly Sql[];
  readonly lost: readonly Sql[];
  /** Why a row `t` of them stays. */
  readonly why: Sql;
}

/** Leaves in `lapse.rows` what may go, and counts the rest by why it stays. */
export function lettingOut({ policy, places, parts, lost, why }: LettingOut): Sql {
  const all = cte(
    'lost',
    sql`select distinct x.c from (${united(lost.map((relation) => sql`select c from ${relation}`))}) x`,
    true,
  );
  const staying = cte(
    'staying',
    sql`
      select l.c, l.label from unnest(${places}, nullif(current_setting('lapse.labels', true), '')::text[]) l(c, label)
      where l.c not in (select c from lost)
    `,
    true,
  );
  const counted = cte(
    'counted',
    sql`
      select ${why} as reason, count(*) as n from only ${tableId(policy.table)} t where t.ctid = any(array(select c from lost)) group by 1
    `,
    true,
  );
  const kept = cte(
    'kept',
    sql`
      select coalesce(jsonb_object_agg(k.reason, k.n), '{}') as kept from (
        select x.reason, sum(x.n) as n from (
          select reason, n from counted
          union all select key, value::bigint from jsonb_each_text(current_setting('lapse.seen')::jsonb -> 'kept')
        ) x group by 1
      ) k
    `,
  );
  return sql`${withParts(...parts, all, staying, counted, kept)}select set_config('lapse.seen', jsonb_set(current_setting('lapse.seen')::jsonb, '{kept}', kept.kept)::text, true),
    set_config('lapse.labels', coalesce((select array_agg(label)::text from staying), '{}'), true),
    set_config('lapse.rows', coalesce((select array_agg(c)::text from staying), '{}'), true)
  from kept`;
}
