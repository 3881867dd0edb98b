/**
 * Is every foreign key that points at the governed table declared, and as what it is? A batch joins a dependant to
 * the policy's key, column by column: a key that points anywhere else would take other rows than are joined.
 */

import type { Problem } from '../../platform/errors';
import { name } from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
import { rowsLeave } from '../../policies/going';
import { type Catalog, type Check, type ForeignKey, label, quoted, type Relation } from './preflight-facts';

export const references: Check = (catalog) => judgeAll(catalog, judgeFate);

/** What is declared `block` is gone, or refers to nothing here any more, when a row goes (shapes/locked.ts). */
export const referencesOfErasure: Check = (catalog) =>
  judgeAll(catalog, (d, governed, from, f) => (d.fate === 'block' ? [] : judgeFate(d, governed, from, f)));

type Judging = (d: Dependant, governed: Relation, from: Relation, f: ForeignKey) => Problem[];

function judgeAll(catalog: Catalog, fate: Judging): Problem[] {
  const { policy, governed } = catalog;
  if (!governed || !rowsLeave(policy)) return [];
  return catalog.pointingAt(governed).flatMap((f) => {
    const from = catalog.relation(f.from);
    return from === null ? [] : judge(catalog, governed, from, f, fate);
  });
}

function judge(
  catalog: Catalog,
  governed: Relation,
  from: Relation,
  f: ForeignKey,
  fate: Judging,
): Problem[] {
  const { policy } = catalog;
  const list = f.columns.join(', ');
  const candidates = catalog.children.filter((c) => c.relation?.root === f.from).map((c) => c.declared);
  const wanted = inKeyOrder(policy, f);
  if (wanted === null) return [elsewhere(policy, governed, from, f)];
  const declared = candidates.find((d) => same(d.references, wanted));
  if (declared) return fate(declared, governed, from, f);
  if (candidates.some((d) => same([...d.references].sort(), [...wanted].sort()))) {
    return [
      {
        problem: `${label(from)} (${list}) is declared in another order than the key (${policy.key.map((k) => k.column).join(', ')}): its rows would be joined to other ones`,
        remedy: `declare references: [${wanted.map((c) => `'${c}'`).join(', ')}] of ${label(from)} in the policy`,
      },
    ];
  }
  const effect = { c: 'go with the row', n: 'lose their reference', d: 'get its default' }[
    f.on_delete as string
  ];
  return [
    {
      problem: `${label(from)} (${list}) references the table and is not declared: ${effect ? `its rows would ${effect}` : 'its rows would stop the deletion'}`,
      remedy: `declare it in dependants of the policy with references: [${wanted.map((c) => `'${c}'`).join(', ')}] and fate ${from === governed ? "'block' or 'set-null'" : "'delete', 'keep', 'set-null' or 'block'"}`,
    },
  ];
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);

/** The referring columns in the order of the policy's key; null when the foreign key points at something else. */
function inKeyOrder(policy: Policy, f: ForeignKey): string[] | null {
  if (f.to_columns.length !== policy.key.length) return null;
  const columns = policy.key.map((k) => f.columns[f.to_columns.indexOf(k.column)]);
  return columns.every((c) => c !== undefined) ? columns : null;
}

function elsewhere(policy: Policy, governed: Relation, from: Relation, f: ForeignKey): Problem {
  const key = f.to_columns.map((c) => `{ column: '${c}', type: '${governed.columns[c]?.plain ?? '…'}' }`);
  return {
    problem: `foreign key ${name(f.name)} of ${label(from)} refers to (${f.to_columns.join(', ')}), not to the policy's key (${policy.key.map((k) => k.column).join(', ')}): the rows that go with it would be other ones than are joined`,
    remedy: `where all that refers to the table refers to these columns, name them as the key of the policy: key: [${key.join(', ')}]; else recreate ${name(f.name)} so that it refers to (${policy.key.map((k) => name(k.column)).join(', ')})`,
  };
}

function judgeFate(d: Dependant, governed: Relation, from: Relation, f: ForeignKey): Problem[] {
  const letsGo = f.on_delete === 'n' || f.on_delete === 'd';
  const holdsBack = f.on_delete === 'a' || f.on_delete === 'r';
  if (from === governed) return judgeSelf(d, from, f, holdsBack);
  if (d.fate === 'set-null' && f.on_delete === 'c') {
    return [
      {
        problem: `${label(from)} is declared 'set-null', but foreign key ${name(f.name)} takes its rows along`,
        remedy: withoutEffect(from, f, governed),
      },
    ];
  }
  if (d.fate === 'keep' && !letsGo) {
    return [
      {
        problem: `${label(from)} is declared 'keep', but foreign key ${name(f.name)} does not let go of the row`,
        remedy: `recreate ${name(f.name)} with ON DELETE SET NULL, or declare 'delete' or 'block'`,
      },
    ];
  }
  // A row inserted after the batch has looked would go, or change, with the row it should have kept.
  if (d.fate === 'block' && !holdsBack) {
    return [
      {
        problem: `${label(from)} is declared 'block', but foreign key ${name(f.name)} gives way: a row written meanwhile would ${letsGo ? 'lose its reference' : 'go along'}`,
        remedy: withoutEffect(from, f, governed),
      },
    ];
  }
  return [];
}

/** Rows of one table that go in one statement may refer to each other: only those nothing refers to go, from the end. */
function judgeSelf(d: Dependant, from: Relation, f: ForeignKey, holdsBack: boolean): Problem[] {
  // What goes in one batch goes together; what stays has lost its reference before.
  if (d.fate === 'set-null' && f.on_delete !== 'c') return [];
  if (!holdsBack) {
    return [
      {
        problem: `${label(from)} refers to itself by ${name(f.name)}: rows at any depth would go or change with the row and be in no receipt`,
        remedy: `${withoutEffect(from, f, from)} and declare it 'block'`,
      },
    ];
  }
  if (d.fate === 'block') return [];
  return [
    {
      problem: `${label(from)} refers to itself by ${name(f.name)} and is declared '${d.fate}'`,
      remedy: "declare it 'block': rows that nothing refers to go first",
    },
  ];
}

/** The same foreign key, which then only refuses. */
export const withoutEffect = (from: Relation, f: ForeignKey, to: Relation): string =>
  `ALTER TABLE ${quoted(from)} DROP CONSTRAINT ${name(f.name)}, ADD CONSTRAINT ${name(f.name)} FOREIGN KEY (${f.columns.map(name).join(', ')}) REFERENCES ${quoted(to)} (${f.to_columns.map(name).join(', ')});`;
