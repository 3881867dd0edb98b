/**
 * Whatever decides whether a row may go has a gate: a change of it waits for the running batches, and the next one
 * sees it (promise 1). PostgreSQL itself says which tables a fragment of the policy asks; of a function it cannot look
 * into, the policy says it in `judgedBy`. Other rows that the governed table takes with it have a foreign key.
 */

import type { Problem } from '../../platform/errors';
import { name, tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { rowsLeave } from '../../policies/going';
import { isDirect, parentTable, refersTo } from '../../policies/hanging';
import { judgedBy } from './preflight-catalog';
import { detachedChildren } from './preflight-detach';
import { type Catalog, type Check, type Child, label, quoted, type Relation } from './preflight-facts';
import { createIndex } from './preflight-indexes';
import { isSame } from './preflight-references';
import { lackingRights, usageOf } from './preflight-tables';

/** What each part of the policy is called there. */
const FIELDS: Record<string, string> = {
  where: 'where',
  label: 'tenants.label',
  match: 'rules.match',
  clock: 'clock',
  notice: 'notice.to',
};
/** Said better by the checks of tables and columns. */
const SAID_ELSEWHERE = new Set(['42P01', '42703']);
/** By the checks of the clock. */
const UNLIKE_CLOCK = new Set([...SAID_ELSEWHERE, '42883', '42804']);
const FORBIDDEN = '42501';

export const fragments: Check = (catalog) =>
  Object.entries(catalog.facts.fragments).flatMap(([part, { state, message }]) => {
    const { governed, policy } = catalog;
    if (state === null || message === null || !governed) return [];
    if (state === FORBIDDEN) return forbidden(catalog, governed, part, message);
    const field = FIELDS[part];
    if (field === undefined) return SAID_ELSEWHERE.has(state) ? [] : [unlike(policy, part, message)];
    if (part === 'match' && SAID_ELSEWHERE.has(state)) return [];
    if (part === 'clock' && UNLIKE_CLOCK.has(state)) return [];
    return [
      {
        problem: `${field} cannot be asked of ${quoted(governed)}: ${message} (${state})`,
        remedy: `correct ${field} in the policy, or migrate the table`,
      },
    ];
  });

/** PostgreSQL names the first right that is missing; of a table that is known, all are said. */
function forbidden(catalog: Catalog, governed: Relation, part: string, message: string): Problem[] {
  const { policy, children } = catalog;
  const tenants = part === 'label' ? catalog.declared(1 + policy.dependants.length) : null;
  if (tenants && !isReadable(tenants)) {
    return lackingRights(tenants, tenants.may.select ? '' : 'SELECT from', 'SELECT');
  }
  const dependant = children.find((_, i) => part === `dependants.${i}`);
  // What it takes to read these is said with the other rights; another table that `where` asks is named once they may be.
  const said = dependant ? [governed, dependant.relation] : part === 'label' ? [] : [governed];
  if (said.some((r) => r !== null && !isReadable(r))) return [];
  const [, kind, denied] = /^permission denied for (\w+) (.+)$/.exec(message) ?? [];
  return [
    {
      problem: `${FIELDS[part] ?? `${part}.references`} cannot be asked of ${quoted(governed)}: ${message} (${FORBIDDEN})`,
      remedy:
        denied === undefined || kind === 'function'
          ? `give lapse_app the right to read what ${FIELDS[part] ?? part} asks`
          : kind === 'schema'
            ? usageOf(denied)
            : `GRANT SELECT ON ${name(denied)} TO lapse_app;`,
    },
  ];
}

const isReadable = (r: Relation): boolean => r.may.use && r.may.select;

const unlike = (policy: Policy, part: string, message: string): Problem => ({
  problem: `${part}.references cannot be compared with ${whatOf(policy, part)}: ${message}`,
  remedy: `correct ${part}.references in the policy, or give the columns the same types`,
});

function whatOf(policy: Policy, part: string): string {
  const d = policy.dependants[Number(part.split('.')[1])];
  const to = d ? refersTo(d, policy) : [];
  return `${d && !isDirect(d, policy) ? `(${to.join(', ')}) of ${tableLabel(parentTable(d, policy))}` : `the key (${to.join(', ')})`}`;
}

/** A function may read any table; only who wrote it knows. */
export const functions: Check = ({ facts, policy }) => {
  const isSaid = policy.judgedBy !== undefined || (policy.tenants?.judgedBy.length ?? 0) > 0;
  if (isSaid) return [];
  return ['where', 'label'].flatMap((part) =>
    (facts.fragments[part]?.calls ?? []).map((f) => ({
      problem: `${FIELDS[part]} asks function ${f}, which is not immutable and may read any table`,
      remedy: `name the tables it reads in judgedBy of the policy (judgedBy: [] when it reads none), or ALTER FUNCTION ${f} IMMUTABLE when that is true`,
    })),
  );
};

export const gates: Check = (catalog) =>
  [...deciding(catalog)].flatMap((r) => {
    const here = catalog.governed ? quoted(catalog.governed) : '';
    if (r.kind !== 'r' && r.kind !== 'p') {
      return [
        {
          problem: `${quoted(r)} decides about rows of ${here} and can have no gate (relkind ${r.kind})`,
          remedy: 'let the policy ask the tables it is made from',
        },
      ];
    }
    if (isGated(catalog, r)) return [];
    return [
      {
        problem: `${label(r)} decides about rows of ${here} and has no gate: a change could be missed by a running batch`,
        remedy: gateOf(r),
      },
    ];
  });

/** A partition can be written to by its own name: the trigger of its rows is what the root hands down. */
const gateOf = (r: Relation): string =>
  r.kind === 'p'
    ? `CREATE TRIGGER ${freeName(r)} AFTER INSERT OR UPDATE OR DELETE ON ${quoted(r)} FOR EACH ROW EXECUTE FUNCTION retention.gate();`
    : `CREATE TRIGGER ${freeName(r)} BEFORE INSERT OR UPDATE OR DELETE ON ${quoted(r)} FOR EACH STATEMENT EXECUTE FUNCTION retention.gate();`;

/** A gate on single columns is named by them, so that two policies' gates stand side by side. */
export function freeName({ triggers }: Relation, columns: readonly string[] = []): string {
  const of = columns.length > 0 ? `_of_${[...new Set(columns)].join('_')}` : '';
  const wanted = `lapse_gate${of.toLowerCase().replace(/[^a-z0-9]+/g, '_')}`.slice(0, 60);
  const taken = triggers.filter((t) => t.name.replace(/_\d+$/, '') === wanted).length;
  return taken === 0 ? wanted : `${wanted}_${taken + 1}`;
}

/** Every change of it waits, or is asked to. */
export const waitsAnyway = (catalog: Catalog, r: Relation): boolean =>
  isGated(catalog, r) || deciding(catalog).has(r);

function isGated(catalog: Catalog, r: Relation): boolean {
  const has = (x: Relation, eachRow: boolean) => {
    const own = x.triggers.filter(
      (t) =>
        t.schema === 'retention' &&
        t.function === 'gate' &&
        t.columns.length === 0 &&
        !t.conditional &&
        (t.each_row || !eachRow),
    );
    return (['insert', 'update', 'delete'] as const).every((on) => own.some((t) => t.on.includes(on)));
  };
  return r.kind === 'p' ? catalog.leaves(r).every((leaf) => has(leaf, true)) && has(r, true) : has(r, false);
}

/** Tables other than the locked row itself from which it is read that it may go. */
function deciding(catalog: Catalog): Set<Relation> {
  const { policy, facts, governed } = catalog;
  const found = new Set<Relation>();
  const add = (r: Relation | null) => r && found.add(catalog.relation(r.root) ?? r);
  for (const part of ['where', 'label']) {
    for (const read of facts.fragments[part]?.reads ?? []) {
      const isTheRow = part === 'where' && read.alias === 't' && read.oid === governed?.oid;
      if (!isTheRow) add(catalog.relation(read.root));
    }
  }
  const first = 1 + policy.dependants.length;
  const others = (policy.tenants ? 1 : 0) + judgedBy(policy).length;
  for (let n = first; n < first + others; n += 1) add(catalog.declared(n));
  for (const child of catalog.children) {
    if (child.declared.fate === 'block' && unguarded(catalog, child).length > 0) add(child.relation);
  }
  return found;
}

/** A name in `judgedBy` that stands for nothing would leave its table without a gate. */
export const judgesExist: Check = (catalog) => {
  const first = 1 + catalog.policy.dependants.length + (catalog.policy.tenants ? 1 : 0);
  return judgedBy(catalog.policy).flatMap((t, i) =>
    catalog.declared(first + i)
      ? []
      : [
          {
            problem: `judgedBy names ${tableLabel(t)}, which does not exist`,
            remedy: 'create it, or correct judgedBy in the policy',
          },
        ],
  );
};

/** A row inserted while its parent goes would stay behind with its files in no outbox: only a foreign key refuses it. */
export const noOrphans: Check = (catalog) => {
  const losing = detachedChildren(catalog).map((x) => x.declared);
  const going = catalog.going.map((x) => x.declared);
  return catalog.children.flatMap((child) => {
    const { declared, parent, relation, refersTo: columns } = child;
    const goes = going.includes(declared);
    if (!parent || !relation || !(goes || losing.includes(declared))) return [];
    // A foreign key of these columns that says something else is to be declared as what it is.
    const other = catalog
      .pointingAt(parent)
      .some((f) => f.at === relation.root && f.columns.every((c) => declared.references.includes(c)));
    const leaves = other ? [] : unguarded(catalog, child);
    if (leaves.length > 0 && declared.foreignKey === false) return ambiguous(parent, child, relation);
    const [from, to] = [declared.references, columns].map((all) => all.map(name).join(', '));
    const cascade = goes && (parent !== catalog.governed || rowsLeave(catalog.policy));
    return leaves.map((leaf) => ({
      problem: goes
        ? `${label(leaf)} goes with ${label(parent)} and no foreign key says so: a row written meanwhile would stay behind (foreignKey: false in the policy accepts that)`
        : `${label(leaf)} loses its reference to ${label(parent)} and no foreign key says that it has one: a row written meanwhile would refer to nothing`,
      remedy: `ALTER TABLE ${quoted(leaf)} ADD FOREIGN KEY (${from}) REFERENCES ${quoted(parent)} (${to})${cascade ? ' ON DELETE CASCADE' : ''} NOT VALID;`,
    }));
  });
};

/** Without a foreign key nothing says that what is referred to is one row. */
function ambiguous(parent: Relation, { refersTo }: Child, child: Relation): Problem[] {
  const isOne = parent.indexes.some(
    (i) => i.unique && i.partial === null && i.columns.every((c) => refersTo.includes(c)),
  );
  if (isOne) return [];
  return [
    {
      problem: `${label(child)} refers to (${refersTo.join(', ')}) of ${label(parent)}, which may be several rows: it would go with the first of them`,
      remedy: createIndex(parent, refersTo.map(name).join(', '), true),
    },
  ];
}

/** Where the references are not those of a foreign key: the table, or partitions of it. */
function unguarded(catalog: Catalog, child: Child): Relation[] {
  const { relation: r, parent } = child;
  if (!parent || !r) return [];
  const at = new Set(
    catalog
      .pointingAt(parent)
      .filter((f) => isSame(child, f))
      .map((f) => f.at),
  );
  if (at.has(r.root)) return [];
  return r.kind === 'p' ? catalog.leaves(r).filter((leaf) => !at.has(leaf.oid)) : [r];
}
