/**
 * The statements that bring archived rows back (retention.restore_rows): what reads the row of a key as it is now, and what
 * writes an archived one. Every value goes in as the text it came out as, and is read back.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import {
  id,
  inlined,
  isKey,
  type KeyColumn,
  keysAsRows,
  list,
  raw,
  sql,
  type TableName,
  tableId,
  typed,
} from '../../platform/sql';
import { valuesOf } from './columns';
import type { Mapping } from './mapping';
import type { Line } from './transform';

/** What becomes of one row. */
export const OUTCOMES = ['restored', 'there', 'conflict', 'altered', 'refused', 'parent'] as const;
const Restored = z.object({
  nth: z.coerce.number(),
  key: z.string(),
  outcome: z.enum(OUTCOMES),
  sql_state: z.string().nullable(),
});
export type Restored = z.infer<typeof Restored>;

/** One table of an archive, and which of its lines are wanted. */
export interface Wanted {
  readonly nth: number;
  readonly table: TableName;
  readonly key: readonly KeyColumn[];
  readonly mapping: Mapping;
  readonly lines: readonly Line[];
}

export interface Restoring {
  readonly who: string;
  readonly restore: string;
  readonly archive: string;
  /** How many tombstones its archive had when it was read. */
  readonly known: number;
  /** Looks only: nothing is written. */
  readonly pretend: boolean;
}

/** What becomes of each wanted row. */
export function restoreRows(
  { who, restore, archive, known, pretend }: Restoring,
  wanted: readonly Wanted[],
): Query<Restored[]> {
  const work = JSON.stringify(wanted.map(workOf));
  return query(
    sql`select nth, key, outcome, sql_state from retention.restore_rows(${who}, ${restore}::uuid, ${archive}::uuid, ${known}::int,
      ${work}::jsonb, ${pretend}::boolean)`,
    rows(Restored),
  );
}

function workOf({ nth, table, key, mapping, lines }: Wanted): object {
  const written = mapping.columns.filter((c) => c.isWritten);
  const compared = mapping.columns.filter((c) => c.isCompared);
  const read = valuesOf(
    't',
    compared.map((c) => c.name),
  );
  const given = keysAsRows(sql`array[${raw('$1')}]`, key, table);
  const values = written.map((c, i) => sql`y.v[${raw(String(i + 1))}]::${raw(c.plain)}`);
  return {
    nth,
    read: inlined(sql`select ${read}::jsonb from ${tableId(table)} t join ${given} on ${isKey('t', key)}`),
    write:
      inlined(sql`insert into ${tableId(table)} as t (${list(...written.map((c) => id(c.name)))}) overriding system value
      select ${list(...values)} from (select array_agg(x.e order by x.n) as v from jsonb_array_elements_text(${raw('$1')}) with ordinality x(e, n)) y
      returning ${read}::jsonb`),
    lines: lines.map(({ k, p, v }) => ({
      k,
      ...(p === undefined ? {} : { p }),
      w: written.map((c) => v[c.from] ?? null),
      c: compared.map((c) => v[c.from] ?? null),
    })),
  };
}

const Rights = z.object({ table: z.string(), may: z.boolean() });

/** Which of the tables this login may not fill. */
export const rightsTo = (tables: readonly TableName[]): Query<string[]> =>
  query(
    sql`select format('%I.%I', n.nspname, c.relname) as table,
        has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT') as may
      from jsonb_to_recordset(${JSON.stringify(tables)}::jsonb) w(schema text, name text)
      join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w.name`,
    (found) =>
      rows(Rights)(found)
        .filter((t) => !t.may)
        .map((t) => t.table),
  );

/** Files whose deletion a drain is asking the store for right now: what is brought back could be taken again. */
export const beingDeleted = (paths: readonly string[]): Query<boolean> =>
  query(
    sql`select exists (select 1 from retention.outbox where path = any(${typed([...paths], 'text[]')})
      and claimed_until > clock_timestamp()) as claimed`,
    ([row]) => row?.claimed === true,
  );
