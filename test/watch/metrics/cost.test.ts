/**
 * What a scrape reads, counted by PostgreSQL: shared buffers of each statement with one run on record and with very
 * many. TEST_RUN_RECORDS=1000000 gives the figures of docs/MONITORING.md; the suite asks for fewer, in a second.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Database, Statement } from '@/lib/platform/database';
import { policies } from '@/lib/policies';
import { readMetrics } from '@/lib/watch/metrics/read';
import { measureQuality } from '@/lib/watch/quality/job';
import { DAY, type Engine, engine, govern, NOW, runRequest, things } from '@/test/support/engine';

const MANY = Number(process.env.TEST_RUN_RECORDS ?? 10_000);
let e: Engine;
beforeAll(async () => {
  e = await engine();
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY]);
  await e.run(policy);
  await measureQuality({ ...e.services, policies: [policy] }, runRequest(NOW));
});
afterAll(() => e.stop());

/** Shared buffers touched by all statements of one scrape; statistics are as autovacuum leaves them. */
async function buffersOfAScrape(): Promise<number> {
  await e.db.sql('vacuum analyze');
  const sent: Statement[] = [];
  const database: Database = {
    transaction: (statements, options) => {
      sent.push(...statements);
      return e.services.database.transaction(statements, options);
    },
  };
  await readMetrics({ ...e.services, policies, database });
  let buffers = 0;
  for (const s of sent.slice(1)) {
    const [row] = await e.db.sql(
      `explain (analyze, buffers, timing off, summary off, format json) ${s.text}`,
      s.params,
    );
    const [{ Plan: plan }] = Object.values(row!)[0] as [{ Plan: Record<string, number> }];
    buffers += plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
  }
  return buffers;
}

/** Finished runs, and a tenth as many settled files and refunds. */
async function record(runs: number): Promise<void> {
  await e.db.sql(
    `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at,
        outcome, deleted, duration_seconds, sealed_at)
      select gen_random_uuid(), policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of,
        started_at - make_interval(mins => i), finished_at - make_interval(mins => i), outcome, deleted, duration_seconds, sealed_at
      from (select * from retention.run limit 1) r, generate_series(1, $1::int) i`,
    [runs],
  );
  await e.db.sql(
    `insert into retention.outbox (run, seq, policy, table_name, row_key, url, state)
      select r.id, 1, 'things', 'public.things', i::text, 'f/' || i, 'deleted'
      from (select id from retention.run limit 1) r, generate_series(1, ceil($1::float8 / 10)::int) i`,
    [runs],
  );
  await e.db.sql(
    `insert into retention.refund_intent (order_key, payment, amount, currency, requested_by, reason, state, refund_id, next_attempt_at, claimed_at)
      select x, 'p', 1, 'eur', 'watch', 'late', 'succeeded', x, now(), now()
      from generate_series(1, ceil($1::float8 / 10)::int) i, format('%s-%s', $1, i) x`,
    [runs],
  );
  await e.db.sql(`update retention.run_total set runs = runs + $1 where policy = 'things'`, [runs]);
}

it('reads the same with one run on record as with very many, with settled files and refunds', async () => {
  // Each is counted when it ends; a million at once would only take long.
  await e.db.sql('alter table retention.run disable trigger user');
  await record(1);
  const one = await buffersOfAScrape();
  await record(MANY);
  const many = await buffersOfAScrape();
  if (process.env.TEST_RUN_RECORDS) console.log({ runs: MANY, buffersWithOne: one, buffersWithMany: many });
  expect(one).toBeGreaterThan(0);
  expect(many).toBe(one);
}, 600_000);
