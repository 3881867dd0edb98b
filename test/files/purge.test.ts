import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { restoreRow } from '@/lib/engine/restoration';
import { days } from '@/lib/policies/contract';
import { purgeOf } from '@/lib/policies/purge';
import { databaseClock, left } from '../support/engine';
import { type Files, files, suffixed } from '../support/files';

let f: Files;
afterEach(() => f?.stop());
const soft = { strategy: { kind: 'soft-delete' as const, column: 'deleted_at', purgeAfter: days(14) } };
const DAY = 86_400;

async function marked() {
  f = await files({ policy: soft });
  const ids = await f.rows([
    { age: 40, file: suffixed(1) },
    { age: 1, file: suffixed(2) },
  ]);
  await f.upload(suffixed(1), suffixed(2));
  expect(await f.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 1, filesQueued: 0 });
  return { id: ids[0]!, purge: purgeOf(f.policy)! };
}
const purged = (purge: Parameters<Files['runNow']>[0]) => f.runNow(purge);

describe('a soft-deleted row', () => {
  it('keeps its file until the purge, which takes both once the grace period is over', async () => {
    const { purge } = await marked();
    f.pass(14 * DAY - 60);
    // The database's own clock never runs ahead of what a run may count back from.
    await f.db.sql(
      "update pictures set deleted_at = deleted_at - interval '14 days' + interval '1 minute' where deleted_at is not null",
    );
    expect(await purged(purge)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(f.stored()).toHaveLength(2);
    await f.db.sql(
      "update pictures set deleted_at = deleted_at - interval '2 minutes' where deleted_at is not null",
    );
    expect(await purged(purge)).toMatchObject({
      outcome: 'succeeded',
      deleted: 1,
      filesQueued: 1,
      files: { deleted: 1 },
    });
    expect(f.stored()).toEqual([suffixed(2)]);
    expect(await left(f.db, 'pictures')).toBe(1);
  });

  it('is kept by a hold through the purge', async () => {
    const { id, purge } = await marked();
    await f.db.sql(
      "update pictures set deleted_at = deleted_at - interval '15 days' where deleted_at is not null",
    );
    await f.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.pictures', 'matter 7', 'ann')",
      [id],
    );
    expect(await purged(purge)).toMatchObject({ deleted: 0, kept: { held: 1 } });
  });

  it('can be restored within its grace period, on the record, and is not marked again the next night', async () => {
    const { id } = await marked();
    await databaseClock(f.db, f.now());
    const safe = await restoreRow(f.services.deciding, {
      policy: f.policy,
      rowKey: id,
      reason: 'asked by its author',
      actor: 'ann',
    });
    expect(Date.parse(safe.keepUntil)).toBe(f.now().getTime() + 14 * DAY * 1000);
    const [row] = await f.db.sql('select deleted_at from pictures where id = $1', [id]);
    expect(row).toEqual({ deleted_at: null });
    expect(await f.db.sql('select policy, row_key, reason, restored_by from retention.restoration')).toEqual([
      { policy: 'pictures', row_key: id, reason: 'asked by its author', restored_by: 'ann' },
    ]);
    expect(await f.runNow()).toMatchObject({ deleted: 0, kept: { extended: 1 } });
  });

  it('cannot be restored after its grace period, nor can what was never marked', async () => {
    const { id } = await marked();
    f.pass(14 * DAY + 60);
    await databaseClock(f.db, f.now());
    const order = { policy: f.policy, reason: 'late', actor: 'ann' };
    await expect(restoreRow(f.services.deciding, { ...order, rowKey: id })).rejects.toMatchObject({
      status: 409,
      code: 'grace_over',
    });
    await expect(restoreRow(f.services.deciding, { ...order, rowKey: randomUUID() })).rejects.toMatchObject({
      code: 'not_deleted',
    });
    expect(await left(f.db, 'retention.restoration')).toBe(0);
    expect(await left(f.db, 'retention.extension')).toBe(0);
  });

  it('has a purge only where the policy marks, an hour after it', async () => {
    f = await files({ policy: soft });
    expect(purgeOf(f.policy)).toMatchObject({
      name: 'pictures-purge',
      schedule: { run: '0 3 * * *' },
      strategy: { kind: 'delete' },
    });
    expect(purgeOf({ ...f.policy, strategy: { kind: 'delete' } })).toBeNull();
  });
});
