/**
 * What is asked of the rows that refer to row `t` and count as its clock (`clock.orLaterIn`): never for their latest, but
 * whether one of them is not before an instant, or has none. Each question is one look into the index on the reference and the
 * clock, whatever number of rows refer to it: `offset 0` keeps PostgreSQL from reading their whole table for a join instead.
 */
import { allOf, anyOf, id, list, type Sql, sql, tableId } from '../../platform/sql';
import { type Later, scaleOf } from '../../policies/clocks';
import type { Policy } from '../../policies/contract';

const OTHER = 'x';

/** The columns of the row that it refers to. */
export const referredTo = (policy: Policy, of: Later): readonly string[] =>
  of.refersTo ?? policy.key.map((k) => k.column);

const value = (of: Later): Sql => id(OTHER, of.column);

const those = (policy: Policy, of: Later, is: Sql): Sql =>
  sql`from ${tableId(of.table)} ${id(OTHER)} where ${allOf(...referredTo(policy, of).map((c, i) => sql`${id(OTHER, of.references[i]!)} = ${id('t', c)}`), is)}`;

const isThere = (policy: Policy, of: Later, is: Sql): Sql =>
  sql`exists (select 1 ${those(policy, of, is)} order by ${value(of)} offset 0)`;

/** One that has no instant is not over: a shipment that has not left. */
const withoutInstant = (of: Later): Sql[] => [
  sql`${value(of)} is null`,
  sql`${value(of)} <= ${scaleOf(of).low}`,
];

const anyWithout = (policy: Policy): Sql[] =>
  (policy.clock.orLaterIn ?? []).flatMap((of) => withoutInstant(of).map((is) => isThere(policy, of, is)));

/** That one of them keeps the row at this instant; null where the row's own clock says it alone. */
export function keptByLater(policy: Policy, instant: Sql): Sql | null {
  const later = (policy.clock.orLaterIn ?? []).map((of) =>
    isThere(policy, of, sql`${value(of)} >= ${scaleOf(of).at(instant)}`),
  );
  return later.length === 0 ? null : anyOf(...later, ...anyWithout(policy));
}

/** That one of them has no instant; null where none is asked. */
export function laterWithoutInstant(policy: Policy): Sql | null {
  const found = anyWithout(policy);
  return found.length === 0 ? null : anyOf(...found);
}

/** The latest of the row's own instant and theirs; null where one of them has none. For a single row: one look each. */
export function latest(policy: Policy, own: Sql): Sql {
  const without = laterWithoutInstant(policy);
  if (without === null) return own;
  const newest = (policy.clock.orLaterIn ?? []).map(
    (of) =>
      sql`(select ${scaleOf(of).instant(value(of))} ${those(policy, of, sql`${value(of)} is not null`)} order by ${value(of)} desc limit 1)`,
  );
  return sql`(case when ${own} is not null and not ${without} then greatest(${list(own, ...newest)}) end)`;
}
