/** What waits: dead letters, files, alerts. Each count stops at its bound; the oldest is the oldest of all. */
import { z } from 'zod';
import { type Answers, query, rows } from '../../platform/query';
import { constant, raw, type Sql, sql } from '../../platform/sql';
import type { Meters } from './meters';

/** Entries counted at most of each kind: beyond it the exact number changes nothing. */
const MOST = 10_000;

const Waiting = z.object({ kind: z.string(), count: z.number(), age: z.number() });

/** The count by one index, the age by another that is ordered by `since`. */
const waiting = (kind: string, from: Sql, since: Sql, at: string): Sql =>
  sql`select ${kind}::text as kind,
      (select count(*) from (select 1 from ${from} limit ${constant(MOST)}) x)::float8 as count,
      coalesce(extract(epoch from ${at}::timestamptz - (select ${since} from ${from} order by ${since} limit 1)), 0)::float8 as age`;

const createdAt = raw('created_at');

export const openQueries = (now: Date) => {
  const at = now.toISOString();
  return {
    entries: query(
      sql`${waiting('dead_letters', sql`retention.dead_letter where state = 'open'`, createdAt, at)} union all
        ${waiting('outbox', sql`retention.outbox where state in ('pending', 'deleting')`, createdAt, at)} union all
        ${waiting('outbox_dead', sql`retention.outbox where state = 'dead'`, raw('updated_at'), at)} union all
        ${waiting('alerts', sql`retention.alert where state = 'pending'`, createdAt, at)}`,
      rows(Waiting),
    ),
  };
};

export function renderOpen(meters: Meters, { entries }: Answers<ReturnType<typeof openQueries>>): void {
  const count = meters.gauge('retention_open_entries', 'Entries waiting: dead letters, outbox, alerts.', [
    'kind',
  ]);
  const oldest = meters.gauge('retention_open_oldest_seconds', 'Age of the oldest of them.', ['kind']);
  for (const { kind, ...of } of entries) {
    count.set({ kind }, of.count);
    oldest.set({ kind }, Math.max(0, of.age));
  }
}
