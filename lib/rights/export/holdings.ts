/**
 * What is held about one subject, table by table: the rows that an erasure would reach (../graph), retained ones too, without
 * what is another person's. A row that was reached through others and names somebody else is theirs; a column that names
 * somebody else in a row of the subject is left empty.
 */
import { type Problem, RequestError } from '../../platform/errors';
import { allOf, anyOf, id, type KeyColumn, type Sql, sql, type TableName } from '../../platform/sql';
import type { FileColumn } from '../../policies/contract';
import type { Services } from '../../services';
import { graphOf } from '../graph';
import { readCatalog } from '../graph/catalog';
import { filesOfNode, nodesOf } from '../graph/nodes';
import { namings, spellingsOf } from '../graph/seeds';
import type { Subject } from '../subject';

export interface Holding {
  readonly label: string;
  readonly table: TableName;
  readonly key: readonly KeyColumn[];
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Whether a row `t` is held about the subject, and nobody else's. */
  readonly theirs: Sql;
  /** Rows that were reached, and are somebody else's: said in the manifest, and left out. */
  readonly others: Sql;
  /** What is written of a column. */
  value(column: string): Sql;
  readonly files: readonly FileColumn[];
}

export interface Held {
  /** As its columns print it. */
  readonly subject: Subject;
  readonly holdings: readonly Holding[];
  /** Tables without a key: their rows cannot be read page by page. */
  readonly unread: readonly string[];
  /** Folders of the store that are the subject's. */
  readonly prefixes: readonly string[];
}

/** A copy that misses what nobody has decided about would be called whole. */
const undecided = (problems: readonly Problem[]): RequestError =>
  new RequestError(
    409,
    'undecided',
    `the data map is not complete, so a copy would not be: ${problems.map((p) => `${p.problem}: ${p.remedy}`).join('; ')}`,
  );

/** Throws RequestError for an id that no column can hold. */
export async function heldAbout(services: Services, asked: Subject): Promise<Held> {
  const graph = await graphOf(services, asked);
  const { subject, tables, prefixes, problems } = graph;
  if (problems.length > 0) throw undecided(problems);
  const catalog = await readCatalog(
    services.database,
    tables.map((t) => t.label),
  );
  const nodes = nodesOf(catalog, services.dataMap, services.policies);
  const naming = namings(nodes, catalog, subject.scope).filter((n) => n.mention?.path === undefined);
  const read = tables.filter((t) => t.key.length > 0);
  const holdings = read.map(({ label, table, key, theirs }): Holding => {
    const node = nodes.get(label)!;
    const names = [...new Set(naming.filter((n) => n.label === label).flatMap((n) => n.columns))];
    const is = (column: string): Sql =>
      anyOf(...spellingsOf(subject.id).map((one) => sql`${id('t', column)}::text = ${one}`));
    const isNamed = anyOf(...names.map((n) => sql`coalesce(${is(n)}, false)`));
    const isAnothers = allOf(sql`not ${isNamed}`, anyOf(...names.map((n) => sql`${id('t', n)} is not null`)));
    return {
      label,
      table,
      key,
      columns: node.table.columns.map(({ name, type }) => ({ name, type })),
      theirs: names.length === 0 ? sql`(${theirs})` : allOf(sql`(${theirs})`, sql`not (${isAnothers})`),
      others: names.length === 0 ? sql`false` : allOf(sql`(${theirs})`, isAnothers),
      value: (column) =>
        names.includes(column) ? sql`case when ${is(column)} then ${id('t', column)} end` : id('t', column),
      files: filesOfNode(node),
    };
  });
  const unread = tables.filter((t) => t.key.length === 0).map((t) => t.label);
  return { subject, holdings, unread, prefixes };
}
