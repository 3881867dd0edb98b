/** What the catalogs know of a table: its size, its indexes, its foreign keys. Reads no row of it. */
import { z } from 'zod';
import { query } from '../../platform/query';
import { sql, type TableName, table } from '../../platform/sql';

const TableFacts = z.object({
  pages: z.coerce.number(),
  /** The planner's estimate; null when it was never analyzed. */
  rows: z.coerce.number().nullable(),
  indexes: z.array(
    z.object({ columns: z.array(z.string()), unique: z.boolean(), partial: z.string().nullable() }),
  ),
  /** Validated ones only: another one leaves the rows from before it unguarded. */
  references: z.array(z.object({ columns: z.array(z.string()), to: z.string() })),
});
export type TableFacts = z.infer<typeof TableFacts>;

const Relation = z.object({ relation: z.string(), facts: TableFacts });

/** What is known of each table there is, by its quoted name. Partitions count with their parent. */
export const tableFacts = (tables: readonly TableName[]) =>
  query(
    sql`select x.relation, jsonb_build_object(
      'pages', s.pages, 'rows', s.rows,
      'indexes', coalesce((select jsonb_agg(jsonb_build_object('unique', i.indisunique, 'partial', pg_get_expr(i.indpred, i.indrelid),
          'columns', (select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]')
            from unnest(i.indkey::int2[]) with ordinality k(attnum, ord)
            left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum where k.ord <= i.indnkeyatts)))
        from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
        where i.indrelid = o.oid and i.indisvalid and am.amname = 'btree'), '[]'),
      'references', coalesce((select jsonb_agg(jsonb_build_object('to', quote_ident(n.nspname) || '.' || quote_ident(r.relname),
          'columns', (select jsonb_agg(a.attname order by k.ord) from unnest(f.conkey) with ordinality k(attnum, ord)
            join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum)))
        from pg_constraint f join pg_class r on r.oid = f.confrelid join pg_namespace n on n.oid = r.relnamespace
        where f.contype = 'f' and f.conrelid = o.oid and f.convalidated), '[]')) as facts
    from jsonb_array_elements_text(${JSON.stringify([...new Set(tables.map(table))])}::jsonb) x(relation)
    cross join lateral (select to_regclass(x.relation) as oid) o
    cross join lateral (
      select coalesce(sum(pg_relation_size(c.oid)) / current_setting('block_size')::int, 0) as pages,
        case when bool_and(c.reltuples >= 0) then sum(c.reltuples) end as rows
      from (select o.oid as relid union select relid::oid from retention.parts_of(o.oid)) p
      join pg_class c on c.oid = p.relid and c.relkind <> 'p'
    ) s
    where o.oid is not null`,
    (answer) =>
      new Map(
        Relation.array()
          .parse(answer)
          .map((r) => [r.relation, r.facts]),
      ),
  );

const same = (a: readonly string[], b: readonly string[]): boolean =>
  [...a].sort().join('\0') === [...b].sort().join('\0');

/** A validated foreign key makes an orphan impossible. */
export const isReferenceGuarded = (
  child: TableFacts,
  columns: readonly string[],
  parent: TableName,
): boolean =>
  child.references.some(
    (f) =>
      same(f.columns, columns) &&
      [table(parent), `${plain(parent.schema)}.${plain(parent.name)}`].includes(f.to),
  );

/** A unique index over these columns or some of them makes a duplicate impossible. */
export const isUniqueGuarded = (facts: TableFacts, columns: readonly string[]): boolean =>
  facts.indexes.some((i) => i.unique && i.partial === null && i.columns.every((c) => columns.includes(c)));

/** An index that finds rows by these columns in any order. */
export const isIndexed = (facts: TableFacts, columns: readonly string[]): boolean =>
  facts.indexes.some((i) => i.partial === null && same(i.columns.slice(0, columns.length), columns));

/** An index that leads with the clock; a partial one only where it holds every row still to be governed. */
export const isClockIndexed = (facts: TableFacts, clock: string, unmarked: string | null): boolean =>
  facts.indexes.some(
    (i) =>
      i.columns[0] === clock &&
      (i.partial === null || (unmarked !== null && i.partial === `(${plain(unmarked)} IS NULL)`)),
  );

/** A name as PostgreSQL prints it. */
const plain = (identifier: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(identifier) ? identifier : `"${identifier.replaceAll('"', '""')}"`;
