/**
 * The proof of being drained: a last look without cursor and without `skip locked`, with the batch's own
 * predicate. Reaching the end proves nothing: rows that were locked, or moved behind the walk, are still
 * there (DELETION §4). Also the bounded count at the start of a run: how much is before the cutoffs at all?
 */
import type { Statement } from '../../platform/database';
import { name, Parameters } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Leg } from './leg';
import { tenantsOf, unmarked } from './pick';
import { before, mayGo, ofSubject, source } from './predicate';

const orderOf = (policy: Policy): string =>
  [policy.clock.column, ...policy.key.map((k) => k.column)].map((c) => `t.${name(c)}`).join(', ');

/** One row `{ left: boolean }`: whether a row that may go is left before the cutoffs. */
export function leftBehind(policy: Policy, legs: readonly Leg[], asOf: string): Statement {
  const p = new Parameters();
  const at = p.add(asOf, 'timestamptz');
  const looks = legs.map((leg) =>
    leg.kind !== 'tenants'
      ? `exists (select 1 from (select 1 from ${source(policy)} t where ${mayGo(policy, leg, at, p)}
          order by ${orderOf(policy)} limit 1) x)`
      : `(with ${tenantsOf(policy, leg, null, at, p, null)}
          select exists (select 1 from tenants w cross join lateral (
            select 1 from ${source(policy)} t where t.${name(policy.tenants!.column)} = w.tenant and ${mayGo(policy, leg, at, p)}
            order by ${orderOf(policy)} limit 1) x))`,
  );
  return p.statement(`select ${looks.join(' or ') || 'false'} as left, ${at} as as_of`);
}

/** Counting stops here: about 10 ms of an index, whatever the table's size (DELETION §7). */
export const DUE_CAP = 100_000;

/**
 * One row `{ due: number }`: rows before their cutoff, held or not, counted up to DUE_CAP + 1. Also leaves the
 * answer in `lapse.due` for the statement that ends an idle run.
 */
export function countDue(policy: Policy, legs: readonly Leg[], asOf: string): Statement {
  const p = new Parameters();
  const clock = `t.${name(policy.clock.column)}`;
  const counts = legs.map((leg) => {
    if (leg.kind === 'subject') {
      return `(select count(*) from (select 1 from ${source(policy)} t where ${ofSubject(leg, p)} limit ${DUE_CAP + 1}) x)`;
    }
    if (leg.kind === 'rule') {
      const where = [
        ...Object.entries(leg.rule.match).map(([column, value]) => `t.${name(column)} = ${p.add(value)}`),
        before(policy, 't', p.add(leg.cutoff, 'timestamptz')),
        `isfinite(${clock})`,
        ...unmarked(policy),
      ];
      return `(select count(*) from (select 1 from ${source(policy)} t where ${where.join(' and ')} limit ${DUE_CAP + 1}) x)`;
    }
    const tenants = tenantsOf(policy, leg, null, p.add(asOf, 'timestamptz'), p, null);
    return `(with ${tenants}
      select count(*) from (
        select 1 from tenants w cross join lateral (
          select 1 from ${source(policy)} t
          where t.${name(policy.tenants!.column)} = w.tenant and ${[before(policy, 't', 'w.cutoff'), `isfinite(${clock})`, ...unmarked(policy)].join(' and ')}
        ) r limit ${DUE_CAP + 1}
      ) x)`;
  });
  return p.statement(`with counted as materialized (select ${counts.join(' + ') || '0'} as n)
  select n::text as due, set_config('lapse.due', (n > 0)::text, true) from counted`);
}
