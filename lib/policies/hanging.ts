/**
 * What a dependant hangs on: the governed table, or another dependant's that goes; and which columns there it refers to. Also
 * what keeps declared dependants from being one tree below the governed table.
 */
import { type KeyColumn, type TableName, tableLabel } from '../platform/sql';

interface Hanging {
  readonly table: TableName;
  readonly via?: TableName | undefined;
  readonly key: readonly KeyColumn[];
  readonly references: readonly string[];
  readonly refersTo?: readonly string[] | undefined;
  readonly fate: string;
  readonly files: readonly unknown[];
  readonly scope: object;
}
interface Governing {
  readonly table: TableName;
  readonly key: readonly KeyColumn[];
  readonly dependants: readonly Hanging[];
}
interface Declared extends Governing {
  readonly partitioned?: unknown;
}

export const sameTable = (a: TableName, b: TableName): boolean => tableLabel(a) === tableLabel(b);

/** Whether it hangs on the governed table itself. */
export const isDirect = (d: Hanging, policy: Governing): boolean =>
  d.via === undefined || sameTable(d.via, policy.table);

/** What it hangs on: the governed table, or the first declaration of a table that goes. */
function parentOf(
  d: Hanging,
  policy: Governing,
): { table: TableName; key: readonly KeyColumn[] } | undefined {
  if (isDirect(d, policy)) return policy;
  return policy.dependants.find((x) => x.fate === 'delete' && sameTable(x.table, d.via!));
}

/** The table whose rows it refers to. */
export const parentTable = (d: Hanging, policy: Governing): TableName =>
  parentOf(d, policy)?.table ?? policy.table;

/** The columns there, in the order of `references`. */
export const refersTo = (d: Hanging, policy: Governing): readonly string[] =>
  d.refersTo ?? (parentOf(d, policy)?.key ?? []).map((k) => k.column);

interface ForeignKey {
  readonly columns: readonly string[];
  readonly to_columns: readonly string[];
}

/** The columns of a foreign key in the order of a key that it refers to; null where it refers to other columns. */
export function inOrderOf(
  key: readonly string[],
  { columns, to_columns }: ForeignKey,
): readonly string[] | null {
  const ordered = key.flatMap((column) => columns[to_columns.indexOf(column)] ?? []);
  return ordered.length === key.length && columns.length === key.length ? ordered : null;
}

/** What keeps a declaration from being a tree, each naming its field. */
export function treeProblems(policy: Declared, { stays }: { readonly stays: boolean }): string[] {
  const problems = policy.dependants.flatMap((d, i) => hangs(policy, d, i));
  if (problems.length > 0) return problems;
  problems.push(...policy.dependants.flatMap((d, i) => sameEverywhere(policy, d, i)));
  problems.push(...unreached(policy));
  if (stays) problems.push(...policy.dependants.flatMap((d, i) => staysItself(policy, d, i)));
  return problems;
}

function hangs(policy: Declared, d: Hanging, i: number): string[] {
  const parent = parentOf(d, policy);
  if (parent === undefined) {
    return [
      `dependants.${i}.via: ${tableLabel(d.via!)} is no table whose rows go: declare it in dependants with fate 'delete'`,
    ];
  }
  if (d.references.length === refersTo(d, policy).length) return [];
  return d.refersTo === undefined
    ? [
        `dependants.${i}.references: must list as many columns as the key of ${tableLabel(parent.table)} has, or name those it refers to in refersTo`,
      ]
    : [`dependants.${i}.refersTo: must list as many columns as references`];
}

/** A row that is only marked takes no other row of its table along. */
const staysItself = (policy: Declared, d: Hanging, i: number): string[] =>
  d.fate === 'delete' && sameTable(d.table, policy.table)
    ? [
        `dependants.${i}: rows that stay, marked or masked, do not go with one another; declare the reference 'block'`,
      ]
    : [];

/** A table is one place, however many references lead to it. */
function sameEverywhere(policy: Declared, d: Hanging, i: number): string[] {
  if (d.fate !== 'delete') return [];
  const own = sameTable(d.table, policy.table);
  if (own && policy.partitioned) {
    return [
      `dependants.${i}: rows of a partitioned table cannot go with one another, for they may lie in different partitions and a batch takes one; declare the reference 'block'`,
    ];
  }
  if (own && (d.files.length > 0 || Object.keys(d.scope).length > 0)) {
    return [`dependants.${i}: files and scope of the governed table itself are the policy's own`];
  }
  const first = own
    ? policy
    : policy.dependants.find((x) => x.fate === 'delete' && sameTable(x.table, d.table))!;
  const said = (x: Pick<Hanging, 'key'> & Partial<Hanging>) =>
    JSON.stringify(own ? x.key.map((k) => k.column) : [x.key.map((k) => k.column), x.files, x.scope]);
  return said(first) === said(d)
    ? []
    : [
        `dependants.${i}: ${tableLabel(d.table)} is declared more than once; key${own ? '' : ', files and scope'} must be the same each time`,
      ];
}

/** Tables that hang on each other and not on the governed one. */
function unreached(policy: Governing): string[] {
  const found = new Set([tableLabel(policy.table)]);
  const going = policy.dependants.filter((d) => d.fate === 'delete');
  for (let size = 0; size < found.size; ) {
    size = found.size;
    for (const d of going) {
      if (found.has(tableLabel(parentTable(d, policy)))) found.add(tableLabel(d.table));
    }
  }
  return policy.dependants.flatMap((d, i) =>
    found.has(tableLabel(parentTable(d, policy)))
      ? []
      : [`dependants.${i}.via: no reference leads from ${tableLabel(d.via!)} to the governed table`],
  );
}
