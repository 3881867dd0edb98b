/** GET /api/metrics: bearer METRICS_TOKEN or CRON_SECRET. Nothing is read before it has been checked. */
import { LapseError, RequestError } from '../errors';
import { readBreaker } from '../guard/breaker';
import { answerError } from '../http/answer';
import { authorize, isBearer } from '../http/authorize';
import { correlationOf } from '../http/correlation';
import { createLog } from '../log';
import { capture } from '../sentry';
import { type Services, services } from '../services';
import { readMetrics } from './read';
import { renderMetrics } from './render';

function reportFailure(error: unknown, correlationId: string, s: Services | undefined): void {
  capture(error, { correlationId });
  const log = s?.log ?? createLog({ level: 'error' });
  log.error(
    {
      correlation_id: correlationId,
      script: 'metrics',
      event: 'request.failed',
      error_code: error instanceof LapseError ? error.code : 'internal',
    },
    error instanceof LapseError ? error.message : 'unexpected',
  );
}

export const metricsRoute =
  (provide: () => Services = services) =>
  async (request: Request): Promise<Response> => {
    const correlationId = correlationOf(request);
    let s: Services | undefined;
    try {
      if (!isBearer(request, process.env.METRICS_TOKEN)) authorize(request, process.env.CRON_SECRET);
      s = provide();
      const { redis } = s;
      const readings = await readMetrics(s);
      // Without Redis the rest is still worth having: the breakers are missing then.
      const breakers = await Promise.all(
        s.policies.map(async (p) => {
          const state = await readBreaker(redis, p.name).catch(() => null);
          return state && { policy: p.name, open: state.open };
        }),
      );
      const text = await renderMetrics(
        readings,
        breakers.filter((b) => b !== null),
      );
      return new Response(text, {
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' },
      });
    } catch (error) {
      if (!(error instanceof RequestError)) reportFailure(error, correlationId, s);
      return answerError(error, correlationId);
    }
  };
