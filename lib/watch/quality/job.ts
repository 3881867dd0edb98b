/**
 * The daily look at the data itself (M6): what never expires because its clock is empty, what claims to be from the
 * future, what refers to nothing, what occurs twice. Never changes application data; a dry run measures
 * and keeps no record.
 */
import type { Logger } from 'pino';
import { atRoots } from '../../engine/statement/leaves';
import { reportIncidents } from '../../platform/alerts/incidents';
import type { JobRequest, JobResult } from '../../platform/job';
import { askOne } from '../../platform/session';
import type { Services } from '../../services';
import type { Finding } from '../drift/judge';
import { watchDrift } from '../drift/watch-drift';
import { measurePolicy } from './measure';
import type { Measurement } from './measurement';
import { forgetOld, measuredLongestAgo, saveMeasurements } from './store';

const STATEMENT_MS = 10_000;
/** Kept back for what one policy may still take, and the answer. */
const CLOSING_MS = 45_000;

export interface QualityResult extends JobResult {
  readonly policies: number;
  /** Counts of measurements by status. */
  readonly statuses: Readonly<Record<Measurement['status'], number>>;
  /** Beyond their threshold, or not to be measured. */
  readonly findings: readonly Measurement[];
  /** What the data map, the policies and the database do not agree about; null where it could not be looked at. */
  readonly drift: readonly Finding[] | null;
}

export async function measureQuality(services: Services, request: JobRequest): Promise<QualityResult> {
  const { clock, database } = services;
  const policies = await atRoots(database, services.policies);
  const log = services.log.child({ correlation_id: request.correlationId, script: 'data-quality' });
  const limits = { statementMs: STATEMENT_MS };
  const now = clock();
  const turns = await askOne(database, measuredLongestAgo(policies.map((p) => p.name)), {
    ...limits,
    readOnly: true,
  });
  const all: Measurement[] = [];
  let done = 0;
  for (const turn of turns) {
    if (request.deadline.getTime() - clock().getTime() < CLOSING_MS) break;
    const policy = policies.find((p) => p.name === turn.name)!;
    const found = await measurePolicy(services, policy, { now });
    if (!request.dryRun) await askOne(database, saveMeasurements(found, now), limits);
    all.push(...found);
    done += 1;
  }
  if (!request.dryRun) {
    await askOne(database, forgetOld(now), limits);
    await reportIncidents(services, incidentsOf(all));
  }

  const inTime = () => request.deadline.getTime() - clock().getTime() > STATEMENT_MS;
  const drift = await watchDrift({ ...services, policies }, { dryRun: request.dryRun, log, now, inTime });
  const result = concluded({ all, done, of: policies.length, dryRun: request.dryRun }, log);
  const isDone = result.outcome === 'succeeded' && !request.dryRun && drift !== null;
  return { ...result, drift, ...(isDone ? { nextLook: 'daily' } : {}) };
}

/** Tells what was found, and how far the measuring came. */
function concluded(
  { all, done, of, dryRun }: { all: readonly Measurement[]; done: number; of: number; dryRun: boolean },
  log: Logger,
): Omit<QualityResult, 'drift'> {
  const statuses = { ok: 0, breached: 0, guarded: 0, unknown: 0 };
  for (const m of all) statuses[m.status] += 1;
  const findings = all.filter((m) => m.status === 'breached' || m.status === 'unknown');
  for (const { status, lookedAt, keys: _, ...found } of findings) {
    log.warn(
      { event: `quality.${status}`, ...found, looked_at: lookedAt },
      `${found.measure} of ${found.policy}: ${found.subject} is ${status}`,
    );
  }
  const complete = done === of;
  const message = `${dryRun ? '[DRY RUN] ' : ''}${done} of ${of} policies measured: ${statuses.breached} measurements beyond their threshold, ${statuses.unknown} not possible${complete ? '' : '; the next run continues'}`;
  log.info({ event: 'quality.measured', policies: done, ...statuses }, message);
  return {
    outcome: complete ? 'succeeded' : 'interrupted',
    reason: complete ? null : 'time',
    message,
    policies: done,
    statuses,
    findings,
  };
}

/** One incident a policy and measure, over when it is measured within its threshold again. */
function incidentsOf(all: readonly Measurement[]) {
  const causeOf = (m: Measurement) => `quality.breached:${m.policy}.${m.measure}`;
  const breached = new Map<string, Measurement>();
  for (const m of all) if (m.status === 'breached' && !breached.has(causeOf(m))) breached.set(causeOf(m), m);
  // What could not be measured says nothing about whether it is over.
  const open = new Set([...all].filter((m) => m.status === 'unknown').map(causeOf));
  return {
    wrong: [...breached].map(([cause, m]) => ({
      cause,
      severity: 'warning' as const,
      message: `${m.measure} of ${m.policy}: ${m.subject} is beyond its threshold; /api/reports/quality names how much and some keys`,
    })),
    over: [...new Set(all.map(causeOf))].filter((cause) => !breached.has(cause) && !open.has(cause)),
  };
}
