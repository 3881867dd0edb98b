/**
 * Does an index answer everything a batch looks for: the rows in the order of the clock, and, for each row that goes,
 * those that refer to it (R13)? A partial index counts where what it leaves out is never looked for.
 */

import type { Problem } from '../../platform/errors';
import { indexStatement } from '../../platform/index-statement';
import { name } from '../../platform/sql';
import { indexed, walksByOneColumn } from '../../policies/clocks';
import type { Policy } from '../../policies/contract';
import { markOf } from '../../policies/going';
import { withWhere } from './preflight-catalog';
import {
  type Catalog,
  type Check,
  type Index,
  type PlanNode,
  quoted,
  type Relation,
} from './preflight-facts';

export const clockIndexes: Check = ({ policy, governed, facts }) => {
  if (!governed) return [];
  const { clock } = policy;
  const key = policy.key.map((k) => k.column);
  // Of a clock in another table rows are walked in the order of their key.
  const then = clock.in ? key : [...new Set([clock.column, ...key])];
  const problems: Problem[] = [];
  for (const [n, rule] of policy.rules.entries()) {
    if (rule.keepFor.seconds === null) continue;
    const match = Object.entries(rule.match);
    const first = policy.tenants ? [policy.tenants.column] : match.map(([column]) => column);
    const n0 = policy.tenants ? 0 : n;
    const isThere =
      !policy.whereIndexed &&
      (clock.in || walksByOneColumn(clock)) &&
      governed.indexes.some((i) => walks(i, policy, match, first, then));
    // Of tenants there is one walk, whatever rule they are under.
    if (isThere || isAnswered(policy, facts.walks[n0])) continue;
    const order = clock.in ? then.map(name) : [indexed(clock), ...then.slice(1).map(name)];
    const columns = [...first.map(name), ...order].join(', ');
    problems.push(lacking(policy, governed, columns, isAnswered(policy, facts.walks[withWhere(n0)])));
    if (policy.tenants) break;
  }
  return problems;
};

/** Which index would do; or that the one which is there needs only to be said. */
function lacking(policy: Policy, r: Relation, columns: string, isWhere: boolean): Problem {
  if (policy.whereIndexed) {
    return {
      problem: `${quoted(r)} has no index on (${columns}) by which PostgreSQL finds the rows for which where is true, and no others`,
      remedy:
        'take whereIndexed out of the policy, or create that index with the condition of where as its own',
    };
  }
  const said = isWhere ? '; or say whereIndexed: true in the policy: an index has such rows alone' : '';
  return {
    problem: `${quoted(r)} has no index on (${columns}): each batch would read the whole table`,
    remedy: `${createIndex(r, columns)}${said}`,
  };
}

/** As PostgreSQL itself plans it: it finds the rows in their order by an index, and reads no others on the way. */
function isAnswered(policy: Policy, nodes: readonly PlanNode[] = []): boolean {
  const mark = markOf(policy);
  const unmarked = mark === null ? [] : printed(mark).map((column) => `(t.${column} IS NULL)`);
  return (
    nodes.some((n) => /^Index (Only )?Scan$/.test(n.node)) &&
    nodes.every((n) => !/Sort$/.test(n.node) && (n.filter === null || unmarked.includes(n.filter)))
  );
}

/** Begins with `first` in any order, but for what its predicate settles, then the clock and the key in order. */
export function walks(
  index: Index,
  policy: Policy,
  match: readonly (readonly [string, string | number | boolean])[],
  first: readonly string[],
  then: readonly string[],
): boolean {
  if (index.method !== 'btree') return false;
  const settled = new Set<string>();
  const compared = policy.clock.in ? first : [...first, policy.clock.column];
  for (const part of conjuncts(index.partial)) {
    const equal = match.find(([column, value]) => says(part, column, value));
    if (equal) settled.add(equal[0]);
    else if (!isAlwaysSo(part, policy, compared)) return false;
  }
  const open = first.filter((column) => !settled.has(column));
  const head = index.columns.slice(0, open.length);
  return (
    [...head].sort().join('\0') === [...open].sort().join('\0') &&
    then.every((column, i) => index.columns[open.length + i] === column)
  );
}

/** What each of a batch's own conditions implies, as PostgreSQL prints it. */
function isAlwaysSo(part: string, policy: Policy, compared: readonly string[]): boolean {
  const there = compared.flatMap(printed).map((column) => `${column} IS NOT NULL`);
  // Batches only ask for rows that are not marked yet.
  const mark = markOf(policy);
  const unmarked = mark === null ? [] : printed(mark).map((column) => `${column} IS NULL`);
  return [...there, ...unmarked].includes(part);
}

function says(part: string, column: string, value: string | number | boolean): boolean {
  const c = printed(column);
  if (value === true && c.includes(part)) return true;
  if (value === false && part.startsWith('NOT ') && c.includes(part.slice(4))) return true;
  const literal = /^(?:\((.+)\)::[a-z ]+|(.+?)) = (?:'((?:[^']|'')*)'(?:::.+)?|([-\w.]+))$/.exec(part);
  if (!literal) return false;
  const said = literal[3]?.replaceAll("''", "'") ?? literal[4];
  return c.includes(literal[1] ?? literal[2] ?? '') && said === String(value);
}

/** `((a IS NOT NULL) AND (b = 1))` → `a IS NOT NULL`, `b = 1`. */
export function conjuncts(predicate: string | null): string[] {
  if (predicate === null) return [];
  const inner = unwrapped(predicate);
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < inner.length; i += 1) {
    if (inner[i] === '(') depth += 1;
    else if (inner[i] === ')') depth -= 1;
    else if (depth === 0 && inner.startsWith(' AND ', i)) {
      parts.push(inner.slice(from, i));
      from = i + 5;
    }
  }
  return [...parts, inner.slice(from)].map(unwrapped);
}

/** Without the brackets around all of it. */
function unwrapped(text: string): string {
  if (!text.startsWith('(') || !text.endsWith(')')) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i += 1) {
    if (text[i] === '(') depth += 1;
    else if (text[i] === ')') depth -= 1;
    if (depth === 0) return text;
  }
  return unwrapped(text.slice(1, -1));
}

/** How PostgreSQL may print a name in an index's predicate: in quotes also where it is a word of its own. */
export const printed = (identifier: string): string[] =>
  /^[a-z_][a-z0-9_]*$/.test(identifier) ? [identifier, name(identifier)] : [name(identifier)];

/** What refers to a row that goes is looked for once a row: by the batch, and by PostgreSQL for a foreign key. */
export const referenceIndexes: Check = (catalog) => {
  const { governed, children, going } = catalog;
  const problems: Problem[] = [];
  const targets = [governed, ...going.map((g) => g.relation)].filter((r) => r !== null);
  for (const f of targets.flatMap((r) => catalog.pointingAt(r))) {
    const at = catalog.relation(f.at);
    if (!at) continue;
    for (const leaf of unserved(catalog, at, f.columns)) {
      problems.push({
        problem: `foreign key ${name(f.name)} of ${quoted(at)} is not indexed: each deleted row would scan that table`,
        remedy: createIndex(leaf, f.columns.map(name).join(', ')),
      });
    }
  }
  for (const { declared, relation } of children) {
    if (!relation || declared.references.some((c) => !(c in relation.columns))) continue;
    for (const leaf of unserved(catalog, relation, declared.references)) {
      problems.push({
        problem: `${quoted(leaf)} has no index on what refers to the row: each row would scan that table`,
        remedy: createIndex(leaf, declared.references.map(name).join(', ')),
      });
    }
  }
  return problems;
};

/** The tables in which no index answers: the table itself, where it is partitioned and more than a few parts have none, or these. */
function unserved(catalog: Catalog, r: Relation, columns: readonly string[]): Relation[] {
  const answers = (x: Relation) => x.indexes.some((i) => looksUp(i, columns));
  if (answers(r)) return [];
  // Of the governed table's many parts no index is read: one on it all is made, and seen.
  if (r.kind !== 'p' || r.root === catalog.governed?.root) return [r];
  const leaves = catalog.leaves(r).filter((leaf) => !answers(leaf));
  return leaves.length > FEW ? [r] : leaves;
}
/** Each of them gets a line. */
const FEW = 3;

function looksUp(index: Index, columns: readonly string[]): boolean {
  const head = index.columns.slice(0, columns.length);
  const there = columns.flatMap(printed).map((c) => `${c} IS NOT NULL`);
  return (
    [...head].sort().join('\0') === [...columns].sort().join('\0') &&
    (index.method === 'btree' || index.columns.length === columns.length) &&
    conjuncts(index.partial).every((part) => there.includes(part))
  );
}

export const createIndex = (r: Relation, columns: string, isUnique = false): string =>
  indexStatement({ table: r, isPartitioned: r.kind === 'p', columns, isUnique });
