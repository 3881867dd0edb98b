/**
 * The index by which a key is found in the receipts (functions/receipt_index.sql): made here, behind the runs, so that no batch
 * waits for it. What is not in it yet is looked for in the receipts themselves, so it may be late and is never wrong.
 */
import { z } from 'zod';
import { oneRow, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { constant, sql } from '../../platform/sql';
import type { Services } from '../../services';

/** A receipt of 40,000 keys takes a fifth of a second. */
const WORK_MS = 2_000;
const STATEMENT_MS = 15_000;

const INDEXING = query(
  sql`select retention.index_receipts(${constant(WORK_MS)}) as n`,
  oneRow(z.object({ n: z.number() })),
);

/** Returns how many receipts were indexed; each statement keeps what it has done. */
export async function indexReceipts(
  { database }: Pick<Services, 'database'>,
  inTime: () => boolean,
): Promise<number> {
  let done = 0;
  while (inTime()) {
    const { n } = await askOne(database, INDEXING, { statementMs: STATEMENT_MS });
    done += n;
    if (n === 0) return done;
  }
  return done;
}
