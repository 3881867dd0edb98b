/**
 * Observes under which rule each tenant is (G6). What was seen before and is not any more keeps counting for
 * the cooling-off, from now by the database's clock; what has not been observed yet counts in the deciding statement itself, where the
 * live label and the last one seen are both looked at. Writes only what changed.
 */
import { name, Parameters, table } from '../batch/sql';
import type { Statement } from '../database';
import type { Policy } from '../policies/contract';

/**
 * Statements for a policy with tenants, none for others. They belong into every run's first request, also when
 * nothing is due: a change that nobody observes would never cool off.
 */
export function observeLabels(policy: Policy, coolingSeconds: number): Statement[] {
  const t = policy.tenants;
  if (!t || coolingSeconds === 0) return [];
  const live = `select o.${name(t.key.column)}::text as tenant, coalesce((${t.label})::text, '') as label from ${table(t.table)} o`;
  const p = new Parameters();
  const ended = p.statement(`update retention.tenant_label h
    set ended_at = greatest(retention.clock(), h.seen_at) from (${live}) l
    where h.policy = ${p.add(policy.name)} and h.tenant = l.tenant and h.ended_at is null and h.label <> l.label`);
  const q = new Parameters();
  const began = q.statement(`insert into retention.tenant_label as h (policy, tenant, label, seen_at)
    select ${q.add(policy.name)}, l.tenant, l.label, retention.clock() from (${live}) l
    where not exists (select 1 from retention.tenant_label c
      where c.policy = ${q.add(policy.name)} and c.tenant = l.tenant and c.label = l.label and c.ended_at is null)
    on conflict (policy, tenant, label) do update set ended_at = null where h.ended_at is not null`);
  return [ended, began];
}
