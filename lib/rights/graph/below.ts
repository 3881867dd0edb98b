/**
 * What goes with the rows of a table that no policy governs, when an erasure takes them: what a policy declares to hang on them,
 * at whatever depth of its tree, and what they are the last to refer to.
 */
import { tableLabel } from '../../platform/sql';
import type { Content, Dependant, Policy } from '../../policies/contract';
import { parentTable, refersTo } from '../../policies/hanging';
import type { Node, Nodes } from './nodes';

/** The branches that go, with all that is declared below them, as they would stand in a policy of this table. */
export function branchesBelow({ label, hanging }: Node): Dependant[] {
  const policy = hanging.find(({ declared }) => declared.fate === 'delete')?.policy;
  if (!policy) return [];
  const going = new Set([label]);
  const found = new Set<Dependant>();
  for (let size = -1; size < found.size; ) {
    size = found.size;
    for (const d of policy.dependants) {
      const parent = tableLabel(parentTable(d, policy));
      if (!going.has(parent) || (parent === label && d.fate !== 'delete')) continue;
      found.add(d);
      if (d.fate === 'delete') going.add(tableLabel(d.table));
    }
  }
  return [...found].map((d) => {
    const parent = parentTable(d, policy);
    return {
      ...d,
      via: tableLabel(parent) === label ? undefined : parent,
      refersTo: [...refersTo(d, policy)],
    };
  });
}

/** Contents of any policy to which rows of this table refer, or of what goes with them: all else that refers to one keeps it. */
export function contentsBelow({ label }: Node, branches: readonly Dependant[], nodes: Nodes): Content[] {
  const going = new Set(branches.filter((d) => d.fate === 'delete').map((d) => tableLabel(d.table)));
  const policies = new Set([...nodes.values()].flatMap((n) => n.policy ?? []));
  const found = new Map<string, Content>();
  for (const policy of policies) {
    for (const content of policy.contents ?? []) {
      const all = referringTo(policy, content);
      const own = all.filter((r) => tableLabel(r.table) === label);
      const below = all.filter((r) => tableLabel(r.table) !== label && going.has(tableLabel(r.table)));
      if (own.length + below.length === 0 || found.has(tableLabel(content.table))) continue;
      found.set(tableLabel(content.table), {
        ...content,
        references: own.map((r) => r.columns),
        referredBy: below,
        sharedWith: [...content.sharedWith, ...all.filter((r) => !own.includes(r) && !below.includes(r))],
      });
    }
  }
  return [...found.values()];
}

const referringTo = (policy: Policy, content: Content): Content['sharedWith'] => [
  ...content.references.map((columns) => ({ table: policy.table, columns })),
  ...(content.referredBy ?? []),
];
