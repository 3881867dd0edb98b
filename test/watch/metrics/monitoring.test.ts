/** The rules and the dashboard of docs/monitoring speak of what /api/metrics really serves. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Visit } from '@/lib/http/door';
import { metricsRoute } from '@/lib/http/metrics-route';
import type { Services } from '@/lib/services';
import { attend } from '@/lib/watch/attend';
import { watchBacklog } from '@/lib/watch/backlog/watch-backlog';
import { expectedOf } from '@/lib/watch/expected';
import { lookForLateRuns } from '@/lib/watch/look';
import { measureQuality } from '@/lib/watch/quality/job';
import { DAY, type Engine, engine, govern, NOW, runRequest, things } from '@/test/support/engine';

const CASES = ['docs/monitoring/alerts.test.yml', 'docs/monitoring/alerts.days.test.yml'];
const rules = readFileSync('docs/monitoring/alerts.yml', 'utf8');
const cases = CASES.map((file) => readFileSync(file, 'utf8')).join('\n');
const dashboard = JSON.parse(readFileSync('docs/monitoring/dashboard.json', 'utf8')) as {
  panels: { title: string; targets?: { expr: string; legendFormat: string }[] }[];
};
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

const visit = (services: Services): Visit => ({
  ...runRequest(NOW),
  services,
  parameters: { dryRun: false },
  schedule: null,
});

let e: Engine;
let scrape: string;
/** Labels of each served metric, each with its served values. */
const served = new Map<string, Map<string, Set<string>>>();

beforeAll(async () => {
  e = await engine();
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY, 1 * DAY]);
  await e.run(policy);
  const services = { ...e.services, policies: [policy] };
  await measureQuality(services, runRequest(NOW));
  const tomorrow = new Date(NOW.getTime() + DAY * 1_000);
  await watchBacklog(services, runRequest(NOW));
  // How much is deleted a day shows from the second day on.
  await watchBacklog({ ...services, clock: () => tomorrow }, runRequest(tomorrow));
  await attend(expectedOf(policy), [], visit(services), () => e.run(policy));
  await lookForLateRuns(services, { force: true });
  await e.db.sql(
    "insert into retention.erasure (scope, subject, reason, requested_by) values ('user', 'u', 'request 1', 'ann')",
  );
  vi.stubEnv('METRICS_TOKEN', 'a-token-of-the-scraper');
  const answer = await metricsRoute(() => services)(
    new Request('http://localhost/api/metrics', {
      headers: { authorization: 'Bearer a-token-of-the-scraper' },
    }),
  );
  scrape = await answer.text();
  for (const [, metric, labels] of scrape.matchAll(/^(retention_\w+)(?:\{(.*)\})? /gm)) {
    const known = served.get(metric!) ?? new Map<string, Set<string>>();
    for (const [, label, value] of (labels ?? '').matchAll(/(\w+)="([^"]*)"/g)) {
      known.set(label!, (known.get(label!) ?? new Set()).add(value!));
    }
    served.set(metric!, known);
  }
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await e.stop();
});

/** One expression a line, as the file has it. */
const expressions = [...rules.matchAll(/^\s+expr: (.*)$/gm)].map((m) => m[1]!);
const targets = dashboard.panels.flatMap((p) => p.targets ?? []);
/** Labels whose values are the installation's own. */
const OWN = ['policy', 'plan', 'subject', 'name'];

/** What of an expression is not served: metrics, labels of theirs, values of those labels. */
function unserved(expr: string): string[] {
  const wrong: string[] = [];
  const labelsHere = new Set<string>();
  for (const [, metric, selector = ''] of expr.matchAll(/\b(retention_\w+)(?:\{([^}]*)\})?/g)) {
    const labels = served.get(metric!);
    if (!labels) {
      wrong.push(metric!);
      continue;
    }
    for (const label of labels.keys()) labelsHere.add(label);
    for (const [, label, how, value] of selector.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)) {
      const values = labels.get(label!);
      if (!values) wrong.push(`${metric}{${label}}`);
      else if (!OWN.includes(label!)) {
        const wanted = how!.endsWith('~') ? value!.split('|') : [value!];
        wrong.push(...wanted.filter((v) => !values.has(v)).map((v) => `${metric}{${label}="${v}"}`));
      }
    }
  }
  for (const [, list] of expr.matchAll(/\b(?:by|on|without) \(([^)]*)\)/g)) {
    wrong.push(
      ...list!
        .split(',')
        .map((l) => l.trim())
        .filter((l) => !labelsHere.has(l)),
    );
  }
  return wrong;
}

it('every metric, label and value of the rules and the dashboard is one that a scrape serves', () => {
  expect(expressions.length).toBe([...rules.matchAll(/- (alert|record):/g)].length);
  expect(targets.length).toBeGreaterThan(10);
  expect([...expressions, ...targets.map((t) => t.expr)].flatMap(unserved)).toEqual([]);
});

it('finds a metric, a label and a value that are not served', () => {
  expect(unserved('retention_nothing > 0')).toEqual(['retention_nothing']);
  expect(unserved('retention_orders{kind="x"}')).toEqual(['retention_orders{kind}']);
  expect(unserved('retention_orders{queue="in_revue"}')).toEqual(['retention_orders{queue="in_revue"}']);
  expect(unserved('sum by (plan) (retention_orders)')).toEqual(['plan']);
});

it('legends name labels their expression has', () => {
  for (const { expr, legendFormat } of targets) {
    const kept = /\bby \(([^)]*)\)/
      .exec(expr)?.[1]
      ?.split(',')
      .map((l) => l.trim());
    const metric = /retention_\w+/.exec(expr)![0];
    const labels = kept ?? [...served.get(metric)!.keys()];
    const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map((m) => m[1]!);
    expect(
      named.filter((l) => !labels.includes(l)),
      expr,
    ).toEqual([]);
  }
});

it('every served metric is on the dashboard or in a rule', () => {
  const text = [...expressions, ...targets.map((t) => t.expr)].join('\n');
  const families = new Set([...served.keys()].map((m) => m.replace(/_(bucket|sum|count)$/, '')));
  // The start of any run, also of one that did nothing: for looking things up, not for watching.
  expect([...families].filter((m) => !text.includes(m))).toEqual(['retention_last_run_timestamp_seconds']);
});

it('every alert has a case in which it fires and says so', () => {
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map((m) => m[1]!);
  const fires = [...cases.matchAll(/alertname: (\w+)\n\s+exp_alerts:\n/g)].map((m) => m[1]!);
  expect(alerts.filter((a) => !fires.includes(a))).toEqual([]);
  const stays = [...cases.matchAll(/alertname: (\w+), exp_alerts: \[\]/g)].map((m) => m[1]!);
  // A series that is 1 or is not: nothing lies between.
  expect(alerts.filter((a) => !stays.includes(a))).toEqual(['RetentionRunTooLong', 'RetentionRunLong']);
});

const promtool = (args: string[], input?: string) => {
  const { status, stdout, stderr } = spawnSync('promtool', args, {
    encoding: 'utf8',
    timeout: 60_000,
    ...(input ? { input } : {}),
  });
  return { status, says: `${stdout}${stderr}` };
};

it.runIf(hasPromtool)('promtool finds nothing wrong with a scrape', () => {
  expect(promtool(['check', 'metrics'], scrape)).toEqual({ status: 0, says: '' });
});
