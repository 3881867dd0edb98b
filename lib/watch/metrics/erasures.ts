/** Requests to erase that are under way: how many, how old, and when the first of them is due. */
import { z } from 'zod';
import { type Answers, query, rows } from '../../platform/query';
import { sql } from '../../platform/sql';
import { underWay } from '../../rights/clock';
import { UNDER_WAY } from '../../rights/store';
import type { Meters } from './meters';

const Open = z.object({ state: z.string(), count: z.number(), age: z.number(), left: z.number() });

export const erasureQueries = (now: Date) => ({
  open: query(
    sql`select state, count(*)::float8 as count,
        extract(epoch from ${now.toISOString()}::timestamptz - min(requested_at))::float8 as age,
        extract(epoch from min(due_at) - ${now.toISOString()}::timestamptz)::float8 as "left"
      from retention.erasure where ${underWay(sql`state`)} group by state`,
    rows(Open),
  ),
});

export function renderErasures(meters: Meters, { open }: Answers<ReturnType<typeof erasureQueries>>): void {
  const count = meters.gauge('retention_erasures_open', 'Requests to erase that are under way.', ['state']);
  for (const state of UNDER_WAY) count.set({ state }, open.find((o) => o.state === state)?.count ?? 0);
  const oldest = meters.gauge('retention_erasure_oldest_seconds', 'Age of the oldest of them.');
  oldest.set(Math.max(0, ...open.map((o) => o.age)));
  if (open.length === 0) return;
  const due = meters.gauge(
    'retention_erasure_due_seconds',
    'Until the first of them is due; below zero: it is late.',
  );
  due.set(Math.min(...open.map((o) => o.left)));
}
