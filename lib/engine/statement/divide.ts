/**
 * Where a leg is divided into stretches for lanes, without counting a row: by what ANALYZE has seen of the clock, or of
 * the tenants, so that each has about as many rows; where it has seen nothing, by equal parts of the time. It costs a look
 * at the statistics and one row of the index, whatever the table's size. A division that is uneven costs time only.
 */
import { z } from 'zod';
import { oneRow, type Query, query } from '../../platform/query';
import {
  allOf,
  constant,
  cte,
  literal,
  raw,
  type Sql,
  sql,
  type TableName,
  tableId,
  typed,
  withParts,
} from '../../platform/sql';
import { scaleOf, walksByOneColumn } from '../../policies/clocks';
import type { Policy } from '../../policies/contract';
import type { Leg, Position, RuleLeg, TenantsLeg } from './leg';
import { walkOf } from './legs';
import { ahead, byClock, clockOf } from './legs/columns';
import { inClock, isInstant } from './predicate';

export interface Division {
  /** At most so many stretches, */
  readonly most: number;
  /** each of so many rows or more. */
  readonly rows: number;
}

const Borders = z.object({ borders: z.array(z.string()).nullable() }).transform((row) => row.borders ?? []);

/** Where a stretch ends and the next begins, in the order of the walk: a clock, or a tenant. None: it is one stretch. */
export const borders = (
  policy: Policy,
  leg: RuleLeg | TenantsLeg,
  position: Position | null,
  division: Division,
): Query<string[]> =>
  query(
    leg.kind === 'rule'
      ? betweenClocks(policy, leg, position, division)
      : betweenTenants(policy, policy.tenants!, position, division),
    oneRow(Borders),
  );

const isTable = (t: TableName): Sql => sql`${literal(tableId(t).text)}::regclass`;

/** The histogram of a column; null where ANALYZE has not seen enough different values. */
const histogram = (table: TableName, column: string, type: string): Sql => sql`(
      select s.histogram_bounds::text::${raw(type)}[] from pg_stats s
      join pg_class c on c.relname = s.tablename join pg_namespace n on n.oid = c.relnamespace and n.nspname = s.schemaname
      where c.oid = ${isTable(table)} and s.attname = ${literal(column)} and not s.inherited)`;

/**
 * Parts `seen(bounds)` and `inside(b, n, of, k)`: those of a histogram that lie within, numbered, and into how many
 * stretches they are to be divided. Between two neighbors lie about as many rows.
 */
const seenIn = (policy: Policy, bounds: Sql, within: Sql, { most, rows }: Division): Sql[] => [
  cte('seen', sql`select ${bounds} as bounds`, true),
  cte(
    'inside',
    sql`
    select x.b, row_number() over (order by x.o) as n, count(*) over () as of,
      least(${constant(most)}, floor(greatest(c.reltuples, 0) * count(*) over () / cardinality(s.bounds) / ${constant(rows)}))::int as k
    from seen s cross join unnest(s.bounds) with ordinality x(b, o) join pg_class c on c.oid = ${isTable(policy.table)}
    where ${within}
  `,
    true,
  ),
];

const CHOSEN = sql`(select jsonb_agg(b::text order by n) from inside where n * k / (of + 1) <> (n - 1) * k / (of + 1))`;

function betweenClocks(policy: Policy, leg: RuleLeg, position: Position | null, division: Division): Sql {
  const { clock } = policy;
  const { type } = scaleOf(clock);
  const end = inClock(policy, typed(leg.cutoff, 'timestamptz'));
  const from = position?.clock ? sql`x.b > ${typed(position.clock, type)}` : null;
  const within = allOf(sql`x.b < ${end}`, from);
  // Of several columns together the table has none.
  const bounds = walksByOneColumn(clock)
    ? histogram(policy.table, clock.column, type)
    : sql`null::${raw(type)}[]`;
  return sql`${withParts(...seenIn(policy, bounds, within, division))}select case
    when (select bounds from seen) is not null then ${CHOSEN}
    else ${equalParts(policy, leg, position, division)} end as borders`;
}

/** From the oldest row that has a time to the cutoff. */
function equalParts(policy: Policy, leg: RuleLeg, position: Position | null, { most }: Division): Sql {
  const { due } = walkOf(policy, leg, leg.cutoff);
  const end = inClock(policy, typed(leg.cutoff, 'timestamptz'));
  const border = scaleOf(policy.clock).between(sql`o.clk`, end, sql`i`, constant(most));
  return sql`(select jsonb_agg(y.b::text order by y.b) from (
      select distinct ${border} as b, o.clk from (
        select ${clockOf(policy)} as clk from only ${tableId(policy.table)} t
        where ${allOf(due, isInstant(policy), ahead(policy, position, undefined))} order by ${byClock(policy)} limit 1
      ) o cross join generate_series(1, ${constant(most - 1)}) i
    ) y where y.b > y.clk)`;
}

/** A tenant is never divided. Of few tenants the table of the rows has no histogram, but that of the tenants has. */
function betweenTenants(
  policy: Policy,
  tenants: NonNullable<Policy['tenants']>,
  position: Position | null,
  division: Division,
): Sql {
  const { key } = tenants;
  const bounds = sql`coalesce(${histogram(policy.table, tenants.column, key.type)}, ${histogram(tenants.table, key.column, key.type)})`;
  const within = position?.tenant === undefined ? sql`true` : sql`x.b > ${typed(position.tenant, key.type)}`;
  return sql`${withParts(...seenIn(policy, bounds, within, division))}select ${CHOSEN} as borders`;
}

const Middle = z.object({ middle: z.string().nullable() }).transform((row) => row.middle);

/** Half of the time that a stretch has still ahead; null where there is none between. */
export function middle(policy: Policy, leg: RuleLeg, { clock }: Position): Query<string | null> {
  const { type, isInstant, between } = scaleOf(policy.clock);
  const end =
    leg.until === undefined ? inClock(policy, typed(leg.cutoff, 'timestamptz')) : typed(leg.until, type);
  return query(
    sql`select case when x.b > x.a and x.b < x.z then x.b::text end as middle from (
      select w.a, w.z, case when ${isInstant(sql`w.a`)} and ${isInstant(sql`w.z`)} then ${between(sql`w.a`, sql`w.z`, sql`1`, sql`2`)} end as b
      from (select ${typed(clock, type)} as a, ${end} as z) w) x`,
    oneRow(Middle),
  );
}

/** The leg's part that ends there. */
export const within = <L extends Leg>(leg: L, until: string | null): L =>
  until === null ? leg : { ...leg, until };
