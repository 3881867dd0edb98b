/**
 * Table retention.restoration: takes a soft deletion back inside its grace period (P8). The mark, the extension
 * that keeps the policy from marking the row again the next night, and the record are one statement: all or none.
 */
import { z } from 'zod';
import type { Database } from '../platform/database';
import { RequestError } from '../platform/errors';
import { oneRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import {
  cte,
  id,
  isKey,
  keysAsRows,
  literal,
  type Sql,
  sql,
  tableId,
  tableLabel,
  typed,
  withParts,
} from '../platform/sql';
import type { Policy } from '../policies/contract';
import { type Strategy, strategyOf } from '../policies/strategies';

/** Waits for the batches under way: an extension takes their lock exclusively. */
const LIMITS = { statementMs: 12_000, lockMs: 10_000 };

/** Safe for as long as this is enough to be looked at again. */
const WHERE_NEVER_PURGED_SECONDS = 30 * 86_400;

type Grace = NonNullable<Strategy['grace']>;

export interface Restore {
  /** The policy that marks the rows of the table. */
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
  const { grace } = strategyOf(policy);
  if (grace === null) {
    throw new RequestError(
      422,
      'not_restorable',
      `${policy.name} marks no rows for a purge; there is nothing to restore`,
      'policy',
    );
  }
  const found = await askOne(database, query(restoring(order, grace), oneRow(Found)), {
    ...LIMITS,
    operatorToken: order.token ?? '',
  });
  if (found.restored) {
    return { deletedAt: found.deleted_at!, keepUntil: found.keep_until!, entry: found.entry! };
  }
  throw refusal(found.deleted_at);
}

function restoring({ policy, rowKey, actor, reason }: Restore, { mark, period }: Grace): Sql {
  const t = tableId(policy.table);
  const since = id('t', mark);
  const key = typed(rowKey, 'text');
  const open =
    period.seconds === null
      ? sql`true`
      : sql`${since} >= retention.clock() - make_interval(secs => ${period.seconds}::float8)`;
  const until = sql`retention.clock() + make_interval(secs => ${period.seconds ?? WHERE_NEVER_PURGED_SECONDS}::float8)`;
  return sql`${withParts(
    cte(
      'wanted',
      sql`
        select t.ctid as c, ${since} as deleted_at, ${open} as open
        from only ${t} t join ${keysAsRows(sql`array[${key}]`, policy.key, policy.table)} on ${isKey('t', policy.key)}
        where ${since} is not null for update of t
      `,
      true,
    ),
    cte(
      'restored',
      sql`
        update only ${t} t set ${id(mark)} = null from wanted w where t.ctid = w.c and w.open
        returning w.deleted_at
      `,
    ),
    cte(
      'noted',
      sql`
        select n.n as entry, (n.detail ->> 'keep_until')::timestamptz as keep_until from restored r cross join lateral retention.note_restoration(
          ${actor}, ${reason}, ${policy.name}, ${literal(tableLabel(policy.table))}, ${key}, r.deleted_at, ${until}) n
      `,
      true,
    ),
  )}select exists (select 1 from noted) as restored, (select deleted_at::text from wanted) as deleted_at,
        (select keep_until::text from noted) as keep_until,
        (select entry::text from noted) as entry`;
}

const refusal = (markedAt: string | null): RequestError =>
  markedAt === null
    ? new RequestError(
        409,
        'not_deleted',
        'there is no such row marked as deleted: it was restored, purged, or never marked',
        'key',
      )
    : new RequestError(
        409,
        'grace_over',
        `its grace period is over since it was marked on ${markedAt}; the next purge takes it`,
        'key',
      );
