/**
 * GET /api/health. Without a secret, for load balancers: 200 or 503 and no detail, from an answer of the last few
 * seconds, so that frequent calls cost the database nothing. With METRICS_TOKEN: every check with its
 * latency and, where it fails, what to do. 503 only when nothing can run; the rest is `degraded` and a 200.
 */

import type { Logger } from 'pino';
import { type Services, services } from '../services';
import { type Check, check, type Probe } from '../watch/health/probe';
import { allProbes, databaseProbe, redisProbe } from '../watch/health/probes';
import { answerJson } from './answer';
import { answered, type Handler } from './answered';
import { authorizeMetrics, warnOfPrevious } from './authorize';

/** The usual interval of a load balancer; within it each instance asks the services once. */
const CACHED_MS = 5_000;

export function healthRoute(
  provide: () => Services = services,
  nowMs: () => number = () => performance.now(),
): Handler {
  let cached: { readonly untilMs: number; readonly healthy: Promise<boolean> } | undefined;
  const healthy = (made: () => Services, correlationId: string): Promise<boolean> => {
    if (!cached || nowMs() >= cached.untilMs)
      cached = { untilMs: nowMs() + CACHED_MS, healthy: shallow(made, correlationId) };
    return cached.healthy;
  };
  return answered('health', provide, async ({ request, services: made, correlationId }) => {
    if (!request.headers.has('authorization')) {
      return (await healthy(made, correlationId))
        ? answerJson({ status: 'ok' }, correlationId)
        : answerJson({ status: 'unavailable' }, correlationId, 503);
    }
    const found = authorizeMetrics(request);
    const s = made();
    warnOfPrevious(found, 'METRICS_TOKEN', s.log.child({ correlation_id: correlationId }));
    return details(s, correlationId);
  });
}

async function shallow(made: () => Services, correlationId: string): Promise<boolean> {
  let s: Services;
  try {
    s = made();
  } catch {
    // A setting is missing or wrong; the start-up log and the details name it.
    return false;
  }
  const checks = await Promise.all([databaseProbe(s), redisProbe(s)].map((p) => check(p)));
  tell(s.log, correlationId, checks);
  return checks.every((c) => c.status === 'ok');
}

async function details(services: Services, correlationId: string): Promise<Response> {
  const probes = allProbes(services);
  const checks = await Promise.all(probes.map((p) => check(p)));
  tell(services.log, correlationId, checks);
  const failed = (p: Probe): boolean => checks.some((c) => c.name === p.name && c.status === 'failed');
  const status = probes.some((p) => p.required && failed(p))
    ? 'unavailable'
    : probes.some(failed)
      ? 'degraded'
      : 'ok';
  return answerJson({ status, checks }, correlationId, status === 'unavailable' ? 503 : 200);
}

/** The failure is in the log under the id of the answer. */
function tell(log: Logger, correlationId: string, checks: readonly Check[]): void {
  for (const c of checks.filter((one) => one.status === 'failed')) {
    log.error(
      { correlation_id: correlationId, script: 'health', event: 'health.failed', check: c.name },
      `${c.name}: ${c.message}`,
    );
  }
}
