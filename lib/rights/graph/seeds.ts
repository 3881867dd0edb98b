/** How a table itself names the subject: by its key, a reference to it, a declared column, or one of its identifiers. */
import { anyOf, id, literal, type Sql, sql } from '../../platform/sql';
import type { Mention } from '../../policies/data-map-contract';
import type { Subject } from '../subject';
import type { Catalog } from './catalog';
import { type Identifiers, isIdentifier } from './identifiers';
import { type Node, type Nodes, subjectTables } from './nodes';

/** One way in which a row `t` names the subject. */
export interface Seed {
  readonly condition: Sql;
  readonly words: string;
  /** That name it; empty for the subject's own row. */
  readonly columns: readonly string[];
}

/** Each column with the subject's id as that column prints it, or may; a column that cannot hold it names nobody. */
export type Spelling = (label: string, column: string) => readonly string[];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** How an id stands in a text: of a UUID, whose letters mean the same, in small ones or in capitals. */
export const spellingsOf = (subject: string): string[] =>
  UUID.test(subject) ? [subject, subject.toUpperCase()] : [subject];

export interface Naming {
  readonly label: string;
  readonly columns: readonly string[];
  readonly words: string;
  readonly mention: Mention | null;
}

/** Every column that may hold the subject's id, so that each is asked how it prints it. */
export function namings(nodes: Nodes, { references }: Catalog, scope: Subject['scope']): Naming[] {
  const subjects = new Map(subjectTables(nodes, scope).map((n) => [n.label, n.table.key[0]!]));
  const found: Naming[] = [
    ...[...subjects].map(([label, key]) => ({
      label,
      columns: [key],
      words: 'the subject itself',
      mention: null,
    })),
    ...references
      .filter((r) => r.to_columns.length === 1 && subjects.get(r.to) === r.to_columns[0])
      .map((r) => ({ label: r.from, columns: r.columns, words: `${r.columns[0]} → ${r.to}`, mention: null })),
    ...[...nodes.values()].flatMap((n) => ownColumns(n, scope)),
  ];
  const seen = new Set<string>();
  return found.filter((n) => {
    const same = JSON.stringify([n.label, n.columns, n.mention?.path]);
    return !seen.has(same) && seen.add(same);
  });
}

/** By a policy's `scope`, or a mention of the id. */
function ownColumns({ label, policy, dependant, line }: Node, scope: Subject['scope']): Naming[] {
  const column = policy?.scope[scope] ?? dependant?.scope[scope];
  return [
    ...(column === undefined ? [] : [{ label, columns: [column], words: column, mention: null }]),
    ...(line?.mentions ?? [])
      .filter((m) => m.is === scope)
      .map((m) => ({ label, columns: [m.column], words: wordsOf(m), mention: m })),
  ];
}

const wordsOf = ({ column, path, is }: Mention): string => `${column}${path ? ` ${path}` : ''} is its ${is}`;

/** How rows of this table name the subject by themselves. */
export function seedsOf(
  node: Node,
  all: readonly Naming[],
  spelling: Spelling,
  subject: Subject,
  identifiers: Identifiers,
): Seed[] {
  const { label, table, line } = node;
  const isOwn = line?.subject === subject.scope;
  const byId = all
    .filter((n) => n.label === label)
    .flatMap(({ columns, words, mention }): Seed[] => {
      const column = columns[0]!;
      const self = isOwn && table.key.length === 1 && column === table.key[0];
      if (mention?.path) return [{ condition: within(mention, spellingsOf(subject.id)), words, columns }];
      const printed = spelling(label, column);
      if (printed.length === 0) return [];
      // Compared in the column's own type: the parameter takes it from there.
      const condition = anyOf(...printed.map((p) => sql`${id('t', column)} = ${p}`));
      return [{ condition, words, columns: self ? [] : columns }];
    });
  const byIdentifier = (line?.mentions ?? []).flatMap((m): Seed[] => {
    const hashed = identifiers[m.is];
    if (!hashed) return [];
    const condition = m.path
      ? anyWithin(m, (value) => isIdentifier(value, hashed))
      : isIdentifier(sql`${id('t', m.column)}::text`, hashed);
    return [{ condition, words: wordsOf(m), columns: [m.column] }];
  });
  return [...byId, ...byIdentifier];
}

const anyWithin = ({ column, path }: Mention, test: (value: Sql) => Sql): Sql =>
  sql`exists (select 1 from jsonb_path_query(${id('t', column)}::jsonb, ${literal(path!)}::jsonpath) v(x) where ${test(sql`v.x #>> '{}'`)})`;

const within = (mention: Mention, spellings: readonly string[]): Sql =>
  anyWithin(mention, (value) => anyOf(...spellings.map((s) => sql`${value} = ${s}`)));

export const anySeed = (seeds: readonly Seed[]): Sql => anyOf(...seeds.map((s) => s.condition));
