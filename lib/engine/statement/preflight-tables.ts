/**
 * Is every table of the policy what it is taken for: a plain one, seen whole, open to the role, without a rule that
 * replaces a deletion? Of the governed table, the dependants, and every partition of either.
 */
import type { Problem } from '../../platform/errors';
import { name, table, tableLabel, text } from '../../platform/sql';
import type { Dependant } from '../../policies/contract';
import { changedColumns, detachedDependants, goingDependants, rowsLeave } from '../../policies/going';
import { strategyOf } from '../../policies/strategies';
import { isLeaf, treeOf } from '../../policies/tree';
import { judgePartitioning } from './fit-partitions';
import {
  type Catalog,
  type Check,
  type ForeignKey,
  label,
  quoted,
  type Relation,
  type Trigger,
} from './preflight-facts';
import { isSame } from './preflight-references';

/** Without its table nothing else can be said of a policy. */
export const tablesExist: Check = ({ policy, governed, children }) => [
  ...(governed
    ? []
    : [
        {
          problem: `table ${table(policy.table)} does not exist`,
          remedy: 'create it, or correct `table` in the policy',
        },
      ]),
  ...children.flatMap(({ declared, relation }, i) =>
    relation
      ? []
      : [
          {
            problem: `table ${table(declared.table)} does not exist`,
            remedy: `create it, or correct dependants.${i}.table in the policy`,
          },
        ],
  ),
];

export const kindsOfTables: Check = (catalog) => {
  const { policy, governed, children } = catalog;
  const problems: Problem[] = [];
  if (governed && policy.partitioned) {
    problems.push(...judgePartitioning(policy, governed.kind, catalog.facts.partitioning));
  } else if (governed && governed.kind !== 'r') {
    problems.push({
      problem: `${quoted(governed)} is not a plain table (relkind ${governed.kind})`,
      remedy:
        governed.kind === 'p'
          ? "say so in the policy: partitioned: { by: 'month' } (or another span) where it is by range of the clock, else { by: 'other' }"
          : 'name a plain table, or one that is partitioned',
    });
  }
  for (const [i, { relation }] of children.entries()) {
    if (relation) problems.push(...kindOfChild(catalog, relation, i));
  }
  return problems;
};

function kindOfChild(catalog: Catalog, r: Relation, i: number): Problem[] {
  if (r.oid !== r.root) {
    const root = catalog.relation(r.root);
    return [
      {
        problem: `${label(r)} is a partition`,
        remedy: `declare the table it is a part of in dependants.${i}: ${root ? label(root) : 'its root'}`,
      },
    ];
  }
  if (r.kind === 'r' || r.kind === 'p') return [];
  return [
    {
      problem: `${quoted(r)} is not a table (relkind ${r.kind})`,
      remedy: `correct dependants.${i}.table in the policy`,
    },
  ];
}

/** Tables whose rows a batch reads, locks, deletes or marks, each once. */
const touched = (catalog: Catalog): Relation[] => [
  ...new Set(
    [catalog.governed, ...catalog.children.map((c) => c.relation)].flatMap((r) =>
      r ? catalog.parts(r) : [],
    ),
  ),
];

export const noHeirs: Check = (catalog) =>
  touched(catalog)
    .filter((r) => r.has_heirs)
    .map((r) => ({
      problem: `${quoted(r)} has inheriting tables`,
      remedy:
        r === catalog.governed
          ? 'govern each of them by a policy of its own'
          : `take them out: ALTER TABLE … NO INHERIT ${quoted(r)};`,
    }));

export const GROUP = 'lapse_app';

export const seenWhole: Check = (catalog) =>
  touched(catalog)
    .filter((r) => r.rls)
    .map((r) => ({
      problem: `${quoted(r)} has row-level security: Lapse would see a part and call it drained`,
      // The attribute is a login's own: members of a group do not have it from there.
      remedy: `ALTER ROLE ${catalog.facts.role === GROUP ? '<the role in DATABASE_URL>' : name(catalog.facts.role)} BYPASSRLS;`,
    }));

/** A rule replaces or adds to the statement it is for. */
export const noRules: Check = (catalog) => {
  const { policy, governed, going } = catalog;
  const on = rowsLeave(policy) ? 'delete' : 'update';
  const deleting = [
    ...(governed ? catalog.parts(governed).map((r) => ({ r, on })) : []),
    ...going.flatMap(({ relation }) => catalog.parts(relation).map((r) => ({ r, on: 'delete' }))),
  ];
  const losing = catalog.children.flatMap(({ declared, relation }) =>
    relation && detachedDependants(policy).includes(declared) ? [{ relation }] : [],
  );
  const changing = [...changedAlong(catalog), ...losing].flatMap(({ relation }) =>
    catalog.parts(relation).map((r) => ({ r, on: 'update' })),
  );
  return [...deleting, ...changing].flatMap(({ r, on }) =>
    r.rules
      .filter((rule) => rule.on === on)
      .map((rule) => ({
        problem: `${quoted(r)} has a rule ON ${on.toUpperCase()}, ${name(rule.name)}, which would replace what Lapse does`,
        remedy: `DROP RULE ${name(rule.name)} ON ${quoted(r)};`,
      })),
  );
};

/** Dependants that stay and whose foreign key changes them when the row goes; not those that keep the row here, or go themselves. */
export function changedAlong(catalog: Catalog): { relation: Relation; columns: string[] }[] {
  return catalog.leaving.flatMap((to) =>
    catalog.pointingAt(to).flatMap((f) => {
      const relation = catalog.relation(f.from);
      const isChanged = (f.on_delete === 'n' || f.on_delete === 'd') && !isSettled(catalog, to, f);
      return relation && isChanged ? [{ relation, columns: f.columns }] : [];
    }),
  );
}

const isSettled = ({ children }: Catalog, to: Relation, f: ForeignKey): boolean =>
  children.some(
    (c) =>
      c.declared.fate !== 'keep' && c.relation?.root === f.from && c.parent?.root === to.root && isSame(c, f),
  );

export const identified: Check = (catalog) => {
  const { governed } = catalog;
  const leaving = catalog.leaving.length > 0 ? catalog.leaving : governed ? [governed] : [];
  return leaving
    .flatMap((r) => catalog.parts(r))
    .filter((r) => r.unidentified)
    .map((r) => ({
      problem: `${quoted(r)} is published without a replica identity`,
      remedy: `ALTER TABLE ${quoted(r)} REPLICA IDENTITY FULL;`,
    }));
};

/** The schema's right, and the table's own where `what` the role may not do is said. */
export const lackingRights = (r: Relation, what: string, grant: string): Problem[] => [
  ...(r.may.use
    ? []
    : [{ problem: `the role may not use schema ${name(r.schema)}`, remedy: usageOf(r.schema) }]),
  ...(what === ''
    ? []
    : [
        {
          problem: `the role may not ${what} ${quoted(r)}`,
          remedy: `GRANT ${grant} ON ${quoted(r)} TO ${GROUP};`,
        },
      ]),
];

export const usageOf = (schema: string): string => `GRANT USAGE ON SCHEMA ${name(schema)} TO ${GROUP};`;

/** Locking a row takes the right to update a column of it, whatever is done with it. */
export const rights: Check = (catalog) => {
  const { policy, governed, children } = catalog;
  const problems: Problem[] = [];
  const say = (...lacking: Parameters<typeof lackingRights>) => problems.push(...lackingRights(...lacking));
  if (governed) {
    const changed = changedColumns(policy);
    const mayChange = changed.every((column) => governed.columns[column]?.may_update ?? true);
    const lacking = [
      !governed.may.select && 'SELECT from',
      rowsLeave(policy) && !governed.may.delete && 'DELETE from',
      !(governed.may.update && mayChange) && 'UPDATE (which locking a row takes)',
    ].filter((x) => x !== false);
    // Marked rows leave by the purge.
    const isPurged = rowsLeave(policy) || strategyOf(policy).grace !== null;
    const columns = [...policy.key.map((k) => k.column), ...changed].map(name);
    say(governed, lacking.join(', '), `SELECT, ${isPurged ? 'DELETE, ' : ''}UPDATE (${columns.join(', ')})`);
  }
  for (const { declared, relation: r } of children) {
    if (!r) continue;
    const deletes = goingDependants(policy).includes(declared);
    // What others hang on is locked before they are looked for.
    const locks = deletes && r !== governed && hasBelow(catalog, declared);
    const lacking = [
      !r.may.select && 'SELECT from',
      deletes && !r.may.delete && 'DELETE from',
      locks && !r.may.update && 'UPDATE (which locking a row takes)',
    ].filter((x) => x !== false);
    const update = `, UPDATE (${declared.key.map((k) => name(k.column)).join(', ')})`;
    say(r, lacking.join(', '), deletes ? `SELECT, DELETE${locks ? update : ''}` : 'SELECT');
  }
  return problems;
};

function hasBelow({ policy }: Catalog, d: Dependant): boolean {
  const place = treeOf(policy).places.find((p) => tableLabel(p.table) === tableLabel(d.table));
  return place !== undefined && !isLeaf(policy, place);
}

/** The net under every batch: the database's own count of what it deletes. */
export const counted: Check = ({ facts }) =>
  facts.track_counts
    ? []
    : [
        {
          problem:
            'the database does not count what it deletes (track_counts is off), so a receipt could not be held against it',
          remedy: 'ALTER DATABASE <its name> SET track_counts = on;',
        },
      ];

/** A deletion fires the statement triggers of the table it names: so each partition needs its own, and the whole. */
export const guarded: Check = (catalog) => {
  return catalog.leaving.flatMap((r) => {
    const open = catalog.parts(r).filter((x) => /^[rp]$/.test(x.kind) && !x.triggers.some(isGuard));
    // What guards the whole guards its partitions.
    return (open.length > 1 ? [r] : open).map((x) => ({
      problem: `${label(x)}${open.includes(x) ? ' has' : ': partitions of it have'} no guard: its rows could leave without a receipt, by the role of the app`,
      remedy: `SELECT retention.protect(${text(`${printed(x.schema)}.${printed(x.name)}`)});`,
    }));
  });
};

const isGuard = (t: Trigger): boolean => t.schema === 'retention' && t.function === 'guard_deletion';

const printed = (identifier: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(identifier) ? identifier : name(identifier);
