import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Database, Statement } from '@/lib/database';
import { readMetrics } from '@/lib/metrics/read';
import { metricsRoute } from '@/lib/metrics/route';
import { DAY, type Engine, engine, govern, things } from '@/test/support/engine';

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

const scrape = async (token = 'a-token-of-the-scraper') =>
  metricsRoute(() => e.services)(
    new Request('http://localhost/api/metrics', { headers: { authorization: `Bearer ${token}` } }),
  );

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
  const database: Database = {
    transaction: (statements, options) => {
      sent.push(...statements);
      return e.services.database.transaction(statements, options);
    },
  };
  await readMetrics({ ...e.services, database });
  const read = new Set<string>();
  for (const s of sent.slice(1)) {
    const [row] = await e.db.sql(`explain (format json, verbose) ${s.text}`, s.params);
    for (const m of JSON.stringify(row).matchAll(/"Relation Name":"(\w+)"/g)) read.add(m[1]!);
  }
  expect([...read].sort()).toEqual([
    'alert',
    'backlog',
    'dead_letter',
    'deleted_total',
    'forecast',
    'incident',
    'last_run',
    'orders',
    'outbox',
    'refund_intent',
    'run_total',
    'watch_turn',
    'watched',
  ]);
});

it('opens to its own token and to the cron secret, and to nobody else', async () => {
  expect((await scrape('a-secret-of-the-tests')).status).toBe(200);
  expect((await scrape('something-else-entirely')).status).toBe(401);
  vi.stubEnv('METRICS_TOKEN', '');
  expect((await scrape('')).status).toBe(401);
});
