/**
 * A batch is one request and one transaction:
 * session → enter_batch (constraints immediate, locks, fence, count before) → judge, lock and delete,
 * receipt, outbox → counts compared, also the database's own of every table (migrations/functions/net.sql).
 * Its parts: what it is asked (request.ts), the shape of its statements (shapes/), the deleting statement (deleting.ts),
 * what that does to a row (change.ts), and the look after it (confirm.ts).
 */
import { z } from 'zod';
import { type Answers, nothing, oneRow, type Query, query } from '../../platform/query';
import { list, literal, type Sql, sql } from '../../platform/sql';
import { strategyOf } from '../../policies/strategies';
import { namesArchive } from './archived';
import { confirming } from './confirm';
import { deleting } from './deleting';
import { KeptCounts } from './keeping';
import { Position } from './leg';
import { Pressure } from './pressure';
import { type Batch, type BatchRequest, batchOf } from './request';
import { type Shape, shapeOf } from './shapes';
import type { Instead } from './shapes/shape';

export type { BatchRequest };

const count = z.coerce.number().int().nonnegative();
const Deleted = z.object({
  picked: count,
  deleted: count,
  dependants_deleted: count,
  files: count,
  bytes: count,
  by_rule: z.record(z.string(), z.object({ deleted: count, bytes: count })),
  kept: KeptCounts,
  /** `ended`: this leg has nothing after what was picked. */
  after: Position.extend({ ended: z.boolean() }),
});
const Confirmed = z.object({
  /** What else happens at the server; null when the batch did not ask, or was read from a receipt. */
  pressure: Pressure.nullable().default(null),
  /** What deciding and deleting took at the server, in milliseconds, without what each batch costs whatever its size; null when read from a receipt. */
  statement_ms: z.coerce.number().nonnegative().nullable().default(null),
});
export const BatchResult = Deleted.extend(Confirmed.shape);
export type BatchResult = z.infer<typeof BatchResult>;

/** The statements of one batch, in this order. */
export type BatchQueries = {
  readonly entered: Query<void>;
  /** What was archived, where the policy archives. */
  readonly named?: Query<void>;
  /** Where the rows are locked in a statement of its own. */
  readonly locked?: Query<void>;
  readonly compared?: Query<void>;
  /** References that are taken away, a statement each. */
  readonly [n: `detached${number}`]: Query<void>;
  readonly deleted: Query<z.infer<typeof Deleted>>;
  readonly confirmed: Query<z.infer<typeof Confirmed>>;
};

function batchQueries(b: Batch, shape: Shape): BatchQueries {
  const naming = namesArchive(b);
  return {
    entered: enter(b.request, shape.settings),
    ...(naming ? { named: query(naming, nothing) } : {}),
    ...(shape.first ? { locked: query(shape.first, nothing) } : {}),
    ...(shape.second ? { compared: query(shape.second, nothing) } : {}),
    ...Object.fromEntries((shape.between ?? []).map((s, i) => [`detached${i}`, query(s, nothing)])),
    deleted: query(deleting(b, shape), oneRow(Deleted)),
    confirmed: query(confirming(b), oneRow(Confirmed)),
  };
}

export const enter = (
  { policy, fence, runId, seq, version }: BatchRequest,
  more: readonly Sql[] = [],
): Query<void> => {
  const settings = (strategyOf(policy).stays?.settings ?? []).map(
    ({ name, value }) => sql`set_config(${literal(name)}, ${value}, true)`,
  );
  return query(
    sql`select ${list(
      sql`retention.enter_batch(${policy.name}, ${fence}::bigint, ${runId}::uuid, ${seq}::int, ${version})`,
      sql`set_config('lapse.entered', clock_timestamp()::text, true)`,
      ...settings,
      ...more,
    )}`,
    nothing,
  );
};

/** A request whose answer may be lost: `fromReceipt` is what a committed one says in its place. */
export interface DatabaseRequest<Q, R> {
  readonly queries: Q;
  result(answers: Answers<Q>): R;
  fromReceipt(receipt: BatchResult): R;
  readonly instead?: Instead<() => DatabaseRequest<Q, R>>;
}

export function batch(request: BatchRequest): DatabaseRequest<BatchQueries, BatchResult> {
  const b = batchOf(request);
  const shape = shapeOf(b);
  const { instead } = shape;
  return {
    queries: batchQueries(b, shape),
    result: ({ deleted, confirmed }) => ({ ...deleted, ...confirmed }),
    fromReceipt: (receipt) => receipt,
    ...(instead ? { instead: { ...instead, ask: () => batch(instead.ask) } } : {}),
  };
}
