/**
 * Is every foreign key that points at a table rows leave declared, and as what it is? A batch joins a dependant to the columns
 * it refers to, one by one: others would take other rows than are joined.
 */

import type { Problem } from '../../platform/errors';
import { name } from '../../platform/sql';
import { type Dependant, TEXT } from '../../policies/contract';
import { inOrderOf } from '../../policies/hanging';
import {
  type Catalog,
  type Check,
  type Child,
  type ForeignKey,
  label,
  quoted,
  type Relation,
} from './preflight-facts';

export const references: Check = (catalog) => judgeAll(catalog, judgeFate);

/** What is declared `block` is gone, or refers to nothing here any more, when a row goes (shapes/locked.ts). */
export const referencesOfErasure: Check = (catalog) =>
  judgeAll(catalog, (d, governed, from, f) => (d.fate === 'block' ? [] : judgeFate(d, governed, from, f)));

type Judging = (d: Dependant, to: Relation, from: Relation, f: ForeignKey) => Problem[];

/** Of every table that rows leave. */
const judgeAll = (catalog: Catalog, fate: Judging): Problem[] =>
  catalog.leaving.flatMap((to) =>
    catalog.pointingAt(to).flatMap((f) => {
      const from = catalog.relation(f.from);
      return from === null ? [] : judge(catalog, to, from, f, fate);
    }),
  );

function judge(catalog: Catalog, to: Relation, from: Relation, f: ForeignKey, fate: Judging): Problem[] {
  const candidates = catalog.children.filter(
    (c) => c.relation?.root === f.from && c.parent?.root === to.root,
  );
  const declared = candidates.find((c) => isSame(c, f));
  if (declared) return fate(declared.declared, to, from, f);
  const list = f.columns.join(', ');
  const near = candidates.find((c) => sorted(c.declared.references) === sorted(f.columns));
  if (near) {
    return [
      {
        problem: `${label(from)} (${list}) is declared to refer to (${near.refersTo.join(', ')}) of ${label(to)} by (${near.declared.references.join(', ')}), and ${name(f.name)} says (${f.to_columns.join(', ')}) by (${list}): its rows would be joined to other ones`,
        remedy: `declare it in dependants of the policy as ${lineOf(catalog, to, from, f)}`,
      },
    ];
  }
  const effect = { c: 'go with the row', n: 'lose their reference', d: 'get its default' }[
    f.on_delete as string
  ];
  const what = to === catalog.governed ? 'the table' : label(to);
  return [
    {
      problem: `${label(from)} (${list}) references ${what} and is not declared: ${effect ? `its rows would ${effect}` : 'its rows would stop the deletion'}`,
      remedy: `declare it in dependants of the policy as ${lineOf(catalog, to, from, f)}, or with another fate: ${FATES}`,
    },
  ];
}

const FATES =
  "'delete' (goes along), 'keep' or 'set-null' (stays and loses the reference) or 'block' (keeps the row here)";

const sorted = (columns: readonly string[]): string => [...columns].sort().join('\0');
const pairs = (columns: readonly string[], to: readonly string[]): string =>
  sorted(columns.map((c, i) => `${c}\0${to[i]}`));

/** The same columns referring to the same ones, in whatever order either lists them. */
export const isSame = (c: Pick<Child, 'declared' | 'refersTo'>, f: ForeignKey): boolean =>
  c.declared.references.length === f.columns.length &&
  pairs(c.declared.references, c.refersTo) === pairs(f.columns, f.to_columns);

/** The entry of `dependants` that says what this foreign key does. */
function lineOf(
  { policy, governed, children }: Catalog,
  to: Relation,
  from: Relation,
  f: ForeignKey,
): string {
  const key = to === governed ? policy.key : children.find((c) => c.relation?.root === to.root)!.declared.key;
  const ordered = inOrderOf(
    key.map((k) => k.column),
    f,
  );
  const quote = (columns: readonly string[]) => `[${columns.map(written).join(', ')}]`;
  const fate = { a: 'delete', r: 'delete', c: 'delete', n: 'keep', d: 'keep' }[f.on_delete];
  const tableOf = (r: Relation) =>
    `{ ${r.schema === 'public' ? '' : `schema: ${written(r.schema)}, `}name: ${written(r.name)} }`;
  return `{ ${[
    `table: ${tableOf(from)}`,
    to === governed ? null : `via: ${tableOf(to)}`,
    `key: [${keyOf(from)}]`,
    `references: ${quote(ordered ?? f.columns)}`,
    ordered ? null : `refersTo: ${quote(f.to_columns)}`,
    `fate: '${fate}'`,
  ]
    .filter((x) => x !== null)
    .join(', ')} }`;
}

/** As a string of TypeScript. */
const written = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** Of the first unique index that names every row. */
function keyOf(r: Relation): string {
  const unique = r.indexes.find(
    (i) => i.unique && i.partial === null && i.columns.every((c) => r.columns[c]?.not_null),
  );
  return (unique?.columns ?? ['…'])
    .map((c) => {
      const type = r.columns[c]?.plain ?? '…';
      const personal = TEXT.test(r.columns[c]?.base ?? '') ? ', personal: false' : '';
      return `{ column: ${written(c)}, type: ${written(type)}${personal} }`;
    })
    .join(', ');
}

function judgeFate(d: Dependant, to: Relation, from: Relation, f: ForeignKey): Problem[] {
  const letsGo = f.on_delete === 'n' || f.on_delete === 'd';
  const holdsBack = f.on_delete === 'a' || f.on_delete === 'r';
  if (d.fate === 'set-null' && f.on_delete === 'c') {
    return [
      {
        problem: `${label(from)} is declared 'set-null', but foreign key ${name(f.name)} takes its rows along`,
        remedy: withoutEffect(from, f, to),
      },
    ];
  }
  if (d.fate === 'keep' && from === to) {
    return [
      {
        problem: `${label(from)} refers to itself by ${name(f.name)} and is declared 'keep': rows that go would change on the way`,
        // Rows of a partitioned table are not gone through as a tree (lib/policies/hanging.ts).
        remedy:
          from.kind === 'p'
            ? "declare it 'block' or 'set-null'"
            : "declare it 'set-null', 'block', or 'delete': a row goes with all below it once each of them may",
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
        remedy: withoutEffect(from, f, to),
      },
    ];
  }
  return [];
}

/** The same foreign key, which then only refuses. */
const withoutEffect = (from: Relation, f: ForeignKey, to: Relation): string =>
  `ALTER TABLE ${quoted(from)} DROP CONSTRAINT ${name(f.name)}, ADD CONSTRAINT ${name(f.name)} FOREIGN KEY (${f.columns.map(name).join(', ')}) REFERENCES ${quoted(to)} (${f.to_columns.map(name).join(', ')});`;
