/**
 * Dependants that stay and lose their reference (fate `set-null`): the batch itself sets it to null, a statement a reference,
 * after the rows that go were locked and before they go. A locked row gets no new references, so none is missed; each row
 * that was changed is named in the receipt, once a reference.
 */
import {
  allOf,
  cte,
  keyAsText,
  literal,
  type Sql,
  sql,
  table,
  tableLabel,
  withParts,
} from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
import { detachedDependants } from '../../policies/going';
import { detachChildren, detachFromOne } from './change';

/** Where each statement adds what it changed: `retention.write_receipt` reads it. */
const SO_FAR = sql`coalesce(nullif(current_setting('lapse.detached', true), ''), '{}')::jsonb`;

/** Of the rows at `places`; those of them that refer to each other go together and are not changed first. */
export const detaching = (policy: Policy, places: Sql): Sql[] =>
  detachedDependants(policy).map((d) => {
    const isSelf = table(d.table) === table(policy.table);
    const those = allOf(sql`t.ctid = any(${places})`, isSelf && sql`d.ctid <> all(${places})`);
    const label = literal(tableLabel(d.table));
    const changed = detachChildren(d, policy, those, sql`${keyAsText('d', d.key)} as key`);
    return sql`${withParts(cte('changed', changed))}select set_config('lapse.detached', (s.far || case when count(x.key) = 0 then '{}'
      else jsonb_build_object(${label}, coalesce(s.far -> ${label}, '[]') || jsonb_agg(x.key order by x.key)) end)::text, true)
  from (select ${SO_FAR} as far) s left join changed x on true group by s.far`;
  });

/** The same of one row `t`, as parts of the statement that tries it. */
export function detachingOne(policy: Policy, row: Sql): Sql[] {
  const tables = new Map<string, [Dependant, ...Dependant[]]>();
  for (const d of detachedDependants(policy)) {
    const same = tables.get(table(d.table));
    if (same) same.push(d);
    else tables.set(table(d.table), [d]);
  }
  return [...tables.values()].map((same, i) => cte(`u${i}`, detachFromOne(same, policy, row)));
}
