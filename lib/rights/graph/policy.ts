/**
 * What a step of an erasure runs under. A table that a policy governs goes by that policy: its name, lease, fence and version.
 * Any other table of the map gets a declaration made of its line and the catalog, so that its rows go, or are masked, by the
 * same batches, with a lease, a fence, a record and receipts of its own.
 */
import { createHash } from 'node:crypto';
import { GROUP, usageOf } from '../../engine/statement/preflight-tables';
import type { Problem } from '../../platform/errors';
import { allOf, anyOf, id, keyAsText, literal, type Sql, sql, table, tableLabel } from '../../platform/sql';
import { type Dependant, forever, type Policy, PolicySchema, TEXT } from '../../policies/contract';
import type { MappedColumn } from '../../policies/data-map-contract';
import { inOrderOf } from '../../policies/hanging';
import { ERASURE_STEP } from '../../policies/step-names';
import { FOR_GOOD } from '../../policies/strategies';
import { type ErasureMask, erasureMaskOf } from '../../policies/strategies/erasure-mask';
import { branchesBelow, contentsBelow } from './below';
import type { Catalog, Reference } from './catalog';
import { detaches, filesOfNode, keyOf, type Node, type Nodes, scopeOf } from './nodes';

export type Change =
  | { readonly kind: 'delete' }
  | {
      readonly kind: 'mask';
      readonly columns: readonly MappedColumn[];
      readonly ended?: readonly MappedColumn[];
    }
  | { readonly kind: 'detach'; readonly columns: readonly string[] };

export interface StepPolicy {
  /** Its name, lease, fence and version. */
  readonly policy: Policy;
  /** The same, doing what the erasure does. */
  readonly erasing: Policy;
}

export function nameOf({ label, policy }: Node, change: Change): string {
  if (change.kind === 'delete' && policy) return policy.name;
  const of = (columns: readonly string[]) => `${label}.${columns.join('.')}`;
  if (change.kind === 'detach') return `${ERASURE_STEP.detach}:${of(change.columns)}`;
  if (change.kind === 'mask' && change.ended)
    return `${ERASURE_STEP.ended}:${of(change.ended.map((c) => c.column))}`;
  return `${ERASURE_STEP[change.kind]}:${label}`;
}

/** `maskKey`: LAPSE_MASK_KEY. Throws SettingsError where a column is to be hashed without it. */
export function policyOf(
  node: Node,
  change: Change,
  { nodes, catalog, maskKey }: { nodes: Nodes; catalog: Catalog; maskKey: string | undefined },
): StepPolicy {
  if (change.kind === 'delete' && node.policy) {
    return { policy: node.policy, erasing: { ...node.policy, strategy: FOR_GOOD } };
  }
  const branches = change.kind === 'delete' ? branchesBelow(node) : [];
  const dependants = [...branches, ...dependantsOf(node, change, nodes, catalog, branches)];
  const contents = contentsBelow(node, branches, nodes);
  const policy = { ...declared(node, change, dependants), ...(contents.length > 0 ? { contents } : {}) };
  if (change.kind === 'delete') return { policy, erasing: policy };
  const strategy = maskOf(node, change, policy.name, maskKey);
  return { policy, erasing: { ...policy, strategy } };
}

function declared(node: Node, change: Change, dependants: Policy['dependants']): Policy {
  const { table: t, line, policy, dependant } = node;
  const key = keyOf(node);
  // Its name is no policy's: checked without it.
  const made = PolicySchema.parse({
    name: 'erasure',
    description: `erasures of ${node.label}, which no policy governs`,
    justification: 'a person’s right to be erased: the data map says what happens to the row',
    ground: 'GDPR Art. 17',
    schedule: { run: '0 0 * * *' },
    table: { schema: t.schema, name: t.name },
    key: key.map(({ column, type }) => ({ column, type, personal: false as const })),
    // A subject's rows are found without a clock.
    clock: { column: key[0]!.column, type: 'timestamptz' },
    rules: [{ label: 'erasure', keepFor: forever() }],
    scope: scopeOf(node),
    files: filesOfNode(node),
    knownTriggers: [
      ...new Set([
        ...(line?.knownTriggers ?? []),
        ...(policy?.knownTriggers ?? []),
        ...(dependant?.knownTriggers ?? []),
      ]),
    ],
    ...(policy?.partitioned ? { partitioned: policy.partitioned, clock: policy.clock } : {}),
  });
  return { ...made, name: nameOf(node, change), dependants };
}

/** Whatever refers to a row that goes: it keeps the row until it is gone, but for what loses its reference. */
function dependantsOf(
  node: Node,
  change: Change,
  nodes: Nodes,
  { references }: Catalog,
  branches: Policy['dependants'],
): Policy['dependants'] {
  if (change.kind !== 'delete') return [];
  const key = keyOf(node).map((k) => k.column);
  return references
    .filter((r) => r.to === node.label && !branches.some((d) => isSame(d, r)))
    .map((r) => {
      const from = nodes.get(r.from)!;
      const { schema, name } = from.table;
      return {
        table: { schema, name },
        key: keyOf(from).map((k) => ({ ...k, personal: false as const })),
        // What refers to other columns than the key is refused by the preflight, in its words.
        references: [...(inOrderOf(key, r) ?? r.columns)],
        fate: letsGo(from, r) ? ('keep' as const) : ('block' as const),
        scope: scopeOf(from),
        files: [],
        knownTriggers: [...(from.line?.knownTriggers ?? []), ...(from.policy?.knownTriggers ?? [])],
      };
    });
}

const isSame = (d: Dependant, r: Reference): boolean =>
  d.via === undefined &&
  tableLabel(d.table) === r.from &&
  [...d.references].sort().join('\0') === [...r.columns].sort().join('\0');

/** The database takes the reference away, and nothing personal stays behind: nobody detaches it first. */
const letsGo = (from: Node, r: Reference): boolean =>
  (r.on_delete === 'n' || r.on_delete === 'd') && from.action === null && !detaches(from, r.columns);

/** One hash for one value in one table: the same column of two tables cannot be held against each other. */
const purposeOf = (label: string): string =>
  `erasure-${createHash('sha256').update(label).digest('hex').slice(0, 12)}`;

function maskOf(
  node: Node,
  change: Exclude<Change, { kind: 'delete' }>,
  name: string,
  key: string | undefined,
): ErasureMask {
  const columns = leavesOf(node, change);
  return erasureMaskOf(columns, pendingOf(node, columns, name), { LAPSE_MASK_KEY: key });
}

/** What a change leaves in its columns. */
function leavesOf(node: Node, change: Exclude<Change, { kind: 'delete' }>): Leaves {
  if (change.kind === 'detach') return change.columns.map((column) => ({ column, to: null }));
  return change.columns.map(({ column, handling }) => {
    const leaves = handling.kind === 'mask' ? handling.leaves : null;
    return { column, to: leaves === 'hash' ? { hash: purposeOf(node.label) } : leaves };
  });
}

type Leaves = { column: string; to: null | { constant: string } | { hash: string } }[];

/** Whether a row `t` has anything left of what the change takes. */
export const isPending = (node: Node, change: Change): Sql =>
  change.kind === 'delete' ? sql`true` : pendingOf(node, leavesOf(node, change), nameOf(node, change));

/** A hash does not tell what was hashed from what was not: such a row is masked once, as its receipts say. */
function pendingOf(node: Node, columns: Leaves, name: string): Sql {
  const key = keyOf(node);
  const isMasked = sql`exists (select 1 from retention.receipt m where m.policy = ${literal(name)} and m.action = 'mask'
      and ${keyAsText('t', key)} = any(retention.keys_of(m)))`;
  return anyOf(
    ...columns.map(({ column, to }) => {
      const value = id('t', column);
      if (to === null) return sql`${value} is not null`;
      if ('constant' in to) return sql`${value}::text is distinct from ${literal(to.constant)}`;
      return allOf(sql`${value} is not null`, sql`not ${isMasked}`);
    }),
  );
}

/** Without these rights not even a dry run says how many rows there are. What else an erasure needs, its steps ask for. */
export function unreadable({ label, table: t }: Node): Problem[] {
  const lacking = (what: string, remedy: string) => [
    { problem: `the role may not ${what} ${label}`, remedy },
  ];
  if (!t.may_use) return lacking('use the schema of', usageOf(t.schema));
  if (!t.may_read) return lacking('read', `GRANT SELECT, UPDATE, DELETE ON ${table(t)} TO ${GROUP};`);
  if (t.may_read_parts) return [];
  return lacking(
    'read every partition of',
    `SELECT retention.open_partitions(${literal(table(t)).text}); until it answers 0`,
  );
}

/** What keeps a table from being erased from at all, before anything of anybody is. */
export function unfit(node: Node, kind: Change['kind']): Problem[] {
  const { label, table: t, line, policy } = node;
  if (keyOf(node).length === 0) {
    return [
      {
        problem: `${label} has no key: a receipt could not name a row of it`,
        remedy: `ALTER TABLE ${table(t)} ADD PRIMARY KEY (…);`,
      },
    ];
  }
  const text = keyOf(node).filter(
    (k) =>
      k.type !== undefined &&
      TEXT.test(k.type) &&
      k.personal !== false &&
      !line?.impersonal.includes(k.column),
  );
  return [
    ...text.map((k) => ({
      problem: `${label}: keys are written into receipts, which are never changed, and ${k.column} is text`,
      remedy: `where it holds no name, address or other personal data write impersonal: ['${k.column}'] in its line; else give ${label} another key`,
    })),
    ...(t.partitioned && !policy
      ? [
          {
            problem: `${label} is partitioned and no policy governs it: the erasure could not ${kind} rows partition by partition`,
            remedy: 'give it a policy (its period may be forever)',
          },
        ]
      : []),
  ];
}
