/** Table retention.receipt, read side: retention.write_receipt writes it, in the deleting statement (deleting.ts). */
import type { Database } from '../../platform/database';
import { maybeRow, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import { BatchResult } from './batch';

/** What batch (run, seq) did, in the form of its answer; null when it has not committed. */
export const readReceipt = (database: Database, runId: string, seq: number): Promise<BatchResult | null> =>
  askOne(
    database,
    query(
      sql`select picked, deleted::text, dependants_deleted, files, bytes::text, by_rule, kept, cursor_after as after
          from retention.receipt where run = ${runId}::uuid and seq = ${seq}::int`,
      maybeRow(BatchResult),
    ),
    { statementMs: 5_000, readOnly: true },
  );
