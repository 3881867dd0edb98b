/**
 * What a scrape reads: running totals and small indexed sets of Lapse's own tables, one READ ONLY request. Nothing
 * here grows with the number of runs or of business rows: totals are kept by the end of each run, and every
 * count stops at its bound.
 */
import { answerTimeoutMs, session } from '../batch/session';
import type { Row } from '../database';
import { orderReview } from '../orders/order-review';
import { queueStatement } from '../orders/queue';
import { latestMeasurements } from '../quality/store';
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
  readonly quality: Row[];
  readonly queue: Row[];
  readonly watch: WatchReadings;
}

/** Counts stop at MOST; the oldest is the oldest of all, by an index of its own. */
const waitingOf = (what: string, from: string, since: string): string =>
  `select '${what}' as what, (select count(*) from (select 1 from ${from} limit ${MOST}) x)::float8 as n,
    coalesce(extract(epoch from $1::timestamptz - (select ${since} from ${from} order by ${since} limit 1)), 0)::float8 as age`;
const waiting = [
  waitingOf('dead_letters', `retention.dead_letter where state = 'open'`, 'created_at'),
  waitingOf('outbox', `retention.outbox where state in ('pending', 'deleting')`, 'created_at'),
  waitingOf('outbox_dead', `retention.outbox where state = 'dead'`, 'updated_at'),
  waitingOf('alerts', `retention.alert where state = 'pending'`, 'created_at'),
].join(' union all ');

export async function readMetrics(services: Services): Promise<Readings> {
  const at = services.clock().toISOString();
  const plain = (text: string, params: string[] = []) => ({ text, params });
  const [, bounds = [], deleted = [], runs = [], last = [], open = [], quality = [], queue = [], ...watch] =
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
        plain(waiting, [at]),
        latestMeasurements(services.policies.map((p) => p.name)),
        queueStatement(orderReview, services.settings.orders, services.clock()),
        ...watchStatements(services.policies),
      ],
      { readOnly: true, timeoutMs: answerTimeoutMs(STATEMENT_MS) },
    );
  return { bounds: bounds.map((b) => Number(b.bound)), deleted, runs, last, open, quality, queue, watch };
}
