/**
 * Looks at the store itself: each file that the erasure handed to the outbox, by its name, and the folders that are the
 * subject's. A file that is there and whose entry is not settled yet is no finding: the drain is not through.
 */
import pMap from 'p-map';
import { z } from 'zod';
import { query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { constant, sql } from '../../platform/sql';
import type { Services } from '../../services';

const LIMITS = { statementMs: 10_000, readOnly: true };
const PAGE = 500;
/** Answers of the store take tens of milliseconds each. */
const AT_ONCE = 16;

const Entry = z.object({ id: z.coerce.string(), path: z.string().nullable(), state: z.string() });

export interface Files {
  /** Names that were asked for. */
  readonly looked: number;
  /** That are there, although nothing that stays names them. */
  readonly found: number;
  /** That are there, and are about to be deleted. */
  readonly open: number;
  /** The last entry that was looked at; null: all of them. */
  readonly after: string | null;
}

export async function lookAtFiles(
  services: Services,
  erasure: string,
  after: string,
  inTime: () => boolean,
): Promise<Files> {
  let [looked, found, open, last] = [0, 0, 0, after];
  while (inTime()) {
    const page = await askOne(services.database, entriesAfter(erasure, last), LIMITS);
    const asked = page.filter((e) => e.state !== 'kept' && e.path !== null);
    const there = await pMap(asked, (e) => isThere(services, e.path!), { concurrency: AT_ONCE });
    looked += asked.length;
    found += asked.filter((e, i) => there[i] && e.state === 'deleted').length;
    // What the store does not have is gone, whether the outbox believes it already or not.
    open += asked.filter((e, i) => there[i] && e.state !== 'deleted').length;
    // A name that cannot be read can be asked for by nobody; a settled entry has lost its own after a month.
    open += page.filter((e) => e.path === null && e.state !== 'kept' && e.state !== 'deleted').length;
    if (page.length < PAGE) return { looked, found, open, after: null };
    last = page.at(-1)!.id;
  }
  return { looked, found, open, after: last };
}

const isThere = async ({ blob }: Services, path: string): Promise<boolean> =>
  blob !== undefined && (await blob.head(path)) !== null;

/** Kept: a row of someone else names the file as well. Settled entries lose their names after a month. */
const entriesAfter = (erasure: string, after: string) =>
  query(
    sql`select o.id::text, o.path, o.state from retention.outbox o where o.id > ${after}::bigint
        and (o.run = any(array(select unnest(s.runs) from retention.erasure_step s where s.erasure = ${erasure}::uuid))
          or (o.run is null and o.row_key = ${erasure}))
      order by o.id limit ${constant(PAGE)}`,
    rows(Entry),
  );

/** How many files lie in the subject's folders. */
export async function inFolders({ blob }: Services, folders: readonly string[]): Promise<number> {
  let found = 0;
  for (const prefix of folders) {
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<NonNullable<Services['blob']>['list']>> | undefined = await blob?.list({
        prefix,
        cursor,
      });
      found += page?.files.length ?? 0;
      cursor = page?.cursor ?? null;
    } while (cursor !== null);
  }
  return found;
}
