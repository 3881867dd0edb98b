import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Handler } from '@/lib/http/answered';
import { auditRoute, cleanupRoute } from '@/lib/http/audit-routes';
import { cronRoute } from '@/lib/http/cron-route';
import { erasureRoute } from '@/lib/http/erasure-route';
import { healthRoute } from '@/lib/http/health-route';
import { jobRoute } from '@/lib/http/job-route';
import { metricsRoute } from '@/lib/http/metrics-route';
import { controlRoute } from '@/lib/http/operator-route';
import { ordersRoute } from '@/lib/http/orders-route';
import { qualityRoute } from '@/lib/http/quality-report';
import { LapseError } from '@/lib/platform/errors';
import { createLog } from '@/lib/platform/log';
import { createServices, type Services } from '@/lib/services';
import { thingsPolicy } from '@/test/support/engine';
import { OPERATORS, TOKENS } from '@/test/support/operators';
import { REVIEW } from '@/test/support/order-review';

const captured: unknown[] = [];
vi.mock('@/lib/platform/sentry', async (original) => ({
  ...(await original<typeof import('@/lib/platform/sentry')>()),
  // That the watch over other runs fails as well is a report of its own.
  capture: (error: unknown, about: { code?: string }) => {
    if (about.code !== 'watch.failed') captured.push(error);
  },
}));

const SECRET = 'a-secret-of-the-tests';
const METRICS = 'a-token-of-the-scraper';
const lines: Record<string, unknown>[] = [];
let services: Services;

beforeEach(() => {
  captured.length = 0;
  lines.length = 0;
  vi.stubEnv('CRON_SECRET', SECRET);
  vi.stubEnv('METRICS_TOKEN', METRICS);
  const down = () => Promise.reject(new LapseError('database.fatal', 'the database is away'));
  const made = createServices({
    DATABASE_URL: 'postgresql://a:b@host.example/db',
    UPSTASH_REDIS_REST_URL: 'https://redis.example',
    UPSTASH_REDIS_REST_TOKEN: 'token',
    CRON_SECRET: SECRET,
    VERCEL_ENV: 'production',
    LAPSE_OPERATORS: OPERATORS,
    LOG_LEVEL: 'silent',
  });
  services = {
    ...made,
    policies: [thingsPolicy()],
    orderReview: REVIEW,
    database: { transaction: down },
    redis: { prefix: 'x:', eval: down, get: down, mget: down },
    log: createLog({
      level: 'debug',
      destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    }),
  };
});

const provide = () => services;
const json = { 'content-type': 'application/json' };
const operator = { authorization: `Bearer ${TOKENS.alice}` };
const body = (value: unknown) => ({ method: 'POST', body: JSON.stringify(value) });
const ROUTES: [string, Handler, Record<string, string>, RequestInit?, string?][] = [
  [
    'a job',
    jobRoute('erasures', () => services.database.transaction([], { timeoutMs: 1 }) as never, provide).GET,
    { authorization: `Bearer ${SECRET}` },
  ],
  ['metrics', metricsRoute(provide), { authorization: `Bearer ${METRICS}` }],
  ['control, looking', controlRoute(provide).GET, operator],
  [
    'control, acting',
    controlRoute(provide).POST,
    { ...operator, ...json },
    body({ action: 'all.stop', reason: 'x' }),
  ],
  ['orders', ordersRoute(provide).GET, operator],
  ['the chain', auditRoute('entries', provide), operator],
  ['the cleanup report', cleanupRoute(provide), operator, {}, '?from=2026-01-01&to=2026-02-01'],
  ['the quality report', qualityRoute(provide), operator],
  ['erasures, listing', erasureRoute(provide).GET, operator],
  [
    'an erasure',
    erasureRoute(provide).POST,
    { ...operator, ...json },
    body({ user: randomUUID(), reason: 'request 12' }),
  ],
];

describe('a request that fails', () => {
  it.each(ROUTES)(
    'to %s is in the log under the id of its answer, and at Sentry once',
    async (_, route, headers, init = {}, query = '') => {
      const response = await route(new Request(`https://lapse.test/x${query}`, { ...init, headers }));
      expect(response.status).toBe(500);
      const id = response.headers.get('x-correlation-id');
      expect((await response.json()) as unknown).toMatchObject({ error: { correlationId: id } });
      expect(lines.filter((l) => l.level === 'error' && l.correlation_id === id)).toHaveLength(1);
      expect(captured).toHaveLength(1);
    },
  );

  it('of a policy is in the log under the id of its answer, and at Sentry once', async () => {
    const { GET } = cronRoute('things', provide);
    const response = await GET(
      new Request('https://lapse.test/x', { headers: { authorization: `Bearer ${SECRET}` } }),
    );
    expect(response.status).toBe(500);
    const id = response.headers.get('x-correlation-id');
    expect(lines.some((l) => l.level === 'error' && l.correlation_id === id)).toBe(true);
  });

  it('of the health check leaves what failed in the log, with and without details', async () => {
    for (const headers of [new Headers(), new Headers({ authorization: `Bearer ${METRICS}` })]) {
      lines.length = 0;
      const response = await healthRoute(provide)(new Request('https://lapse.test/api/health', { headers }));
      expect(response.status).toBe(503);
      const id = response.headers.get('x-correlation-id');
      const checks = lines.filter((l) => l.correlation_id === id).map((l) => l.check);
      expect(checks).toEqual(expect.arrayContaining(['database', 'redis']));
    }
  });
});

describe('a request that is refused', () => {
  it('is in the log with its reason, and never at Sentry', async () => {
    const response = await auditRoute(
      'nothing',
      provide,
    )(new Request('https://lapse.test/x', { headers: operator }));
    expect(response.status).toBe(404);
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'info',
        event: 'request.refused',
        error_code: 'unknown_view',
        correlation_id: response.headers.get('x-correlation-id'),
      }),
    );
    expect(captured).toEqual([]);
  });

  it('from a stranger costs Redis and the database nothing, however often', async () => {
    let asked = 0;
    const count = () => {
      asked += 1;
      return Promise.resolve(null as never);
    };
    services = {
      ...services,
      database: { transaction: count },
      redis: { prefix: 'x:', eval: count, get: count, mget: count },
    };
    for (const [, route] of ROUTES) {
      const statuses = new Set<number>();
      for (let i = 0; i < 40; i += 1) {
        const response = await route(
          new Request('https://lapse.test/x', { headers: { authorization: 'Bearer some-token-nobody-has' } }),
        );
        statuses.add(response.status);
      }
      expect([...statuses].every((s) => s === 401 || s === 429)).toBe(true);
    }
    expect(asked).toBe(0);
  });
});
