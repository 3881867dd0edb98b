/**
 * How many rows would go, counted with the batch's own predicate and no further than asked: the answer is a
 * number or "more than" it. Asked only when the cheap count of what is before the cutoffs passes a limit.
 */

import type { Statement } from '../../platform/database';
import { name, Parameters } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Leg } from './leg';
import { tenantsOf } from './pick';
import { mayGo, source } from './predicate';

/** One row `{ candidates }`, at most `cap + 1`. */
export function countCandidates(
  policy: Policy,
  legs: readonly Leg[],
  asOfText: string,
  cap: number,
): Statement {
  const p = new Parameters();
  const asOf = p.add(asOfText, 'timestamptz');
  const most = p.add(cap + 1, 'bigint');
  const rows = legs.map((leg) =>
    leg.kind !== 'tenants'
      ? `(select 1 from ${source(policy)} t where ${mayGo(policy, leg, asOf, p)} limit ${most})`
      : `(with ${tenantsOf(policy, leg, null, asOf, p, null)}
          select 1 from tenants w cross join lateral (
            select 1 from ${source(policy)} t where t.${name(policy.tenants!.column)} = w.tenant and ${mayGo(policy, leg, asOf, p)}
          ) r limit ${most})`,
  );
  const all = rows.join(' union all ') || '(select 1 where false)';
  return p.statement(`select count(*)::text as candidates from (select 1 from (${all}) a limit ${most}) x`);
}
