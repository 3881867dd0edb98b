/**
 * Rows of a leg that are past their date and that a hold keeps, among those for which a condition is true: what its release would
 * let go at most. Found from the condition's own index, and counted up to a bound.
 */

import { z } from 'zod';
import { oneRow, type Query, query } from '../../platform/query';
import { allOf, constant, id, type Sql, sql, withParts } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Leg } from './leg';
import { walkOf } from './legs';
import { tenantsOf } from './legs/tenants';
import { expired, held, source } from './predicate';

const Counted = z.object({ n: z.number().int() }).transform((row) => row.n);

/** `only`: of a row `t`. One more than `most` says that there are more. */
export function heldDue(policy: Policy, leg: Leg, asOf: string, only: Sql, most: number): Query<number> {
  const w = walkOf(policy, leg, asOf);
  const found = sql`select from ${w.rows} where ${allOf(only, w.due, expired(w), held(w))} limit ${constant(most + 1)}`;
  return query(
    sql`${withParts(...leadOf(policy, leg, asOf, only, most))}select count(*)::int as n from (${found}) x`,
    oneRow(Counted),
  );
}

/** Of the tenants only those whose rows these are. */
function leadOf(policy: Policy, leg: Leg, asOf: string, only: Sql, most: number): readonly Sql[] {
  const { tenants } = policy;
  if (leg.kind !== 'tenants' || tenants === undefined) return walkOf(policy, leg, asOf).lead;
  const column = id('t', tenants.column);
  const those = sql`array(select x.k from (select ${column} as k from ${source(policy)} t where ${only} limit ${constant(most + 1)}) x group by 1)`;
  return [tenantsOf(policy, tenants, leg, sql`${asOf}::timestamptz`)({ from: null, window: null, those })];
}
