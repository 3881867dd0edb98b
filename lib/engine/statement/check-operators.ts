/**
 * What lapse_operator lacks in the tables whose rows a person decides about: marks that are taken back, and orders in
 * review. Rows are deleted without it, so it is said beside the policies and keeps none of them from deleting.
 */
import { z } from 'zod';
import type { Problem } from '../../platform/errors';
import { type Query, query, rows } from '../../platform/query';
import { name, sql, type TableName, table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { OrderReview } from '../../policies/order-contract';
import { strategyOf } from '../../policies/strategies';

const ROLE = 'lapse_operator';

interface Decided {
  readonly table: TableName;
  /** That an operator's decision writes. */
  readonly columns: readonly string[];
  /** What is refused without the right. */
  readonly action: string;
}

/** The tables of the declarations, each with what an operator changes in it. */
export function decidedByOperators(policies: readonly Policy[], review?: OrderReview): Decided[] {
  const marked = policies.flatMap((policy) => {
    const { grace } = strategyOf(policy);
    return grace ? [{ table: policy.table, columns: [grace.mark], action: 'take rows back from' }] : [];
  });
  if (!review) return marked;
  const { status, reviewExtendedUntil, resolvedAt } = review.columns;
  const columns = [status, reviewExtendedUntil, resolvedAt];
  return [...marked, { table: review.table, columns, action: 'decide about orders of' }];
}

const Lacking = z.object({ n: z.number().int(), may_use: z.boolean(), may: z.boolean() });
type Lacking = z.infer<typeof Lacking>;

/** Of the tables and columns there are; a role that is not there yet lacks nothing. */
export const operatorsRights = (decided: readonly Decided[]): Query<Lacking[]> =>
  query(
    sql`select d.n, x.may_use, x.may
    from jsonb_to_recordset(${JSON.stringify(decided.map((d, n) => ({ n, s: d.table.schema, t: d.table.name, columns: d.columns })))}::jsonb)
      d(n int, s text, t text, columns jsonb)
    join pg_namespace s on s.nspname = d.s join pg_class r on r.relnamespace = s.oid and r.relname = d.t
    join pg_roles o on o.rolname = ${ROLE}
    cross join lateral (select has_schema_privilege(o.oid, s.oid, 'USAGE') as may_use,
      has_table_privilege(o.oid, r.oid, 'SELECT') and not exists (select 1 from pg_attribute a where a.attrelid = r.oid
        and not a.attisdropped and d.columns ? a.attname and not has_column_privilege(o.oid, r.oid, a.attnum, 'UPDATE')) as may) x
    where not (x.may_use and x.may) order by d.n`,
    rows(Lacking),
  );

export const judgeOperators = (decided: readonly Decided[], lacking: readonly Lacking[]): Problem[] =>
  lacking.flatMap(({ n, may_use, may }) => {
    const { table: t, columns, action } = decided[n]!;
    const problem = `${ROLE} may not ${action} ${table(t)}`;
    const update = `SELECT, UPDATE (${columns.map(name).join(', ')})`;
    return [
      ...(may_use ? [] : [{ problem, remedy: `GRANT USAGE ON SCHEMA ${name(t.schema)} TO ${ROLE};` }]),
      ...(may ? [] : [{ problem, remedy: `GRANT ${update} ON ${table(t)} TO ${ROLE};` }]),
    ];
  });
