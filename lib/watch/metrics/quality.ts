/** How good the data is, by the latest measurement of each policy. */
import type { Answers } from '../../platform/query';
import { latestMeasurements } from '../quality/store';
import type { Meters } from './meters';

export const qualityQueries = (policies: readonly { readonly name: string }[]) => ({
  measurements: latestMeasurements(policies.map((p) => p.name)),
});

export function renderQuality(
  meters: Meters,
  { measurements }: Answers<ReturnType<typeof qualityQueries>>,
): void {
  const findings = meters.gauge(
    'retention_quality_findings',
    'Measurements of the data beyond their threshold, and those not possible.',
    ['policy', 'measure', 'status'],
  );
  const share = meters.gauge('retention_quality_share', 'Share of the rows looked at that are at fault.', [
    'policy',
    'measure',
    'subject',
  ]);
  const measured = meters.gauge('retention_quality_timestamp_seconds', 'When the data was last measured.', [
    'policy',
  ]);
  for (const { policy, measure, subject, ...found } of measurements) {
    for (const status of ['breached', 'unknown'])
      findings.inc({ policy, measure, status }, found.status === status ? 1 : 0);
    if (found.share !== null && measure !== 'profile') share.set({ policy, measure, subject }, found.share);
    measured.set({ policy }, found.measured);
  }
}
