/**
 * Can what the rows refer to go with its last reference? A content is judged as a governed table of its own, which everything that
 * refers to it keeps here: so every foreign key that points at it, as the catalog has it, is declared, indexed and readable, what
 * refers to it without one has a gate, and the content's own triggers, rules, rights and guard are looked at.
 */
import type { Problem } from '../../platform/errors';
import { name, tableLabel } from '../../platform/sql';
import { contentsOf, ending, type LettingGo, type Referring, staying } from '../../policies/contents';
import type { Content, Policy } from '../../policies/contract';
import { goingDependants } from '../../policies/going';
import { inOrderOf, sameTable } from '../../policies/hanging';
import { keys } from './preflight-columns';
import { Catalog, type Check, label, quoted } from './preflight-facts';
import { gates } from './preflight-gates';

/** Asked of content number `i` of the policy. */
export const checksOfContent = (policy: Policy, i: number): Check[] => {
  const content = contentsOf(policy)[i]!;
  const alone = (catalog: Catalog, dependants: Policy['dependants']) =>
    new Catalog({ ...catalog.policy, dependants }, catalog.facts, catalog.permanent);
  return [
    (catalog) => keys(alone(catalog, [])),
    (catalog) => gates(alone(catalog, catalog.policy.dependants.slice(0, staying(policy, content).length))),
    (catalog) => declaredReferences(catalog, policy, content, `contents.${i}`),
  ];
};

const same = (a: readonly string[], b: readonly string[]): boolean => a.join('\0') === b.join('\0');

function declaredReferences(catalog: Catalog, policy: Policy, content: Content, field: string): Problem[] {
  const { governed } = catalog;
  if (!governed) return [];
  const wanted = content.key.map((k) => k.column);
  const known = catalog.pointingAt(governed).map((f) => {
    return { f, from: catalog.relation(f.from), columns: inOrderOf(wanted, f) };
  });
  const all = [...staying(policy, content), ...ending(policy, content).map(referringOf)];
  const undeclared = known.flatMap(({ f, from, columns }): Problem[] => {
    if (!from) return [];
    if (columns === null) {
      return [
        {
          problem: `${field}: foreign key ${name(f.name)} of ${label(from)} refers to (${f.to_columns.join(', ')}) of ${label(governed)}, not to its key (${wanted.join(', ')})`,
          remedy: `where all that refers to it refers to these columns, name them as the key in ${field}; else recreate ${name(f.name)} so that it refers to (${wanted.join(', ')})`,
        },
      ];
    }
    const declared = all.some((s) => sameTable(s.table, from) && same(s.columns, columns));
    if (declared) return [];
    const listed = `[${columns.map((c) => `'${c}'`).join(', ')}]`;
    const goes = goingDependants(policy).some((d) => sameTable(d.table, from));
    return [
      {
        problem: `${field}: ${label(from)} (${columns.join(', ')}) refers to ${label(governed)} and is not declared: its rows would be asked by nobody`,
        remedy: sameTable(policy.table, from)
          ? `add ${listed} to ${field}.references of the policy`
          : `add { table: { schema: '${from.schema}', name: '${from.name}' }, columns: ${listed} } to ${field}.${goes ? 'referredBy' : 'sharedWith'} of the policy`,
      },
    ];
  });
  return [...undeclared, ...unheld(catalog, policy, content, field)];
}

const referringOf = ({ place, columns }: LettingGo): Referring => ({ table: place.table, columns });

/** A row that is written meanwhile would refer to nothing: only a foreign key refuses it. */
function unheld(catalog: Catalog, policy: Policy, content: Content, field: string): Problem[] {
  const governed = catalog.governed!;
  const pointing = catalog.pointingAt(governed).map((f) => ({
    from: catalog.relation(f.from),
    columns: inOrderOf(
      content.key.map((k) => k.column),
      f,
    ),
  }));
  return ending(policy, content)
    .map(referringOf)
    .filter(
      (r) =>
        !pointing.some(
          ({ from, columns }) => from && columns && sameTable(from, r.table) && same(r.columns, columns),
        ),
    )
    .map(({ table, columns }) => ({
      problem: `${field}: ${tableLabel(table)} (${columns.join(', ')}) refers to ${label(governed)} and no foreign key says so: a row written meanwhile would refer to nothing`,
      remedy: `ALTER TABLE ${name(table.schema)}.${name(table.name)} ADD FOREIGN KEY (${columns.map(name).join(', ')}) REFERENCES ${quoted(governed)} (${content.key.map((k) => name(k.column)).join(', ')}) NOT VALID;`,
    }));
}
