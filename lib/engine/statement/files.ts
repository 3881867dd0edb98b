/** The files a row names: which go with it, how they are counted, and how they reach the outbox. */
import { allOf, empty, id, list, literal, raw, type Sql, sql, summed } from '../../platform/sql';
import type { Content, Dependant, FileColumn, Policy } from '../../policies/contract';
import { goingFiles } from '../../policies/going';
import { refersTo as columnsReferredTo } from '../../policies/hanging';

/** `d` is the dependant's row, `t` the one it refers to: of the governed table, or of what it hangs on. */
export function belongs(d: Dependant, policy: Policy, child = 'd', parent = 't'): Sql {
  const columns = columnsReferredTo(d, policy);
  return allOf(...d.references.map((column, i) => sql`${id(child, column)} = ${id(parent, columns[i]!)}`));
}

/** Whether row `alias` refers to content `of` by these columns. */
export const refersBy = (content: Content, columns: readonly string[], alias: string, of = 'd'): Sql =>
  allOf(...columns.map((column, i) => sql`${id(alias, column)} = ${id(of, content.key[i]!.column)}`));

const named = (alias: string, f: FileColumn): Sql => sql`coalesce(${id(alias, f.column)}::text, '') <> ''`;

export const filesOf = (alias: string, files: readonly FileColumn[]): Sql =>
  summed(goingFiles(files).map((f) => sql`(case when ${named(alias, f)} then 1 else 0 end)`));

/** The largest file the store takes, 5 TB: what a row says beyond it, or below nothing, is no size. */
const MOST_FILE_BYTES = raw('5000000000000');
function sizeOf(alias: string, f: FileColumn): Sql {
  if (f.bytes === undefined) return sql`null`;
  const size = id(alias, f.bytes);
  return sql`(case when ${size} is not null then least(greatest(${size}::numeric, 0), ${MOST_FILE_BYTES}) end)`;
}

/** Sums stop at the largest number that every reader of them takes (2^53 - 1). */
export const MOST_BYTES = raw(String(Number.MAX_SAFE_INTEGER));
export const capped = (sum: Sql): Sql => sql`least(${sum}, ${MOST_BYTES})::bigint`;

export const bytesOf = (alias: string, files: readonly FileColumn[]): Sql =>
  summed(
    goingFiles(files)
      .filter((f) => f.bytes)
      .map((f) => sql`(case when ${named(alias, f)} then coalesce(${sizeOf(alias, f)}, 0) else 0 end)`),
  );

/** A deleted row, and the row it was deleted with: everything by which its file may be held. */
export interface Owner {
  readonly alias: string;
  readonly scope: Policy['scope'];
  /** Its key as text. */
  readonly key: Sql;
}

function subjects(owners: readonly Owner[], scope: 'organization' | 'user'): Sql {
  const columns = owners.flatMap((o) => {
    const column = o.scope[scope];
    return column === undefined ? [] : [sql`${id(o.alias, column)}::text`];
  });
  return columns.length > 0 ? sql`array_remove(array[${list(...columns)}], null)` : sql`'{}'::text[]`;
}

/** The columns of `returning` that carry a row's files (f0, b0, f1, b1 …) and who may hold them; `owners`: itself, then its parent. */
export function fileColumns(files: readonly FileColumn[], owners: readonly [Owner, ...Owner[]]): Sql {
  const [own, parent] = owners;
  const going = goingFiles(files);
  if (going.length === 0) return empty;
  return list(
    ...going.flatMap((f, i) => [
      sql`${id(own.alias, f.column)}::text as ${id(`f${i}`)}`,
      sql`${sizeOf(own.alias, f)}::bigint as ${id(`b${i}`)}`,
    ]),
    sql`${subjects(owners, 'organization')} as orgs`,
    sql`${subjects(owners, 'user')} as people`,
    parent && sql`${parent.key} as owner_key`,
  );
}

/** The columns of an entry that its row decides, in the order of `fileRows`. */
export const ENTRY_COLUMNS = sql`table_name, row_key, url, bytes, organizations, users, owner_table, owner_key, prefix, suffixed`;

/** One select per file column, one line per file a deleted row named. `of`: for a dependant, the table of the row it went with. */
export const fileRows = (relation: Sql, label: Sql, files: readonly FileColumn[], of?: Sql): Sql[] =>
  goingFiles(files).map((f, i) => {
    const [url, bytes] = [id(`f${i}`), id(`b${i}`)];
    const owner = of ? sql`${of}, owner_key` : sql`null::text, null::text`;
    const prefix = f.prefix === undefined ? sql`null` : literal(f.prefix);
    return sql`select ${label} as table_name, key::text as key, ${url} as url, ${bytes} as bytes, orgs, people, ${owner},
        ${prefix}::text, ${raw(String(f.suffixed))} from ${relation} where ${url} <> ''`;
  });
