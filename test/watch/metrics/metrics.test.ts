import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { metricsRoute } from '@/lib/http/metrics-route';
import type { Database, Statement } from '@/lib/platform/database';
import { createLog } from '@/lib/platform/log';
import { readMetrics } from '@/lib/watch/metrics/read';
import { measureQuality } from '@/lib/watch/quality/job';
import { DAY, type Engine, engine, govern, NOW, runRequest, things } from '@/test/support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
  vi.stubEnv('CRON_SECRET', 'a-secret-of-the-tests');
  vi.stubEnv('METRICS_TOKEN', 'a-token-of-the-scraper');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await e.stop();
});

const authorized = (token = 'a-token-of-the-scraper') =>
  new Request('http://localhost/api/metrics', { headers: { authorization: `Bearer ${token}` } });
const scrape = async (token?: string) => metricsRoute(() => e.services)(authorized(token));

it('counts what was deleted by policy and label; a dry run shows as a run and never as a deletion', async () => {
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY, 1 * DAY]);
  await e.run(policy, { dryRun: true });
  expect(await (await scrape()).text()).not.toMatch(/^retention_deletes_total\{/m);
  await e.run(policy);
  const text = await (await scrape()).text();
  expect(text).toContain('retention_deletes_total{policy="things",plan="all"} 3\n');
  expect(text).toContain(
    'retention_cleanup_runs_total{policy="things",outcome="succeeded",mode="delete"} 1\n',
  );
  expect(text).toContain(
    'retention_cleanup_runs_total{policy="things",outcome="succeeded",mode="dry_run"} 1\n',
  );
  expect(text).toMatch(/^retention_cleanup_seconds_bucket\{policy="things",mode="delete",le="\+Inf"\} 1$/m);
  expect(text).toMatch(/^retention_cleanup_seconds_count\{policy="things",mode="delete"\} 1$/m);
  expect(text).toMatch(/^retention_run_sla\{policy="things",sla_status="within_sla"\} 1$/m);
});

it('tells the age of the oldest file that waits, also when more wait than are counted', async () => {
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY]);
  await e.run(policy);
  // The oldest is the one to be tried last.
  await e.db.sql(
    `insert into retention.outbox (run, seq, policy, table_name, row_key, url, next_attempt_at, created_at)
      select r.id, 1, 'things', 'public.things', i::text, 'f/' || i, $1::timestamptz - make_interval(secs => i), $1::timestamptz - make_interval(secs => 10002 - i)
      from (select id from retention.run limit 1) r, generate_series(1, 10001) i`,
    [NOW.toISOString()],
  );
  const text = await (await scrape()).text();
  expect(text).toContain('retention_open_entries{kind="outbox"} 10000\n');
  expect(text).toContain('retention_open_oldest_seconds{kind="outbox"} 10001\n');
});

it('tells what a measurement of the data found, by policy', async () => {
  const policy = await govern(e.db);
  await things(e.db, [DAY, null]);
  e = { ...e, services: { ...e.services, policies: [policy] } };
  await measureQuality(e.services, runRequest(NOW));
  const text = await (await scrape()).text();
  expect(text).toContain(
    'retention_quality_findings{policy="things",measure="completeness",status="breached"} 1\n',
  );
  expect(text).toContain(
    'retention_quality_findings{policy="things",measure="timeliness",status="breached"} 0\n',
  );
  expect(text).toContain(
    'retention_quality_share{policy="things",measure="completeness",subject="at"} 0.5\n',
  );
  expect(text).toContain(`retention_quality_timestamp_seconds{policy="things"} ${NOW.getTime() / 1000}\n`);
});

it('tells how many erasures are under way, how old the oldest is and when the first is due', async () => {
  expect(await (await scrape()).text()).toContain('retention_erasures_open{state="open"} 0\n');
  expect(await (await scrape()).text()).not.toMatch(/^retention_erasure_due_seconds \d/m);
  await e.db.sql(
    `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, due_at, state, finished_at)
      select 'user', i::text, 'r', 'ann', $1::timestamptz - make_interval(days => i), $1::timestamptz + make_interval(days => 30 - i),
        case i when 32 then 'done' when 31 then 'requested' else 'open' end, case i when 32 then $1::timestamptz end
      from unnest(array[3, 31, 32, 29]) i`,
    [NOW.toISOString()],
  );
  const text = await (await scrape()).text();
  expect(text).toContain('retention_erasures_open{state="requested"} 1\n');
  expect(text).toContain('retention_erasures_open{state="confirmed"} 0\n');
  expect(text).toContain('retention_erasures_open{state="open"} 2\n');
  expect(text).toContain(`retention_erasure_oldest_seconds ${31 * DAY}\n`);
  expect(text).toContain(`retention_erasure_due_seconds ${-DAY}\n`);
});

it('each line is a comment or a sample, and every sample has its type', async () => {
  await e.run(await govern(e.db));
  const lines = (await (await scrape()).text()).split('\n').filter(Boolean);
  const typed = new Set(lines.flatMap((l) => /^# TYPE (\S+)/.exec(l)?.[1] ?? []));
  for (const line of lines.filter((l) => !l.startsWith('#'))) {
    const name = /^([a-z_]+)(\{([a-z_]+="[^"]*",?)+\})? -?[\d.e+-]+$/.exec(line)?.[1];
    expect(name, line).toBeDefined();
    expect(typed.has(name!) || typed.has(name!.replace(/_(bucket|sum|count)$/, '')), line).toBe(true);
  }
});

it('reads no table that grows with the history: neither runs nor receipts nor governed rows', async () => {
  const sent: Statement[] = [];
  const seen = (database: Database): Database => ({
    transaction: (statements, options) => {
      sent.push(...statements);
      return database.transaction(statements, options);
    },
  });
  const { database, reading } = e.services;
  await readMetrics({ ...e.services, database: seen(database), reading: seen(reading) });
  const read = new Set<string>();
  for (const s of sent) {
    const [row] = await e.db.sql(`explain (format json, verbose) ${s.text}`, s.params);
    for (const m of JSON.stringify(row).matchAll(/"Relation Name":"(\w+)"/g)) read.add(m[1]!);
  }
  expect([...read].sort()).toEqual([
    'alert',
    'backlog',
    'dead_letter',
    'deleted_total',
    'drift',
    'erasure',
    'forecast',
    'incident',
    'last_run',
    'orders',
    'outbox',
    'quality',
    'refund_intent',
    'run_total',
    'watch_turn',
    'watched',
  ]);
});

it('without an order review no order is read and none is reported', async () => {
  const services = { ...e.services, orderReview: undefined };
  await e.db.sql('drop table public.orders cascade');
  const text = await (await metricsRoute(() => services)(authorized())).text();
  expect(text).toContain('retention_open_entries');
  expect(text).not.toContain('retention_orders');
  expect(text).not.toMatch(/^retention_metrics_part_failed\{.*\} 1$/m);
});

it('a part that fails is named, in the metrics and in the log; the rest is reported', async () => {
  const lines: string[] = [];
  const log = createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
  await e.run(await govern(e.db));
  await e.db.sql('drop table public.orders cascade');
  const answer = await metricsRoute(() => ({ ...e.services, log }))(authorized());
  const text = await answer.text();
  expect(answer.status).toBe(200);
  expect(text).toContain('retention_metrics_part_failed{part="orders"} 1\n');
  expect(text).toContain('retention_metrics_part_failed{part="runs"} 0\n');
  expect(text).toMatch(
    /^retention_cleanup_runs_total\{policy="things",outcome="succeeded",mode="delete"\} 1$/m,
  );
  expect(text).not.toMatch(/^retention_orders/m);
  expect(lines.map((l) => JSON.parse(l))).toMatchObject([{ event: 'metrics.part_failed', part: 'orders' }]);
});

it('a scrape that fails altogether is a 5xx, and in the log under the id of its answer', async () => {
  const lines: string[] = [];
  const log = createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
  await e.db.sql('drop schema retention cascade');
  const answer = await metricsRoute(() => ({ ...e.services, log }))(authorized());
  expect(answer.status).toBe(500);
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({
    event: 'request.failed',
    correlation_id: answer.headers.get('x-correlation-id'),
  });
});

it('opens to its own token and the previous one, and to no other, not even the cron secret', async () => {
  vi.stubEnv('METRICS_TOKEN_PREVIOUS', 'a-token-of-last-month');
  expect((await scrape('a-token-of-last-month')).status).toBe(200);
  expect((await scrape('a-secret-of-the-tests')).status).toBe(401);
  expect((await scrape('something-else-entirely')).status).toBe(401);
  vi.stubEnv('METRICS_TOKEN', '');
  expect((await scrape('')).status).toBe(401);
});
