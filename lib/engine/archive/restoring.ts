/**
 * The statements that bring archived rows back (retention.restore_rows): what reads the row of a key as it is now, and what
 * writes an archived one. Every value goes in as the text it came out as, and is read back.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import {
  cte,
  id,
  inlined,
  isKey,
  type KeyColumn,
  keyAsText,
  keysAsRows,
  list,
  literal,
  raw,
  type Sql,
  sql,
  type TableName,
  tableId,
  typed,
  united,
  withParts,
} from '../../platform/sql';
import { valuesOf } from './columns';
import type { Hanging } from './graph';
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

/** Where rows of one table of an archive belong. */
export interface Target {
  readonly table: TableName;
  readonly key: readonly KeyColumn[];
  readonly mapping: Mapping;
}

/** A row that is wanted: of which table of the archive, and what it hangs on. */
export interface Wanted extends Hanging {
  readonly nth: number;
  readonly line: Line;
}

/** In this order; rows of one step are written by one statement. */
export interface Steps {
  readonly targets: readonly Target[];
  readonly steps: readonly (readonly Wanted[])[];
  /** Rows above them that are not back. */
  readonly bad: readonly string[];
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
  wanted: Steps,
): Query<Restored[]> {
  const work = JSON.stringify(workOf(wanted));
  return query(
    sql`select nth, key, outcome, sql_state from retention.restore_rows(${who}, ${restore}::uuid, ${archive}::uuid, ${known}::int,
      ${work}::jsonb, ${pretend}::boolean)`,
    rows(Restored),
  );
}

function workOf({ targets, steps, bad }: Steps): object {
  const hasCircle = steps.some((step) => step.length > 1);
  return {
    parts: targets.map((target) => ({ read: inlined(reading(target)), write: inlined(writing(target)) })),
    ...(hasCircle ? { circle: inlined(writingCircle(targets)) } : {}),
    bad,
    steps: steps.map((step) => step.map((row) => lineOf(row, targets[row.nth]!))),
  };
}

const written = ({ mapping }: Target) => mapping.columns.filter((c) => c.isWritten);
const compared = ({ mapping }: Target) => mapping.columns.filter((c) => c.isCompared);
const lineOf = ({ nth, id: called, above, line: { k, v } }: Wanted, target: Target): object => ({
  n: nth,
  i: called,
  k,
  p: above,
  w: written(target).map((c) => v[c.from] ?? null),
  c: compared(target).map((c) => v[c.from] ?? null),
});

const valuesIn = (target: Target): Sql =>
  sql`${valuesOf(
    't',
    compared(target).map((c) => c.name),
  )}::jsonb`;

/** The row of the key `$1`. */
function reading(target: Target): Sql {
  const { table, key } = target;
  const given = keysAsRows(sql`array[${raw('$1')}]`, key, table);
  return sql`select ${valuesIn(target)} from ${tableId(table)} t join ${given} on ${isKey('t', key)}`;
}

/** Writes the rows of `y(v)`. */
const inserting = (target: Target, y: Sql, returning: Sql): Sql =>
  sql`insert into ${tableId(target.table)} as t (${list(...written(target).map((c) => id(c.name)))}) overriding system value
      select ${list(...written(target).map((c, i) => sql`y.v[${raw(String(i + 1))}]::${raw(c.plain)}`))} from ${y} y returning ${returning}`;

/** A row of the values `$1`. */
const writing = (target: Target): Sql =>
  inserting(
    target,
    sql`(select array_agg(x.e order by x.n) as v from jsonb_array_elements_text(${raw('$1')}) with ordinality x(e, n))`,
    valuesIn(target),
  );

/**
 * The rows of the lines `$1`, whatever their tables: a foreign key is asked when the statement is over. Answers whether each is as
 * it was archived.
 */
function writingCircle(targets: readonly Target[]): Sql {
  const parts = targets.map((target, nth) => {
    const own = sql`jsonb_array_elements(${raw('$1')}) with ordinality l(line, i) where l.line ->> 'n' = ${literal(String(nth))}`;
    const y = sql`(select (select array_agg(x.e order by x.n) from jsonb_array_elements_text(l.line -> 'w') with ordinality x(e, n)) as v from ${own})`;
    return cte(
      `w${nth}`,
      inserting(target, y, sql`${keyAsText('t', target.key)} as k, ${valuesIn(target)} as v`),
    );
  });
  const all = united(
    targets.map((_, nth) => sql`select ${literal(String(nth))} as n, k, v from ${raw(`w${nth}`)}`),
  );
  return sql`${withParts(...parts)}select count(*) = jsonb_array_length(${raw('$1')}) from jsonb_array_elements(${raw('$1')}) g(line)
    join (${all}) r on r.n = g.line ->> 'n' and r.k = g.line ->> 'k' and r.v = g.line -> 'c'`;
}

const Rights = z.object({ schema: z.string(), table: z.string(), sees: z.boolean(), may: z.boolean() });

/** Statements that grant what this login lacks to fill the tables; none: it may. */
export const rightsTo = (tables: readonly TableName[]): Query<string[]> =>
  query(
    sql`select quote_ident(n.nspname) as schema, format('%I.%I', n.nspname, c.relname) as table,
        has_schema_privilege(n.oid, 'USAGE') as sees,
        has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT') as may
      from jsonb_to_recordset(${JSON.stringify(tables)}::jsonb) w(schema text, name text)
      join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w.name`,
    (found) => {
      const all = rows(Rights)(found);
      const lacking = all.filter((t) => !t.may).map((t) => t.table);
      const schemas = new Set(all.filter((t) => !t.sees).map((t) => t.schema));
      return [
        ...[...schemas].map((schema) => `GRANT USAGE ON SCHEMA ${schema} TO lapse_operator;`),
        ...(lacking.length === 0 ? [] : [`GRANT SELECT, INSERT ON ${lacking.join(', ')} TO lapse_operator;`]),
      ];
    },
  );

/** Files whose deletion a drain is asking the store for right now: what is brought back could be taken again. */
export const beingDeleted = (paths: readonly string[]): Query<boolean> =>
  query(
    sql`select exists (select 1 from retention.outbox where path = any(${typed([...paths], 'text[]')})
      and claimed_until > clock_timestamp()) as claimed`,
    ([row]) => row?.claimed === true,
  );
