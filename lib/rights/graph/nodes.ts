/** A table as an erasure sees it: what the map, the policies and the catalog say of it. */
import { type KeyColumn, tableLabel } from '../../platform/sql';
import type { Dependant, FileColumn, Policy } from '../../policies/contract';
import type { DataMap, Handling, MappedTable } from '../../policies/data-map-contract';
import { inOrderOf, parentTable, refersTo } from '../../policies/hanging';
import type { Catalog, Reference, Table } from './catalog';

/** What happens to a row that is reached; null: nothing was decided that would change it. */
export type Action = 'delete' | 'mask' | 'retain' | null;

export interface Node {
  readonly label: string;
  readonly table: Table;
  /** Its line of the data map. */
  readonly line: MappedTable | null;
  /** The policy that governs it. */
  readonly policy: Policy | null;
  /** What a policy says of it as a dependant: its key, its files, how a hold finds it. */
  readonly dependant: Dependant | null;
  /** What any policy declares to hang on its rows, the one that governs it first. */
  readonly hanging: readonly Hanging[];
  readonly action: Action;
  /** Its own references to such subjects. */
  readonly scope: Scope;
  /** Every column that names one: a row may be of two people, and a hold on either keeps it. */
  readonly owners: Owners;
}

interface Hanging {
  readonly policy: Policy;
  readonly declared: Dependant;
}

interface Scope {
  readonly organization?: string | undefined;
  readonly user?: string | undefined;
}

type Owners = Readonly<Record<'organization' | 'user', readonly string[]>>;

export type Nodes = ReadonlyMap<string, Node>;

/** Every table that the catalog knows; the purge of a table goes with its policy. */
export function nodesOf(catalog: Catalog, map: DataMap, policies: readonly Policy[]): Nodes {
  const lines = new Map(map.map((line) => [line.label, line]));
  const governing = new Map(policies.toReversed().map((p) => [tableLabel(p.table), p]));
  const dependants = new Map(
    policies.flatMap((p) => p.dependants.map((d) => [tableLabel(d.table), d] as const)),
  );
  return new Map(
    [...catalog.tables.values()].map((table) => {
      const line = lines.get(table.label) ?? null;
      const policy = governing.get(table.label) ?? null;
      const dependant = dependants.get(table.label) ?? null;
      const scope = referencesIn(catalog, table.label, lines);
      const hanging = hangingOn(table.label, policies, policy);
      const owners = ownersIn(catalog, table.label, lines);
      const node = { label: table.label, table, line, policy, dependant, hanging, scope, owners };
      return [table.label, { ...node, action: actionOf(node) }];
    }),
  );
}

/** At whatever depth of whose tree the table stands. */
function hangingOn(label: string, policies: readonly Policy[], own: Policy | null): Hanging[] {
  const all = own ? [own, ...policies.filter((p) => p !== own)] : policies;
  return all.flatMap((policy) =>
    policy.dependants
      .filter((d) => tableLabel(parentTable(d, policy)) === label)
      .map((declared) => ({ policy, declared })),
  );
}

/** By its foreign keys to tables of which each row is a subject; the first of a kind. */
function referencesIn(catalog: Catalog, label: string, lines: ReadonlyMap<string, MappedTable>): Scope {
  const { organization, user } = ownersIn(catalog, label, lines, false);
  return { organization: organization[0], user: user[0] };
}

/** By such foreign keys, and by what the map says names one. */
function ownersIn(
  { references }: Catalog,
  label: string,
  lines: ReadonlyMap<string, MappedTable>,
  mentioned = true,
): Owners {
  const mentions = mentioned ? (lines.get(label)?.mentions ?? []) : [];
  const of = (kind: 'organization' | 'user'): string[] => [
    ...references
      .filter((r) => r.from === label && r.columns.length === 1 && lines.get(r.to)?.subject === kind)
      .map((r) => r.columns[0]!),
    ...mentions.filter((m) => m.is === kind && !m.path).map((m) => m.column),
  ];
  return { organization: of('organization'), user: of('user') };
}

/** The map decides; of a table it has no line for, the policy that deletes from it. */
function actionOf({ line, policy }: Pick<Node, 'line' | 'policy'>): Action {
  const kinds = new Set(line?.columns.map((c) => c.handling.kind));
  for (const kind of ['delete', 'mask', 'retain'] as const) if (kinds.has(kind)) return kind;
  return policy && (line === null || line.decision.kind === 'policy') ? 'delete' : null;
}

/** How a column is handled; of several, e.g. of a foreign key, the first that says so. */
export function handlingOf({ line }: Node, columns: readonly string[]): Handling | null {
  return line?.columns.find((c) => columns.includes(c.column))?.handling ?? null;
}

/** Of a reference the columns that become null: of several one may say something of its own, such as whose the row is. */
export const detachedIn = ({ line }: Node, columns: readonly string[]): string[] =>
  columns.filter((c) => line?.detach.includes(c));

export const detaches = (node: Node, columns: readonly string[]): boolean =>
  detachedIn(node, columns).length > 0;

/** Nobody has decided about the table, or that they will. */
export const isUndecided = ({ line, policy, dependant }: Node): boolean =>
  line === null ? policy === null && dependant === null : line.decision.kind === 'undecided';

/** How a policy declares this reference to rows that go, at whatever depth of its tree; null where none does. */
export function declaredAs({ hanging }: Node, r: Reference): Dependant['fate'] | null {
  const isThis = ({ declared: d, policy }: Hanging) =>
    tableLabel(d.table) === r.from &&
    d.references.join('\0') === inOrderOf(refersTo(d, policy), r)?.join('\0');
  return hanging.find(isThis)?.declared.fate ?? null;
}

export const filesOfNode = ({ policy, dependant }: Node): readonly FileColumn[] =>
  policy?.files ?? dependant?.files ?? [];

/** The tables of which each row is one such subject. */
export const subjectTables = (nodes: Nodes, scope: 'user' | 'organization'): Node[] =>
  [...nodes.values()].filter((n) => n.line?.subject === scope && n.table.key.length === 1);

const NEEDS_LENGTH = /^(char|character|bit)$/i;

/** The key as its policy declares it, else as the catalog has it; empty: no receipt could name a row. */
export function keyOf({ policy, dependant, table }: Node): readonly KeyColumn[] {
  const typeOf = (column: string) => {
    const found = table.columns.find((c) => c.name === column);
    return found && (NEEDS_LENGTH.test(found.plain) ? found.type : found.plain);
  };
  const declared = policy?.key ?? dependant?.key;
  return (
    declared?.map((k) => ({ ...k, type: k.type ?? typeOf(k.column) })) ??
    table.key.map((column) => ({ column, type: typeOf(column) }))
  );
}

/** The columns by which a hold on a person or an organization finds a row. */
export const scopeOf = ({ policy, dependant, scope }: Node): Scope =>
  policy?.scope ?? dependant?.scope ?? scope;
