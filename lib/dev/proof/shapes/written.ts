/** A shape as SQL, statement by statement: run to make it, and left in a file for the reader of a replay. */
import { type Link, listed, literal, quoted, type Shape, type ShapeTable, tableOf } from './shape';

export function written(shape: Shape): string[] {
  const { tables, links } = shape;
  return [
    ...shape.before,
    ...tables.flatMap(tableSql),
    // Each row refers to one that is there already, or comes: in circles there is no order.
    'set session_replication_role = replica',
    ...tables.flatMap((t) => insert(t)),
    'set session_replication_role = origin',
    ...tables.flatMap(identities),
    ...links.flatMap((l) => linkSql(l, tables)),
    ...tables.flatMap(surroundings),
    ...shape.after,
  ];
}

function tableSql(t: ShapeTable): string[] {
  const columns = t.columns.map((c) =>
    [quoted(c.name), c.type, c.more, c.notNull ? 'not null' : ''].filter((x) => x).join(' '),
  );
  const primary = t.keyKind === 'primary' ? [`primary key (${listed(t.key)})`] : [];
  const by = t.partitions ? ` partition by ${t.partitions.by}` : '';
  return [
    `create table ${tableOf(t)} (\n  ${[...columns, ...primary].join(',\n  ')}\n)${by}`,
    ...(t.partitions?.parts ?? []),
    ...(t.keyKind === 'index' ? [`create unique index on ${tableOf(t)} (${listed(t.key)})`] : []),
    ...t.uniques.map((u) => `alter table ${tableOf(t)} add unique (${listed(u)})`),
  ];
}

function insert(t: ShapeTable): string[] {
  if (t.rows.length === 0) return [];
  const names = t.columns.map((c) => c.name);
  const rows = t.rows.map((row) => `(${names.map((c) => literal(row[c] ?? null)).join(', ')})`);
  return [`insert into ${tableOf(t)} (${listed(names)}) values\n  ${rows.join(',\n  ')}`];
}

const identities = (t: ShapeTable): string[] =>
  t.columns
    .filter((c) => c.more?.includes('identity'))
    .map((c) => `alter table ${tableOf(t)} alter column ${quoted(c.name)} restart with 1000`);

function linkSql(l: Link, tables: readonly ShapeTable[]): string[] {
  const [from, to] = [tables[l.from]!, tables[l.to]!];
  const key = l.soft
    ? []
    : [
        `alter table ${tableOf(from)} add constraint ${quoted(l.name)} foreign key (${listed(l.columns)})
  references ${tableOf(to)} (${listed(l.targets)}) on delete ${l.action}${l.deferrable ? ' deferrable initially deferred' : ''}`,
      ];
  return [...key, ...(l.indexed ? [`create index on ${tableOf(from)} (${listed(l.columns)})`] : [])];
}

function surroundings(t: ShapeTable): string[] {
  const opened = t.partitions ? 'open_partitions' : 'protect';
  return [
    ...(t.file && t.fileIndexed
      ? [`create index on ${tableOf(t)} (retention.blob_path(${quoted(t.file)}))`]
      : []),
    ...(t.granted ? [`grant select, update, delete on ${tableOf(t)} to lapse_app`] : []),
    ...(t.guarded ? [`select retention.${opened}(${literal(tableOf(t))})`] : []),
  ];
}

/** `keyed` rows of it as receipts and holds name them: an expression over alias `t`. */
export const keyText = (t: ShapeTable): string =>
  t.key.length === 1
    ? `t.${quoted(t.key[0]!)}::text`
    : `jsonb_build_array(${t.key.map((k) => `t.${quoted(k)}::text`).join(', ')})::text`;

/** One row of it, by its number. */
export const rowNumbered = (t: ShapeTable, n: string): string =>
  [
    `t.${quoted(t.columns[0]!.name)} = ${literal(n)}`,
    // What may be NULL names no row.
    ...t.key
      .filter((k) => !t.columns.find((c) => c.name === k)!.notNull)
      .map((k) => `t.${quoted(k)} is not null`),
  ].join(' and ');
