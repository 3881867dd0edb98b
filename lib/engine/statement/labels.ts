/**
 * Observes under which rule each tenant is (G6). What was seen before and is not any more keeps counting for
 * the cooling-off, from now by the database's clock; what has not been observed yet counts in the deciding statement itself, where the
 * live label and the last one seen are both looked at. Writes only what changed.
 */
import { nothing, type Query, query } from '../../platform/query';
import { id, raw, sql, tableId, typed } from '../../platform/sql';
import type { Policy } from '../../policies/contract';

/**
 * For a policy with tenants, none for others. It belongs into every run's first request, also when nothing is due: a
 * change that was never observed would never cool off.
 */
export function observeLabels(policy: Policy, coolingSeconds: number): Query<void>[] {
  const t = policy.tenants;
  if (!t || coolingSeconds === 0) return [];
  const policyName = typed(policy.name, 'text');
  const live = sql`select ${id('o', t.key.column)}::text as tenant, coalesce((${raw(t.label)})::text, '') as label from ${tableId(t.table)} o`;
  const open = sql`select from retention.tenant_label h where h.policy = ${policyName} and h.tenant = l.tenant and h.ended_at is null`;
  return [
    query(
      sql`select retention.observe_labels(${policyName}, array_agg(l.tenant), array_agg(l.label)) from (${live}) l
      where not exists (${open} and h.label = l.label) or exists (${open} and h.label <> l.label)`,
      nothing,
    ),
  ];
}
