/** Readings as Prometheus text (M2). */

import { renderDrift } from './drift';
import { renderErasures } from './erasures';
import { Meters } from './meters';
import { renderOpen } from './open';
import { renderOrders } from './orders';
import { renderQuality } from './quality';
import type { Readings } from './read';
import { durations, renderRuns } from './runs';
import { renderWatch } from './watch';

export interface BreakerReading {
  readonly policy: string;
  readonly open: boolean;
}

export async function renderMetrics(
  { runs, open, quality, drift, erasures, watch, orders, failed }: Readings,
  breakers: readonly BreakerReading[],
): Promise<string> {
  const meters = new Meters();
  if (runs) renderRuns(meters, runs);
  if (open) renderOpen(meters, open);
  renderBreakers(meters, breakers);
  if (watch) renderWatch(meters, watch);
  if (quality) renderQuality(meters, quality);
  if (drift) renderDrift(meters, drift);
  if (erasures) renderErasures(meters, erasures);
  if (orders) renderOrders(meters, orders);
  const missing = meters.gauge('retention_metrics_part_failed', '1 for a part this scrape could not read.', [
    'part',
  ]);
  for (const [part, is] of Object.entries(failed)) missing.set({ part }, is);
  return `${await meters.text()}${durations(runs ?? { bounds: [], totals: [] })}`;
}

function renderBreakers(meters: Meters, breakers: readonly BreakerReading[]): void {
  const breaker = meters.gauge('retention_breaker_open', '1 while the circuit breaker of a policy is open.', [
    'policy',
  ]);
  for (const { policy, open } of breakers) breaker.set({ policy }, open ? 1 : 0);
}
