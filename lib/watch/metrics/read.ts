/**
 * What a scrape reads: running totals and small indexed sets of Lapse's own tables, one READ ONLY request. Nothing
 * here grows with the number of runs or of business rows: totals are kept by the end of each run, and every
 * count stops at its bound. When the database refuses one part, the parts are asked one by one: the others are
 * told, and the failing one is in the log and in the metrics by its name.
 */

import { queueStatement } from '../../orders/queue';
import type { Row, Statement } from '../../platform/database';
import { codeOf, DatabaseError } from '../../platform/errors';
import { askRows } from '../../platform/session';
import type { Services } from '../../services';
import { latestMeasurements } from '../quality/store';
import { type WatchReadings, watchStatements } from './watch';

/** A scrape that takes longer is given up by Prometheus anyway. */
const LIMITS = { statementMs: 5_000, readOnly: true };
/** Entries counted at most of each kind: beyond it the exact number changes nothing. */
const MOST = 10_000;

export interface Readings {
  readonly bounds: readonly number[];
  readonly deleted: Row[];
  readonly runs: Row[];
  readonly last: Row[];
  readonly open: Row[];
  readonly quality: Row[];
  /** Null where no order review is declared, and where its part failed. */
  readonly queue: Row[] | null;
  readonly watch: WatchReadings;
  /** 1 for a part that could not be read this time. */
  readonly parts: Readonly<Record<string, 0 | 1>>;
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

const plain = (text: string, params: string[] = []): Statement => ({ text, params });

/** Each part stands for itself: what one cannot read is missing, and nothing else. */
function partsOf(services: Services): Record<string, Statement[]> {
  const { policies, orderReview, settings, clock } = services;
  return {
    runs: [
      plain('select unnest(retention.run_bounds())::float8 as bound'),
      plain('select policy, plan, deleted::float8, bytes::float8 from retention.deleted_total'),
      plain('select policy, mode, outcome, runs::float8, seconds, buckets::text[] from retention.run_total'),
      plain(`select policy, sla_status, seconds, extract(epoch from started_at)::float8 as started,
        extract(epoch from completed_at)::float8 as completed from retention.last_run`),
    ],
    open: [plain(waiting, [clock().toISOString()])],
    quality: [latestMeasurements(policies.map((p) => p.name))],
    watch: watchStatements(services),
    ...(orderReview ? { orders: [queueStatement(orderReview, settings.orders, clock())] } : {}),
  };
}

export async function readMetrics(services: Services): Promise<Readings> {
  const parts = partsOf(services);
  const read = await readTogether(services, parts).catch((error) => readApart(services, parts, error));
  const [bounds = [], deleted = [], runs = [], last = []] = read.runs ?? [];
  return {
    bounds: bounds.map((b) => Number(b.bound)),
    deleted,
    runs,
    last,
    open: read.open?.[0] ?? [],
    quality: read.quality?.[0] ?? [],
    queue: read.orders?.[0] ?? null,
    watch: read.watch ?? [],
    parts: Object.fromEntries(Object.keys(parts).map((part) => [part, read[part] ? 0 : 1])),
  };
}

type Read = Partial<Record<string, Row[][]>>;

async function readTogether(services: Services, parts: Record<string, Statement[]>): Promise<Read> {
  const rows = await askRows(services.database, Object.values(parts).flat(), LIMITS);
  let next = 0;
  return Object.fromEntries(
    Object.entries(parts).map(([part, statements]) => {
      next += statements.length;
      return [part, rows.slice(next - statements.length, next)];
    }),
  );
}

/** Throws when the database did not answer at all, or every part fails: then there is nothing to tell. */
async function readApart(
  services: Services,
  parts: Record<string, Statement[]>,
  error: unknown,
): Promise<Read> {
  if (!(error instanceof DatabaseError) || error.sqlState === null) throw error;
  const read: Read = {};
  for (const [part, statements] of Object.entries(parts)) {
    try {
      read[part] = await askRows(services.database, statements, LIMITS);
    } catch (failed) {
      services.log.error(
        { event: 'metrics.part_failed', script: 'metrics', part, error_code: codeOf(failed) },
        `${part} is missing from the metrics: ${failed instanceof DatabaseError ? failed.message : codeOf(failed)}`,
      );
    }
  }
  if (Object.keys(read).length === 0) throw error;
  return read;
}
