import { name } from '../../platform/sql';
import { changedColumns, clearedColumns, rowsLeave } from '../../policies/going';
import { detachedChildren } from './preflight-detach';
import { type Catalog, type Check, label, quoted, type Relation, type Trigger } from './preflight-facts';
import { changedAlong } from './preflight-tables';

/** Every table that cascades from this one, at any depth. */
function below(catalog: Catalog, top: Relation): Relation[] {
  const found = new Set<Relation>();
  for (const queue = [top]; queue.length > 0; ) {
    for (const f of catalog.pointingAt(queue.shift()!)) {
      const from = f.on_delete === 'c' ? catalog.relation(f.from) : null;
      if (!from || found.has(from)) continue;
      found.add(from);
      queue.push(from);
    }
  }
  return [...found];
}

export const nothingPermanent: Check = (catalog) => {
  const { governed } = catalog;
  if (!governed) return [];
  const reached = [governed, ...below(catalog, governed), ...catalog.going.map((g) => g.relation)];
  return [...new Set(reached)]
    .filter((r) => r !== governed && catalog.isPermanent(r))
    .map((r) => ({
      problem: `deleting from ${quoted(governed)} would cascade into ${label(r)}, which is permanent`,
      remedy: 'change that foreign key',
    }));
};

interface Fired {
  readonly relation: Relation;
  readonly on: 'delete' | 'update';
  /** What is changed; null: the whole row goes. */
  readonly columns: readonly string[] | null;
  readonly known: readonly string[];
  /** Where the policy would name it. */
  readonly field: string;
}

/** Lapse's own triggers guard; every other one could keep rows, delete others, or put them back. */
export const triggers: Check = (catalog) =>
  firing(catalog).flatMap(({ relation, on, columns, known, field }) =>
    catalog.parts(relation).flatMap((part) =>
      part.triggers
        .filter((t) => fires(t, on, columns) && t.schema !== 'retention' && !known.includes(t.name))
        .map((t) => ({
          problem: `trigger ${name(t.name)} of ${quoted(part)} fires on ${on.toUpperCase()} and is not declared: it could keep rows or delete others`,
          remedy: `read what it does, then name it in ${field} of the policy, or DROP TRIGGER ${name(t.name)} ON ${quoted(part)};`,
        })),
    ),
  );

const fires = (t: Trigger, on: Fired['on'], columns: readonly string[] | null): boolean =>
  t.on.includes(on) &&
  (columns === null || t.columns.length === 0 || t.columns.some((c) => columns.includes(c)));

function firing(catalog: Catalog): Fired[] {
  const { policy, governed } = catalog;
  if (!governed) return [];
  const own = { relation: governed, known: policy.knownTriggers, field: 'knownTriggers' };
  const of = (r: Relation) => {
    const i = catalog.children.findIndex((c) => c.relation?.root === r.root);
    const known = catalog.children
      .filter((c) => c.relation?.root === r.root)
      .flatMap((c) => c.declared.knownTriggers ?? []);
    return r === governed ? own : { relation: r, known, field: `dependants.${i}.knownTriggers` };
  };
  return [
    rowsLeave(policy)
      ? { ...own, on: 'delete', columns: null }
      : { ...own, on: 'update', columns: changedColumns(policy) },
    ...catalog.leaving
      .filter((r) => r !== governed)
      .map((relation) => ({ ...of(relation), on: 'delete' as const, columns: null })),
    ...detachedChildren(catalog).map(({ declared, relation }) => ({
      ...of(relation),
      on: 'update' as const,
      columns: clearedColumns(declared),
    })),
    ...changedAlong(catalog).map(({ relation, columns }) => ({
      ...of(relation),
      on: 'update' as const,
      columns,
    })),
  ];
}
