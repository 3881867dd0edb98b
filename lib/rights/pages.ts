/**
 * Rows as lines of JSON, page by page, each page one answer of the database: one that would be too large is asked again for fewer
 * rows. What comes next is found behind the last row of a page, so that nothing is counted off.
 */
import { z } from 'zod';
import { bytesInAnswer, MOST_ANSWER_BYTES } from '../platform/answer-size';
import { oneRow, type Query, query } from '../platform/query';
import { type Sql, sql } from '../platform/sql';

interface Page<T> {
  readonly count: number;
  /** Null: more bytes than fit an answer. */
  readonly rows: T[] | null;
}

/** `rows`: selects the rows of one page with a text `line`, in their order. */
export const pageOf = <T>(page: Sql, row: z.ZodType<T>): Query<Page<T>> =>
  query(
    sql`with page as materialized (${page}),
      written as (select coalesce(sum(octet_length(line)), 0) as bytes, count(*)::int as count from page),
      -- As JSON in JSON, which takes its time: only of what might fit.
      size as (select count, case when bytes > ${MOST_ANSWER_BYTES}::bigint then bytes
        else (select coalesce(sum(${bytesInAnswer(sql`to_json(line)::text`)} + 200), 0) from page) end as bytes from written)
    select count, case when bytes <= ${MOST_ANSWER_BYTES}::bigint
      then coalesce((select jsonb_agg(to_jsonb(p)) from page p), '[]') end as rows from size`,
    oneRow(z.object({ count: z.number(), rows: z.array(row).nullable() })),
  );

/** `ask`: the page of at most `size` rows behind one; null: the first. `tooLarge`: when no answer can hold a row. */
export async function* pages<T>(
  most: number,
  ask: (after: T | null, size: number) => Promise<Page<T>>,
  tooLarge: () => Error,
): AsyncGenerator<T[]> {
  let size = most;
  let after: T | null = null;
  for (;;) {
    const { count, rows }: Page<T> = await ask(after, size);
    if (rows === null) {
      if (size === 1) throw tooLarge();
      size = Math.max(1, Math.floor(size / 4));
      continue;
    }
    if (rows.length > 0) yield rows;
    if (count < size) return;
    after = rows.at(-1)!;
  }
}
