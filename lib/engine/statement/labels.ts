/**
 * Observes under which rule each tenant is (G6). What was seen before and is not any more keeps counting for
 * the cooling-off, from now by the database's clock; what has not been observed yet counts in the deciding statement itself, where the
 * live label and the last one seen are both looked at. Writes only what changed.
 */

import type { Statement } from '../../platform/database';
import { name, Parameters, table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';

/**
 * Statements for a policy with tenants, none for others. They belong into every run's first request, also when
 * nothing is due: a change that nobody observes would never cool off.
 */
export function observeLabels(policy: Policy, coolingSeconds: number): Statement[] {
  const t = policy.tenants;
  if (!t || coolingSeconds === 0) return [];
  const live = `select o.${name(t.key.column)}::text as tenant, coalesce((${t.label})::text, '') as label from ${table(t.table)} o`;
  const p = new Parameters();
  const policyName = p.add(policy.name, 'text');
  const open = `select from retention.tenant_label h where h.policy = ${policyName} and h.tenant = l.tenant and h.ended_at is null`;
  return [
    p.statement(`select retention.observe_labels(${policyName}, array_agg(l.tenant), array_agg(l.label)) from (${live}) l
      where not exists (${open} and h.label = l.label) or exists (${open} and h.label <> l.label)`),
  ];
}
