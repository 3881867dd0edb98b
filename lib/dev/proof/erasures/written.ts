/** A shape as SQL, statement by statement: run to make it, and left in a file for the reader of a replay. */
import { listed, literal, quoted, tableOf } from '../shapes/shape';
import type { ErasureShape, ErasureTable } from './shape';

export const written = ({ schemas, tables, after }: ErasureShape): string[] => [
  ...schemas.flatMap((s) => [
    `create schema ${quoted(s)}`,
    `grant usage on schema ${quoted(s)} to lapse_app`,
  ]),
  ...tables.flatMap(tableSql),
  // In circles there is no order in which each row finds what it refers to.
  'set session_replication_role = replica',
  ...tables.flatMap(insert),
  'set session_replication_role = origin',
  ...tables.flatMap(referencesSql),
  ...tables.flatMap(surroundings),
  ...after,
];

function tableSql(t: ErasureTable): string[] {
  const columns = t.columns.map((c) => `${quoted(c.name)} ${c.type}${c.notNull ? ' not null' : ''}`);
  const by = t.partitionedBy ? ` partition by ${t.partitionedBy}` : '';
  return [
    `create table ${tableOf(t)} (\n  ${[...columns, `primary key (${listed(t.key)})`].join(',\n  ')}\n)${by}`,
    ...t.partitions,
  ];
}

function insert(t: ErasureTable): string[] {
  if (t.rows.length === 0) return [];
  const names = t.columns.map((c) => c.name);
  const rows = t.rows.map((row) => `(${names.map((c) => literal(row[c] ?? null)).join(', ')})`);
  return [`insert into ${tableOf(t)} (${listed(names)}) values\n  ${rows.join(',\n  ')}`];
}

const referencesSql = (t: ErasureTable): string[] =>
  t.references.flatMap((r) => [
    `alter table ${tableOf(t)} add constraint ${quoted(r.name)} foreign key (${listed(r.columns)})
  references ${tableOf(r.to)} (${listed(r.targets)}) on delete ${r.action}`,
    `create index on ${tableOf(t)} (${listed(r.columns)})`,
  ]);

const surroundings = (t: ErasureTable): string[] => [
  ...(t.file ? [`create index on ${tableOf(t)} (retention.blob_path(${quoted(t.file)}))`] : []),
  ...(t.granted ? [`grant select, update, delete on ${tableOf(t)} to lapse_app`] : []),
  ...(t.guarded
    ? [`select retention.${t.partitionedBy ? 'open_partitions' : 'protect'}(${literal(tableOf(t))})`]
    : []),
];
