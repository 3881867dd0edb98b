/** The rows of one holding as JSON lines, page by page in the order of the key, READ ONLY; and the files that they name. */
import { z } from 'zod';
import { MOST_ANSWER_BYTES } from '../../platform/answer-size';
import { RequestError } from '../../platform/errors';
import { oneRow, query } from '../../platform/query';
import type { Asking } from '../../platform/session';
import { id, jsonObject, keyValue, list, literal, type Sql, sql, tableId } from '../../platform/sql';
import { pageOf, pages } from '../pages';
import type { Holding } from './holdings';

/** A table without an index on what names the subject is read to its end for each page. */
const LIMITS = { statementMs: 60_000, readOnly: true };
const PAGE = 1_000;

const Row = z.object({ key: z.array(z.string()), line: z.string(), files: z.array(z.string()) });
type Row = z.output<typeof Row>;

export interface Paging {
  readonly reading: Asking;
  /** Throws when there is no time left. */
  inTime(): void;
}

/** Yields each row; `files`: canonical pathnames. Throws RequestError for a row that no answer can hold. */
export async function* rowsOf({ reading, inTime }: Paging, holding: Holding): AsyncGenerator<Row> {
  const ask = (after: Row | null, size: number) => {
    inTime();
    return reading.askOne(pageOf(rowsBehind(holding, after, size), Row), LIMITS);
  };
  for await (const page of pages(PAGE, ask, () => tooLarge(holding.label))) yield* page;
}

const tooLarge = (label: string): RequestError =>
  new RequestError(
    409,
    'row_too_large',
    `a row of ${label} has more than ${MOST_ANSWER_BYTES} bytes as JSON, more than one answer of the database can hold: copy it by hand`,
  );

function rowsBehind(holding: Holding, after: Row | null, size: number): Sql {
  const { table, key, columns, theirs, value } = holding;
  const keys = list(...key.map((k) => id('t', k.column)));
  const behind = after === null ? null : list(...key.map((k, i) => keyValue(after.key[i] ?? null, k)));
  const line = jsonObject(columns.map((c) => sql`${literal(c.name)}::text, ${value(c.name)}`));
  return sql`select jsonb_build_array(${list(...key.map((k) => sql`${id('t', k.column)}::text`))}) as key, (${line})::text as line,
      to_jsonb(${filesIn(holding)}) as files
    from ${tableId(table)} t where ${theirs}${behind === null ? sql`` : sql` and (${keys}) > (${behind})`}
    order by ${keys} limit ${size}::int`;
}

/** Names that mean one file below the column's prefix, whatever the host. */
const filesIn = ({ files }: Holding): Sql =>
  sql`array_remove(array[${list(
    ...files.map((f) => {
      const path = sql`retention.blob_path(${id('t', f.column)}::text)`;
      return sql`case when ${id('t', f.column)}::text <> '' and retention.blob_refusal(${path}, ${literal(f.prefix ?? '')}, '{}') is null then ${path} end`;
    }),
  )}]::text[], null)`;

const Count = z.object({ n: z.coerce.number() });

/** Rows that were reached and are another person's. */
export const countOthers = ({ reading }: Paging, { table, others }: Holding): Promise<number> =>
  reading
    .askOne(
      query(sql`select count(*)::text as n from ${tableId(table)} t where ${others}`, oneRow(Count)),
      LIMITS,
    )
    .then((c) => c.n);
