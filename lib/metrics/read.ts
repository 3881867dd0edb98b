/**
 * What a scrape reads: running totals and small indexed sets of Lapse's own tables, one READ ONLY request. Nothing
 * here grows with the number of runs or of business rows: totals are kept by the end of each run, and every
 * count stops at its bound.
 */
import { answerTimeoutMs, session } from '../batch/session';
import type { Row } from '../database';
import { orderReview } from '../orders/order-review';
import { queueStatement } from '../orders/queue';
import type { Services } from '../services';
import { type WatchReadings, watchStatements } from './watch';

/** A scrape that takes longer is given up by Prometheus anyway. */
const STATEMENT_MS = 5_000;
/** Entries counted at most of each kind: beyond it the exact number changes nothing. */
const MOST = 10_000;

export interface Readings {
  readonly bounds: readonly number[];
  readonly deleted: Row[];
  readonly runs: Row[];
  readonly last: Row[];
  readonly open: Row[];
  readonly queue: Row[];
  readonly watch: WatchReadings;
}

export async function readMetrics(services: Services): Promise<Readings> {
  const at = services.clock().toISOString();
  const plain = (text: string, params: string[] = []) => ({ text, params });
  const [, bounds = [], deleted = [], runs = [], last = [], open = [], queue = [], ...watch] =
    await services.database.transaction(
      [
        session(STATEMENT_MS),
        plain('select unnest(retention.run_bounds())::float8 as bound'),
        plain('select policy, plan, deleted::float8, bytes::float8 from retention.deleted_total'),
        plain(
          'select policy, mode, outcome, runs::float8, seconds, buckets::text[] from retention.run_total',
        ),
        plain(`select policy, sla_status, seconds, extract(epoch from started_at)::float8 as started,
          extract(epoch from completed_at)::float8 as completed from retention.last_run`),
        plain(
          `select 'dead_letters' as what, count(*)::float8 as n, coalesce(extract(epoch from $1::timestamptz - min(created_at)), 0)::float8 as age
            from (select created_at from retention.dead_letter where state = 'open' limit ${MOST}) x
          union all select 'outbox', count(*), coalesce(extract(epoch from $1::timestamptz - min(created_at)), 0)::float8
            from (select created_at from retention.outbox where state in ('pending', 'deleting') order by next_attempt_at limit ${MOST}) x
          union all select 'outbox_dead', count(*), coalesce(extract(epoch from $1::timestamptz - min(updated_at)), 0)::float8
            from (select updated_at from retention.outbox where state = 'dead' order by updated_at limit ${MOST}) x
          union all select 'alerts', count(*), coalesce(extract(epoch from $1::timestamptz - min(created_at)), 0)::float8
            from (select created_at from retention.alert where state = 'pending' order by next_attempt_at limit ${MOST}) x`,
          [at],
        ),
        queueStatement(orderReview, services.settings.orders, services.clock()),
        ...watchStatements(services.policies),
      ],
      { readOnly: true, timeoutMs: answerTimeoutMs(STATEMENT_MS) },
    );
  return { bounds: bounds.map((b) => Number(b.bound)), deleted, runs, last, open, queue, watch };
}
