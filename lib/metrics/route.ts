/** GET /api/metrics: bearer METRICS_TOKEN or CRON_SECRET. Nothing is read before it has been checked. */
import { readBreaker } from '../guard/breaker';
import { answerError } from '../http/answer';
import { authorize, isBearer } from '../http/authorize';
import { correlationOf } from '../http/correlation';
import { type Services, services } from '../services';
import { readMetrics } from './read';
import { renderMetrics } from './render';

export const metricsRoute =
  (provide: () => Services = services) =>
  async (request: Request): Promise<Response> => {
    try {
      if (!isBearer(request, process.env.METRICS_TOKEN)) authorize(request, process.env.CRON_SECRET);
      const s = provide();
      const readings = await readMetrics(s);
      // Without Redis the rest is still worth having: the breakers are missing then.
      const breakers = await Promise.all(
        s.policies.map(async (p) => {
          const state = await readBreaker(s.redis, p.name).catch(() => null);
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
      return answerError(error, correlationOf(request));
    }
  };
