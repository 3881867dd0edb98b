/** Table retention.receipt, read side: the batch itself writes it (lib/engine/statement/batch.ts). */

import type { Database } from '../../platform/database';
import { answerTimeoutMs, session } from '../../platform/session';
import { BatchResult } from './batch';

/** What batch (run, seq) did, in the form of its answer; null when it has not committed. */
export async function readReceipt(
  database: Database,
  runId: string,
  seq: number,
): Promise<BatchResult | null> {
  const [, rows] = await database.transaction(
    [
      session(5_000),
      {
        text: `select picked, deleted::text, dependants_deleted, files, bytes::text, by_rule, kept, cursor_after as after
          from retention.receipt where run = $1::uuid and seq = $2::int`,
        params: [runId, seq],
      },
    ],
    { readOnly: true, timeoutMs: answerTimeoutMs(5_000) },
  );
  return rows?.[0] ? BatchResult.parse(rows[0]) : null;
}
