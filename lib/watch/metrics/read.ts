/**
 * What a scrape reads: running totals and small indexed sets of Lapse's own tables, one READ ONLY request, and one for
 * orders, which only the app has been granted. When the database refuses one part, the parts are asked one by one: the
 * others are reported, and the failing one is in the log and in the metrics by its name.
 */
import type { Database } from '../../platform/database';
import { codeOf, DatabaseError } from '../../platform/errors';
import { WATCH_JOB } from '../../platform/jobs';
import { arrive } from '../../platform/looks';
import type { Answers, Query } from '../../platform/query';
import { ask } from '../../platform/session';
import type { Services } from '../../services';
import { knowing, mayKnow } from '../next-look';
import { type Note, notesIn } from '../quiet';
import { driftQueries } from './drift';
import { erasureQueries } from './erasures';
import { openQueries } from './open';
import { orderQueries } from './orders';
import { qualityQueries } from './quality';
import { runQueries } from './runs';
import { watchQueries, withNotes } from './watch';

/** A scrape that takes longer is given up by Prometheus anyway. */
const LIMITS = { statementMs: 5_000, readOnly: true };

/** Each part stands for itself: what one cannot read is missing, and nothing else. */
const partsOf = (services: Services) => ({
  runs: runQueries(),
  open: openQueries(services.clock()),
  quality: qualityQueries(services.policies),
  drift: driftQueries(),
  erasures: erasureQueries(services.clock()),
  watch: watchQueries(services),
  ...(services.orderReview ? { orders: orderQueries(services) } : {}),
});
type Parts = ReturnType<typeof partsOf>;

/** What each part answered; undefined where it could not be read. */
type Read = { readonly [P in keyof Parts]?: Answers<NonNullable<Parts[P]>> };

export interface Readings extends Read {
  /** 1 for a part that could not be read this time. */
  readonly failed: Readonly<Record<string, 0 | 1>>;
}

/** Throws when the database did not answer at all, or every part fails: then there is nothing to tell. */
export async function readMetrics(services: Services): Promise<Readings> {
  const parts = partsOf(services);
  const read = await readTogether(services, parts).catch((error) => readApart(services, parts, error));
  const failed = Object.keys(parts).map((part) => [part, part in read ? 0 : 1]);
  const { watch } = read;
  const notes = watch && mayKnow(services) ? await notesOf(services) : null;
  return {
    ...read,
    ...(watch && notes ? { watch: withNotes(watch, notes) } : {}),
    failed: Object.fromEntries(failed),
  };
}

/** Without Redis there is only what PostgreSQL was told. */
async function notesOf(services: Services): Promise<Map<string, Note> | null> {
  const known = await arrive(services.redis, WATCH_JOB, knowing(services, services.clock()));
  return known && notesIn(known);
}

type Queries = Readonly<Record<string, Query<unknown> | undefined>>;

/** Orders are the business's; the rest is Lapse's own, for readers. */
const connectionOf = (services: Services, called: string): Database =>
  called.startsWith('orders') ? services.database : services.reading;

async function readTogether(services: Services, parts: Parts): Promise<Read> {
  const all = Object.entries<Queries>(parts).flatMap(([part, queries]) =>
    Object.entries(queries).map(([called, query]) => [`${part}.${called}`, query] as const),
  );
  const asked = [services.reading, services.database].map((database, i, both) => {
    const own = all.filter(([called]) => both.indexOf(connectionOf(services, called)) === i);
    return own.length === 0 ? {} : ask(database, Object.fromEntries(own), LIMITS);
  });
  const answers: Record<string, unknown> = Object.assign({}, ...(await Promise.all(asked)));
  const ofPart = ([part, queries]: [string, Queries]) => [
    part,
    Object.fromEntries(Object.keys(queries).map((called) => [called, answers[`${part}.${called}`]])),
  ];
  return Object.fromEntries(Object.entries<Queries>(parts).map(ofPart)) as Read;
}

async function readApart(services: Services, parts: Parts, error: unknown): Promise<Read> {
  if (!(error instanceof DatabaseError) || error.sqlState === null) throw error;
  const read: Record<string, unknown> = {};
  for (const [part, queries] of Object.entries<Queries>(parts)) {
    try {
      read[part] = await ask(connectionOf(services, part), queries, LIMITS);
    } catch (failed) {
      services.log.error(
        { event: 'metrics.part_failed', script: 'metrics', part, error_code: codeOf(failed) },
        `${part} is missing from the metrics: ${failed instanceof DatabaseError ? failed.message : codeOf(failed)}`,
      );
    }
  }
  if (Object.keys(read).length === 0) throw error;
  return read as Read;
}
