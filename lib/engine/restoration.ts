/**
 * Table retention.restoration: takes a soft deletion back inside its grace period (P8). The mark, the extension
 * that keeps the policy from marking the row again the next night, and the record are one statement: all or none.
 */
import { z } from 'zod';
import type { Database } from '../platform/database';
import { RequestError } from '../platform/errors';
import { oneRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import { keysFrom, name, Parameters, sameKey, table, tableLabel, text } from '../platform/sql';
import type { Policy } from '../policies/contract';

/** Waits for the batches under way: an extension takes their lock exclusively. */
const LIMITS = { statementMs: 12_000, lockMs: 10_000 };

export interface Restore {
  /** The soft-delete policy that governs the table. */
  readonly policy: Policy;
  /** The row's key as receipts write it. */
  readonly rowKey: string;
  readonly reason: string;
  readonly actor: string;
  /** The operator's own. */
  readonly token?: string;
}

const Found = z.object({
  restored: z.boolean(),
  deleted_at: z.string().nullable(),
  keep_until: z.string().nullable(),
  entry: z.string().transform(Number).nullable(),
});

export interface Restored {
  readonly deletedAt: string;
  /** Until when the row is safe: as long again as the grace period. */
  readonly keepUntil: string;
  /** Number of the entry in the audit chain. */
  readonly entry: number;
}

/** Throws RequestError 409 when the row is not marked, is gone, or its grace period is over. */
export async function restoreRow(database: Database, order: Restore): Promise<Restored> {
  const { policy } = order;
  if (policy.strategy.kind !== 'soft-delete') {
    throw new RequestError(
      422,
      'not_restorable',
      `${policy.name} deletes rows at once; there is nothing to restore`,
      'policy',
    );
  }
  const { column, purgeAfter } = policy.strategy;
  const p = new Parameters();
  const grace = purgeAfter.seconds === null ? null : p.add(purgeAfter.seconds, 'float8');
  const key = p.add(order.rowKey, 'text');
  const mark = `t.${name(column)}`;
  const label = text(tableLabel(policy.table));
  const open = grace === null ? 'true' : `${mark} >= retention.clock() - make_interval(secs => ${grace})`;
  // Never purged: safe for as long as the policy itself would have waited is enough to be looked at again.
  const until = `retention.clock() + make_interval(secs => ${grace ?? p.add(30 * 86_400, 'float8')})`;
  const restoring = p.statement(`with wanted as materialized (
        select t.ctid as c, ${mark} as deleted_at, ${open} as open
        from only ${table(policy.table)} t join ${keysFrom(`array[${key}]`, policy.key)} on ${sameKey('t', policy.key)}
        where ${mark} is not null for update of t
      ),
      restored as (
        update only ${table(policy.table)} t set ${name(column)} = null from wanted w where t.ctid = w.c and w.open
        returning w.deleted_at
      ),
      noted as materialized (
        select n.n as entry, (n.detail ->> 'keep_until')::timestamptz as keep_until from restored r cross join lateral retention.note_restoration(
          ${p.add(order.actor)}, ${p.add(order.reason)}, ${p.add(policy.name)}, ${label}, ${key}, r.deleted_at, ${until}) n
      )
      select exists (select 1 from noted) as restored, (select deleted_at::text from wanted) as deleted_at,
        (select keep_until::text from noted) as keep_until,
        (select entry::text from noted) as entry`);
  const found = await askOne(database, query(restoring, oneRow(Found)), {
    ...LIMITS,
    operatorToken: order.token ?? '',
  });
  if (found.restored) {
    return { deletedAt: found.deleted_at!, keepUntil: found.keep_until!, entry: found.entry! };
  }
  throw found.deleted_at === null
    ? new RequestError(
        409,
        'not_deleted',
        'there is no such row marked as deleted: it was restored, purged, or never marked',
        'key',
      )
    : new RequestError(
        409,
        'grace_over',
        `its grace period is over since it was marked on ${found.deleted_at}; the next purge takes it`,
        'key',
      );
}
