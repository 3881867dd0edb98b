/**
 * Pages of a list from its newest entry on: each begins behind the last one of the page before, found by an index, so that the
 * hundredth page costs what the first one does. `after` is an instant and an id, as `next` of the page before says.
 */
import { z } from 'zod';
import { RequestError } from '../../platform/errors';
import { type Query, query, rows } from '../../platform/query';
import { constant, id, type Sql, sql, typed, utc } from '../../platform/sql';

/** What one scrolls through on a phone. */
const PAGE = 50;
/** Of each of two lists on one page. */
export const HALF_A_PAGE = PAGE / 2;

export interface Page<T> {
  readonly entries: readonly T[];
  /** `after` of the next page; null: this is the last one. */
  readonly next: string | null;
}

const AFTER = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)~([0-9a-f-]{1,36})$/;

/** Throws RequestError 400 for what no page has said. */
function readAfter(after: string | undefined): { readonly at: string; readonly id: string } | null {
  if (after === undefined) return null;
  const [, at, key] = AFTER.exec(after) ?? [];
  if (at !== undefined && key !== undefined) return { at, id: key };
  throw new RequestError(400, 'bad_parameter', 'after: take it from the link to the next page', 'after');
}

export interface Keyset {
  /** Of the entry: what it is listed by. */
  readonly at: Sql;
  readonly id: Sql;
  readonly type: 'uuid' | 'bigint';
  readonly oldestFirst?: boolean;
  /** Entries a page; fewer where two lists share one. */
  readonly most?: number;
}

const Place = z.object({ page_at: z.string(), page_id: z.string() });

/** `select`: columns and from, without where; `where`: further conditions. One more row than a page shows whether there is another. */
export function pageOf<T extends z.ZodRawShape>(
  shape: z.ZodObject<T>,
  { select, from, where }: { readonly select: Sql; readonly from: Sql; readonly where: Sql },
  by: Keyset,
  after: string | undefined,
): Query<Page<z.output<z.ZodObject<T>>>> {
  const behind = readAfter(after);
  const { most = PAGE } = by;
  const than = by.oldestFirst ? sql`>` : sql`<`;
  const order = by.oldestFirst ? sql`${by.at}, ${by.id}` : sql`${by.at} desc, ${by.id} desc`;
  const start = behind
    ? sql`(${by.at}, ${by.id}) ${than} (${typed(behind.at, 'timestamptz')}, ${typed(behind.id, by.type)})`
    : sql`true`;
  const text = sql`select ${select}, ${utc(by.at)} as ${id('page_at')}, ${by.id}::text as ${id('page_id')}
    from ${from} where ${where} and ${start} order by ${order} limit ${constant(most + 1)}`;
  const row = shape.and(Place);
  return query(text, (answer) => {
    const found = rows(row)(answer);
    const last = found.length > most ? found[most - 1] : undefined;
    return { entries: found.slice(0, most), next: last ? `${last.page_at}~${last.page_id}` : null };
  });
}
