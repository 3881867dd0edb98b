/**
 * Which rows of an archive name which others by a foreign key as it is now, also by one that does not take them along: a row comes
 * back only where what it names is there.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import { sql, type TableName } from '../../platform/sql';
import type { Target, Wanted } from './restoring';

const ForeignKey = z.object({
  /** Places of the two tables in the list asked for, and the columns of each, in one order. */
  from: z.number(),
  to: z.number(),
  columns: z.array(z.string()),
  referred: z.array(z.string()),
});
export type ForeignKey = z.infer<typeof ForeignKey>;

/** The foreign keys from any of these tables to any of them. */
export const foreignKeysAmong = (tables: readonly TableName[]): Query<ForeignKey[]> =>
  query(
    sql`with w as (
        select (x.i - 1)::int as i, c.oid
        from jsonb_array_elements(${JSON.stringify(tables)}::jsonb) with ordinality x(v, i)
        join pg_namespace n on n.nspname = x.v ->> 'schema'
        join pg_class c on c.relnamespace = n.oid and c.relname = x.v ->> 'name')
      select a.i as "from", b.i as "to",
        (select jsonb_agg(p.attname order by k.i) from unnest(f.conkey) with ordinality k(num, i)
          join pg_attribute p on p.attrelid = f.conrelid and p.attnum = k.num) as columns,
        (select jsonb_agg(p.attname order by k.i) from unnest(f.confkey) with ordinality k(num, i)
          join pg_attribute p on p.attrelid = f.confrelid and p.attnum = k.num) as referred
      from pg_constraint f join w a on a.oid = f.conrelid join w b on b.oid = f.confrelid
      where f.contype = 'f'
      order by f.oid`,
    rows(ForeignKey),
  );

/** What each of these rows names among them, by what that is called in the archive. */
export function namedBy(
  wanted: readonly Wanted[],
  targets: readonly Target[],
  keys: readonly ForeignKey[],
): (row: Wanted) => readonly string[] {
  const named = new Map<Wanted, string[]>();
  for (const { from, to, columns, referred } of keys) {
    const [own, theirs] = [textOf(targets[from]!, columns), textOf(targets[to]!, referred)];
    const called = new Map(wanted.filter((row) => row.nth === to).map((row) => [theirs(row), row.id]));
    for (const row of wanted) {
      if (row.nth !== from) continue;
      const value = own(row);
      const id = value === null ? undefined : called.get(value);
      if (id !== undefined) named.set(row, [...(named.get(row) ?? []), id]);
    }
  }
  return (row) => named.get(row) ?? [];
}

/** The archived values of some columns as one text; null where one of them is NULL, or was not archived: it refers to nothing. */
function textOf({ mapping }: Target, names: readonly string[]): (row: Wanted) => string | null {
  const places = names.map((name) => mapping.columns.find((column) => column.name === name)?.from ?? -1);
  return ({ line }) => {
    const values = places.map((place) => line.v[place] ?? null);
    return values.includes(null) ? null : JSON.stringify(values);
  };
}
