/** GET /api/metrics: bearer METRICS_TOKEN, nothing else. Nothing is read before it has been checked. */
import { readBreaker } from '../engine/guard/breaker';
import { type Services, services } from '../services';
import { readMetrics } from '../watch/metrics/read';
import { renderMetrics } from '../watch/metrics/render';
import { answered, type Handler } from './answered';
import { authorizeMetrics, warnOfPrevious } from './authorize';

export const metricsRoute = (provide: () => Services = services): Handler =>
  answered('metrics', provide, async ({ request, services: made, correlationId }) => {
    const found = authorizeMetrics(request);
    const s = made();
    warnOfPrevious(found, 'METRICS_TOKEN', s.log.child({ correlation_id: correlationId }));
    const readings = await readMetrics(s);
    // Without Redis the other metrics are still useful: only the breakers are missing.
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
  });
