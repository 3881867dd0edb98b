/** No moment at which a drop is killed loses a row or a receipt. */
import { afterEach, describe, expect, it } from 'vitest';
import { verify } from '@/lib/operators/audit/verify';
import { DatabaseError } from '@/lib/platform/errors';
import type { Policy, PolicyInput } from '@/lib/policies/contract';
import { type Engine, engine, left, NOW } from '../../support/engine';
import {
  aroundDrop,
  BOUNDARY,
  DROPPED,
  EXPIRED,
  exists,
  partitioned,
  partitionReceipts,
  receiptedRows,
  visits,
} from '../../support/partitioned';

let e: Engine;
afterEach(() => e?.stop());

const receipts = () => partitionReceipts(e.db);
async function begin(changes: Partial<PolicyInput> = {}, files?: string): Promise<Policy> {
  e = await engine();
  return partitioned(e.db, changes, files ? { files } : {});
}

describe('killed', () => {
  const lost = () => new DatabaseError('unknown', null, 'no answer');

  it('before the drop nothing has happened, and the next run drops it', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const run = aroundDrop(e, () => Promise.reject(new DatabaseError('fatal', null, 'killed')));
    expect(await run(policy)).toMatchObject({ outcome: 'errored', deleted: 0 });
    expect(await receipts()).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5 });
    expect(await receipts()).toMatchObject([{ ...DROPPED, deleted: 5 }]);
  });

  it('after the drop, with its answer lost, the same run reads its receipt', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const run = aroundDrop(e, async (send) => {
      await send();
      throw lost();
    });
    expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5, path: 'partition' });
    expect(await receipts()).toMatchObject([{ ...DROPPED, deleted: 5 }]);
  });

  it('after the drop with its runner, the record is closed from the receipt and the next run continues', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    await visits(e.db, BOUNDARY, 2);
    const run = aroundDrop(e, async (send) => {
      await send();
      throw new DatabaseError('fatal', null, 'killed');
    });
    expect(await run(policy)).toMatchObject({ outcome: 'errored', deleted: 5 });
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await receiptedRows(e.db)).toBe(7);
    expect(await verify(e.services.database)).toMatchObject({ ok: true });
  });

  it('within the drop by the server, it leaves the partition, its rows and no receipt', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    // The last thing the transaction does; what comes before must be undone with it.
    await e.db.sql(`create function die() returns trigger language plpgsql as $$ begin
      if new.action = 'drop_partition' then perform pg_terminate_backend(pg_backend_pid()); end if; return null; end $$`);
    await e.db.sql(
      'create trigger zz_die after insert on retention.receipt for each row execute function die()',
    );
    const first = await e.run(policy, { deadline: new Date(NOW.getTime() + 10_000) });
    expect(first.deleted).toBe(0);
    expect(await exists(e.db, EXPIRED)).toBe(true);
    expect(await left(e.db, 'visits')).toBe(5);
    expect(await receipts()).toEqual([]);
    await e.db.sql('drop trigger zz_die on retention.receipt');
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5, path: 'partition' });
  });
});
