/** Where a hold, an extension or an override is looked for by a batch: the columns its predicate compares. */

import { RequestError } from '../platform/errors';
import type { TableName } from '../platform/sql';
import { tableLabel } from '../platform/sql';
import { contentsOf } from '../policies/contents';
import type { Policy } from '../policies/contract';
import { goingDependants } from '../policies/going';

export type Scope = 'organization' | 'user';

/** Columns that are compared, printed, with a subject; of several columns with all at once, as a JSON array. */
export interface Target {
  readonly policy: string;
  readonly table: TableName;
  readonly columns: readonly string[];
}

/** The governed table first, then what goes with its rows. */
const tablesOf = (policy: Policy) => [policy, ...goingDependants(policy), ...contentsOf(policy)];

export const scopeTargets = (policies: readonly Policy[], scope: Scope): Target[] =>
  policies.flatMap((policy) =>
    tablesOf(policy).flatMap(({ table, scope: columns }) => {
      const column = columns[scope];
      return column === undefined ? [] : [{ policy: policy.name, table, columns: [column] }];
    }),
  );

/** Every table that a policy deletes from, by its key. */
export const allTargets = (policies: readonly Policy[]): Target[] =>
  policies.flatMap((policy) =>
    tablesOf(policy).map(({ table, key }) => ({
      policy: policy.name,
      table,
      columns: key.map((k) => k.column),
    })),
  );

/** A hold on a row of any other table keeps nothing and would look as if it did. */
export const itemTargets = (policies: readonly Policy[], label: string | undefined): Target[] =>
  ofTable(allTargets(policies), label);

/** An extension is looked for on governed rows only. */
export function extensionTargets(policies: readonly Policy[], label: string | undefined): Target[] {
  const all = policies.map(({ name, table, key }) => ({
    policy: name,
    table,
    columns: key.map((k) => k.column),
  }));
  return ofTable(all, label);
}

/** Where a tenant is named: its own table, whose key an override is compared with. */
export function tenantTarget(policies: readonly Policy[], name: string): Target {
  const policy = policies.find((q) => q.name === name);
  if (policy?.tenants) {
    return { policy: name, table: policy.tenants.table, columns: [policy.tenants.key.column] };
  }
  throw new RequestError(422, 'no_tenants', `policy "${name}" does not tell organizations apart`, 'policy');
}

function ofTable(all: readonly Target[], label: string | undefined): Target[] {
  const found = all.filter((t) => tableLabel(t.table) === label);
  if (found.length > 0) return found;
  const list = [...new Set(all.map((t) => tableLabel(t.table)))].sort().join(', ');
  throw new RequestError(422, 'unknown_table', `table must be one of ${list}`, 'table');
}
