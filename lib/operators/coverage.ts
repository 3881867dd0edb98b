/**
 * How many rows a subject covers now, counted to a bound and within a time: by the column's own type, so that an
 * index answers, and then by the printed text, which is what a batch compares.
 */
// By the author of p-retry: a list worked off by so many at once, in its order.
import pMap from 'p-map';
import { z } from 'zod';
import { DatabaseError } from '../platform/errors';
import { type Query, query, rows } from '../platform/query';
import { askEach, askOne } from '../platform/session';
import {
  allOf,
  constant,
  empty,
  id,
  keyAsText,
  raw,
  type Sql,
  sql,
  tableId,
  tableLabel,
  united,
} from '../platform/sql';
import type { Asked, Spelled } from './spelling';
import type { Target } from './targets';

/** Enough to see that a hold took; a thousand index entries are read in milliseconds. */
const MOST_ROWS = 1_000;
/** Without an index a few million rows are read in this time; a larger table is answered "unknown". */
const COUNT_MS = 2_000;
/** An index where there is one: the planner thinks that a value which is common or unknown is found sooner by reading the table. */
const READING = { readOnly: true, indexesOnly: true };
/** Of each table where all are asked at once: an index answers in a few milliseconds. */
const TOGETHER_MS = 500;
/** Tables looked at side by side where one of them takes longer. */
const AT_ONCE = 4;
/** Tables a statement asks: each statement costs a message of its own, and its plan grows with its tables. */
const A_STATEMENT = 20;

/** Rows, `>1000`, or `unknown`: the table could not be read in time, or not at all. */
type Count = number | `>${number}` | 'unknown';

export interface Cover {
  readonly policy: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: Count;
  /** What a type that prints one value in several ways leaves open. */
  readonly note?: string;
}

const LOOSE = 'a later row that prints an equal value in another way is not covered; then set it again';

export interface Counted {
  readonly spelled: Spelled;
  /** Rows by the text they print; null: unknown. */
  readonly forms: ReadonlyMap<string, number> | null;
}

const Line = z.object({
  g: z.coerce.number(),
  n: z.coerce.number(),
  form: z.string(),
  rows: z.coerce.number(),
});

/** In their order; each table is asked once for all that is looked for in it. */
export async function count(services: Asked, wanted: readonly Spelled[]): Promise<Counted[]> {
  const groups = grouped(wanted, (s) => keyOf(s.target));
  const counted = groups.length === 0 ? [] : await countAll(services, groups);
  const found = new Map(counted.flat().map((c) => [c.spelled, c]));
  return wanted.map((s) => found.get(s)!);
}

function grouped<T>(all: readonly T[], by: (x: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const x of all) {
    const key = by(x);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [x]);
    else group.push(x);
  }
  return [...groups.values()];
}

const keyOf = (t: Target) => JSON.stringify([t.table, t.columns]);

type Line = z.output<typeof Line>;

/** The rows of each value that is looked for in one table, by the text they print; `g` is the number of the table in its statement. */
function formsIn(group: readonly Spelled[], g: number): Sql {
  const [{ target, columns, loose }] = group as [Spelled];
  const same = target.columns.map(
    (c, i) => sql`${id('t', c)} = (s.v ->> ${constant(i)})::${raw(columns[i]!.base!)}`,
  );
  const form = keyAsText(
    't',
    target.columns.map((column) => ({ column, type: 'text' })),
  );
  // Where each row may print the value in its own way, every one of them is asked.
  const most = loose ? empty : sql` limit ${constant(MOST_ROWS + 1)}`;
  const values = JSON.stringify(group.map((s) => s.values));
  return sql`select ${constant(g)} as g, s.n, c.form, c.rows from jsonb_array_elements(${values}::jsonb) with ordinality s(v, n)
      cross join lateral (
        select x.form, count(*) as rows from (
          select ${form} as form from ${tableId(target.table)} t where ${allOf(...same)}${most}
        ) x group by x.form
      ) c`;
}

const printedForms = (groups: readonly Spelled[][]): Query<Line[]> =>
  query(united(groups.map(formsIn)), rows(Line));

/** All tables at once; one that cannot be read so soon must not keep the others from being counted. */
async function countAll({ database }: Asked, groups: readonly Spelled[][]): Promise<Counted[][]> {
  const limits = { ...READING, statementMs: TOGETHER_MS };
  try {
    const parts = chunked(groups);
    const lines = await askEach(database, parts.map(printedForms), limits);
    return parts.flatMap((part, i) =>
      part.map((group, g) =>
        formsOf(
          group,
          lines[i]!.filter((l) => l.g === g),
        ),
      ),
    );
  } catch (error) {
    if (!cannotTell(error)) throw error;
    return pMap(groups, (group) => countIn({ database }, group), { concurrency: AT_ONCE });
  }
}

async function countIn({ database }: Asked, group: readonly Spelled[]): Promise<Counted[]> {
  try {
    const lines = await askOne(database, printedForms([[...group]]), { ...READING, statementMs: COUNT_MS });
    return formsOf(group, lines);
  } catch (error) {
    if (cannotTell(error)) return group.map((spelled) => ({ spelled, forms: null }));
    throw error;
  }
}

const chunked = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / A_STATEMENT) }, (_, i) =>
    all.slice(i * A_STATEMENT, (i + 1) * A_STATEMENT),
  );

function formsOf(group: readonly Spelled[], lines: readonly Line[]): Counted[] {
  const counted = group.map((spelled) => ({ spelled, forms: new Map<string, number>() }));
  for (const { n, form, rows: found } of lines) counted[n - 1]!.forms.set(form, found);
  return counted;
}

/** Too slow, locked, or a table that Lapse may not read: the hold is placed nevertheless. */
const cannotTell = (error: unknown): boolean =>
  error instanceof DatabaseError &&
  (error.failure === 'timeout' || error.failure === 'busy' || error.sqlState?.startsWith('42') === true);

/** The rows of one table that print one of `subjects`. */
export function coverOf(counted: readonly Counted[], subjects: ReadonlySet<string>): Cover[] {
  const groups = grouped(counted, ({ spelled: { target } }) => `${target.policy} ${keyOf(target)}`);
  return groups.map((group) => {
    const { target } = group[0]!.spelled;
    const seen = new Map(group.flatMap((c) => [...(c.forms ?? [])]));
    const rows = [...seen].reduce((sum, [form, n]) => sum + (subjects.has(form) ? n : 0), 0);
    return {
      policy: target.policy,
      table: tableLabel(target.table),
      columns: target.columns,
      rows: group.some((c) => c.forms === null) ? 'unknown' : rows > MOST_ROWS ? `>${MOST_ROWS}` : rows,
      ...(group[0]!.spelled.loose ? { note: LOOSE } : {}),
    };
  });
}

export const coversNothing = (covers: readonly Cover[]): boolean => covers.every((c) => c.rows === 0);
