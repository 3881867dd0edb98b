/** What the last look found adrift, by kind: 0 where there is none, so that its end shows as well. */
import type { Answers } from '../../platform/query';
import { KINDS } from '../drift/judge';
import { driftByKind } from '../drift/store';
import type { Meters } from './meters';

export const driftQueries = () => ({ byKind: driftByKind });

export function renderDrift(meters: Meters, { byKind }: Answers<ReturnType<typeof driftQueries>>): void {
  const findings = meters.gauge(
    'retention_drift_findings',
    'Tables, columns, indexes and policies that the data map, the policies and the database do not agree about.',
    ['kind'],
  );
  for (const kind of KINDS) findings.set({ kind }, byKind.find((k) => k.kind === kind)?.findings ?? 0);
}
