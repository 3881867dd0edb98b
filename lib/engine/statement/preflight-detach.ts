/**
 * Can the reference of a dependant be taken away (fate `set-null`)? Its columns have to take a null, the role has to be
 * allowed to write one, and nothing nobody has looked at may refuse it.
 */
import type { Problem } from '../../platform/errors';
import { name } from '../../platform/sql';
import type { Dependant } from '../../policies/contract';
import { clearedColumns, detachedDependants } from '../../policies/going';
import { type Catalog, type Check, type Column, quoted, type Relation } from './preflight-facts';
import { lackingRights } from './preflight-tables';

/** Dependants that lose their reference and are there, with where the policy declares each. */
export const detachedChildren = (
  catalog: Catalog,
): { declared: Dependant; relation: Relation; field: string }[] => {
  const losing = detachedDependants(catalog.policy);
  return catalog.children.flatMap(({ declared, relation }, i) =>
    relation && losing.includes(declared) ? [{ declared, relation, field: `dependants.${i}` }] : [],
  );
};

export const detachable: Check = (catalog) =>
  detachedChildren(catalog).flatMap(({ declared, relation: r, field }) => {
    const columns = clearedColumns(declared).flatMap((column) => {
      const found = r.columns[column];
      return found ? [{ column, found }] : [];
    });
    const mayWrite = columns.every(({ found }) => found.may_update);
    return [
      ...columns.flatMap(({ column, found }) => unfit(r, declared, column, found, field)),
      ...(mayWrite
        ? []
        : lackingRights(
            r,
            'UPDATE what refers to the row in',
            `SELECT, UPDATE (${columns.map((c) => name(c.column)).join(', ')})`,
          )),
    ];
  });

function unfit(r: Relation, d: Dependant, column: string, found: Column, field: string): Problem[] {
  const [t, c] = [quoted(r), name(column)];
  const nullable = d.references.filter((x) => !(r.columns[x]?.not_null ?? true));
  const clears = `declare clears: [${nullable.map((x) => `'${x}'`).join(', ')}]`;
  const instead = nullable.length > 0 ? ` or ${clears}` : '';
  const known = d.knownConstraints ?? [];
  return [
    ...(found.not_null && found.primary
      ? [
          {
            problem: `${field}: ${c} of ${t} is to become null, and is part of the primary key`,
            remedy: `${nullable.length > 0 ? clears : "declare 'delete' or 'block'"} in ${field} of the policy: no row can be without it`,
          },
        ]
      : []),
    ...(found.not_null && !found.primary
      ? [
          {
            problem: `${field}: ${c} of ${t} is to become null, and may not be NULL`,
            remedy: `ALTER TABLE ${t} ALTER COLUMN ${c} DROP NOT NULL;${instead}`,
          },
        ]
      : []),
    ...(found.generated
      ? [
          {
            problem: `${field}: ${c} of ${t} is to become null, and is generated`,
            remedy: "declare 'block', or give the reference a column of its own",
          },
        ]
      : []),
    // A foreign key takes a null; where it does not (MATCH FULL), the batch fails and deletes nothing.
    ...found.constraints
      .filter((x) => x.kind !== 'f' && !known.includes(x.name))
      .map((x) => ({
        problem: `${field}: ${c} of ${t} is under constraint ${name(x.name)}, which could refuse a null`,
        remedy: `read it, then name it in ${field}.knownConstraints of the policy, or ALTER TABLE ${t} DROP CONSTRAINT ${name(x.name)};`,
      })),
  ];
}
