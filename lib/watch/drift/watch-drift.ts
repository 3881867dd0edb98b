/**
 * The daily look for drift, a part of data-quality: kept for the metrics, the report and the console, told as a warning for
 * each kind, and never a reason for any policy to stop. A dry run looks and keeps nothing.
 */
import type { Logger } from 'pino';
import { reportIncidents } from '../../platform/alerts/incidents';
import { codeOf } from '../../platform/errors';
import { askOne } from '../../platform/session';
import type { Services } from '../../services';
import { type Finding, KINDS } from './judge';
import { lookForDrift } from './look';
import { saveDrift } from './store';

const STATEMENT_MS = 10_000;

interface DriftOrder {
  readonly dryRun: boolean;
  readonly log: Logger;
  readonly now: Date;
  readonly inTime: () => boolean;
}

/** Null where the look itself failed: what is measured beside it does not depend on it. */
export async function watchDrift(
  services: Services,
  { dryRun, log, now, inTime }: DriftOrder,
): Promise<readonly Finding[] | null> {
  try {
    const found = await lookForDrift(services.database, services, inTime);
    if (!dryRun) {
      await askOne(services.database, saveDrift(found, now), { statementMs: STATEMENT_MS });
      await reportIncidents(services, incidentsOf(found));
    }
    for (const { kind, subject, problem } of found.slice(0, MOST_LINES)) {
      log.warn({ event: 'drift.found', kind, subject }, problem);
    }
    return found;
  } catch (error) {
    log.error(
      { event: 'drift.failed', error_code: codeOf(error) },
      `drift was not looked for: ${codeOf(error)}`,
    );
    return null;
  }
}

/** The report has them all. */
const MOST_LINES = 20;

/** One incident a kind, over when none of the kind is left. */
function incidentsOf(found: readonly Finding[]) {
  const causeOf = (kind: Finding['kind']) => `drift.found:${kind}`;
  const of = (kind: Finding['kind']) => found.filter((f) => f.kind === kind);
  return {
    wrong: KINDS.filter((kind) => of(kind).length > 0).map((kind) => {
      const [first, ...rest] = of(kind);
      const others = rest.length > 0 ? `, and ${rest.length} more of this kind` : '';
      return {
        cause: causeOf(kind),
        severity: 'warning' as const,
        message: `${first!.problem}${others}; /api/reports/drift says what to write or run`,
      };
    }),
    over: KINDS.filter((kind) => of(kind).length === 0).map(causeOf),
  };
}
