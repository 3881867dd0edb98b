/**
 * GET /api/health. Without a secret, for load balancers: 200 or 503 and no detail, from an answer of the last few
 * seconds, so that asking often costs the database nothing. With METRICS_TOKEN or CRON_SECRET: every check with its
 * latency and, where it fails, what to do. 503 only when nothing can run; the rest is `degraded` and a 200.
 */

import { RequestError } from '../errors';
import { answerError, answerJson } from '../http/answer';
import { isBearer } from '../http/authorize';
import { correlationOf } from '../http/correlation';
import { type Services, services } from '../services';
import { check, type Probe } from './probe';
import { allProbes, databaseProbe, redisProbe } from './probes';

/** As long as a load balancer waits between two questions; one question an instance in that time. */
const CACHED_MS = 5_000;

type Handler = (request: Request) => Promise<Response>;

export function healthRoute(
  provide: () => Services = services,
  nowMs: () => number = () => performance.now(),
): Handler {
  let cached: { readonly untilMs: number; readonly healthy: Promise<boolean> } | undefined;
  const healthy = (): Promise<boolean> => {
    if (!cached || nowMs() >= cached.untilMs)
      cached = { untilMs: nowMs() + CACHED_MS, healthy: shallow(provide) };
    return cached.healthy;
  };
  return async (request) => {
    const correlationId = correlationOf(request);
    try {
      if (!request.headers.has('authorization')) {
        return (await healthy())
          ? answerJson({ status: 'ok' }, correlationId)
          : answerJson({ status: 'unavailable' }, correlationId, 503);
      }
      if (![process.env.METRICS_TOKEN, process.env.CRON_SECRET].some((secret) => isBearer(request, secret))) {
        throw new RequestError(
          401,
          'unauthorized',
          'send Authorization: Bearer <METRICS_TOKEN or CRON_SECRET> for details, or no such header',
        );
      }
      return await details(provide(), correlationId);
    } catch (error) {
      return answerError(error, correlationId);
    }
  };
}

async function shallow(provide: () => Services): Promise<boolean> {
  try {
    const s = provide();
    const checks = await Promise.all([databaseProbe(s), redisProbe(s)].map((p) => check(p)));
    return checks.every((c) => c.status === 'ok');
  } catch {
    // A setting is missing or wrong; the log of the start and the details name it.
    return false;
  }
}

async function details(s: Services, correlationId: string): Promise<Response> {
  const probes = allProbes(s);
  const checks = await Promise.all(probes.map((p) => check(p)));
  const failed = (p: Probe): boolean => checks.some((c) => c.name === p.name && c.status === 'failed');
  const status = probes.some((p) => p.required && failed(p))
    ? 'unavailable'
    : probes.some(failed)
      ? 'degraded'
      : 'ok';
  return answerJson({ status, checks }, correlationId, status === 'unavailable' ? 503 : 200);
}
