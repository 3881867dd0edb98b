/**
 * A dry run (R9): pages through what a run would delete, with the batch's own predicate, inside READ ONLY
 * transactions that the database enforces. Takes no lease and moves no fence, so it disturbs no run.
 */
import { randomUUID } from 'node:crypto';
import { DUE_CAP } from '../batch/drained';
import { heapFacts, judgeHeap } from '../batch/heap';
import { type Leg, legsOf } from '../batch/leg';
import { mayBeDropped, onLeaves, partitionName } from '../batch/partition';
import { catalogFacts, judgeFacts, type Problem } from '../batch/preflight';
import { PreviewPage, previewPage } from '../batch/preview';
import { answerTimeoutMs, session } from '../batch/session';
import { counted, type Statement } from '../database';
import { DatabaseError } from '../errors';
import { digestOf, expiryOf } from '../guard/digest';
import { withPeriods } from '../guard/effective';
import { admissionFacts, Facts } from '../guard/facts';
import { permanentTables } from '../policies';
import type { Policy } from '../policies/contract';
import type { Services } from '../services';
import { recordPreview } from '../stores/run';
import { noneKept, type Outcome, type Preview, type RunResult, slaStatus } from './result';
import type { RunRequest } from './run';
import { versionOf } from './version';

/** A page of 20,000 rows is well under this even on a cold cache. */
const PAGE_MS = 15_000;
/** Kept back for the record and the answer. */
const CLOSING_MS = 1_000;
/** Rows a second to reckon with before any run of this policy has been measured. */
const RATE_UNKNOWN = 10_000;

export async function previewPolicy(
  services: Services,
  policy: Policy,
  request: RunRequest,
): Promise<RunResult> {
  const startedAt = services.clock();
  const database = counted(services.database);
  const log = services.log.child({
    correlation_id: request.correlationId,
    script: policy.name,
    mode: 'dry_run',
  });
  const runId = randomUUID();
  const preview = {
    ...nothing(),
    byRule: {} as Preview['byRule'],
    kept: noneKept(),
    partitions: [] as Preview['partitions'][number][],
  };
  let asOf = startedAt.toISOString();
  let picked = 0;
  let path: RunResult['path'];
  let outcome: Outcome = 'succeeded';
  let reason: string | null = null;
  let message = 'dry run: nothing was deleted';
  const read = (statements: Parameters<typeof database.transaction>[0]) =>
    database.transaction([session(PAGE_MS), ...statements], {
      readOnly: true,
      timeoutMs: answerTimeoutMs(PAGE_MS),
    });
  const remaining = () => request.deadline.getTime() - services.clock().getTime();
  try {
    const cooling = services.settings.guards.coolingOffSeconds;
    const [, facts, now, admission] = await read([
      catalogFacts(policy),
      nowAndRate(policy.name, startedAt),
      admissionFacts(policy, versionOf(policy), startedAt, cooling),
    ]);
    const { periods, waits_until } = Facts.parse(admission?.[0]?.admission);
    asOf = String(now?.[0]?.as_of);
    const problems = judgeFacts(policy, facts?.[0]?.facts, permanentTables);
    if (problems.length > 0)
      message = `dry run: nothing was deleted. Before it may delete: ${list(problems)}`;
    if (waits_until) message += `. This version waits out the cooling-off until ${waits_until}`;
    const legs = legsOf(withPeriods(policy, periods), new Date(asOf), cooling);
    const ask = (statements: Statement[]) => read(statements.slice(1));
    for (const { leg, partition } of await onLeaves(policy, legs, ask)) {
      const before = { expired: preview.expired, files: preview.files };
      let kept = 0;
      for await (const page of pages(leg)) {
        picked += page.picked;
        kept += Object.values(page.kept).reduce((sum, n) => sum + (n ?? 0), 0);
        add(preview, page);
        log.info(
          { event: 'preview.page', picked, expired: preview.expired },
          `[DRY RUN] Looked at ${picked}, would delete ${preview.expired}`,
        );
      }
      if (!preview.complete) break;
      const whole = kept === 0 && preview.files === before.files;
      if (partition && whole && mayBeDropped(policy, partition)) {
        const { lower: from, upper: to } = partition;
        const rows = preview.expired - before.expired;
        preview.partitions.push({ name: partitionName(partition), from, to, rows });
      }
    }
    path = preview.partitions.length > 0 ? 'partition' : await pathOf(legs);
    if (preview.complete && problems.length === 0 && !waits_until) {
      const expiresAt = expiryOf(asOf);
      const previewed = { ...preview, policy: policy.name, version: versionOf(policy), asOf, expiresAt };
      preview.approvable = { digest: digestOf(previewed), expiresAt };
    }
    const rate = Number(now?.[0]?.rate ?? RATE_UNKNOWN);
    const seconds = Math.max(1, (request.deadline.getTime() - startedAt.getTime()) / 1000);
    preview.estimatedRuns = Math.ceil(preview.expired / Math.max(1, rate * seconds));
    if (!preview.complete) {
      outcome = 'interrupted';
      reason = 'time';
      message = 'dry run: out of time, so these counts are what was seen until then';
    }
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    outcome = 'errored';
    reason = error.code;
    message = error.message;
  }

  /** The path a run that nothing limits would take now. */
  async function pathOf(legs: readonly Leg[]): Promise<NonNullable<RunResult['path']>> {
    if (policy.tenants) return 'tenant';
    const rules = legs.filter((leg) => leg.kind === 'rule');
    for (const leg of preview.expired > DUE_CAP ? rules : []) {
      if (judgeHeap(policy, (await read(heapFacts(policy, leg))).slice(1)).worthWhile) return 'heap';
    }
    return 'index';
  }

  async function* pages(leg: Leg): AsyncGenerator<PreviewPage> {
    let position: Parameters<typeof previewPage>[2] = null;
    for (;;) {
      if (remaining() < CLOSING_MS) {
        preview.complete = false;
        return;
      }
      const [, rows] = await read([previewPage(policy, leg, position, asOf)]);
      const page = PreviewPage.parse(rows?.[0]);
      yield page;
      if (page.after.ended) return;
      const { ended: _, ...after } = page.after;
      position = after;
    }
  }

  const finishedAt = services.clock();
  const durationSeconds = Math.max(0, finishedAt.getTime() - startedAt.getTime()) / 1000;
  const sla = slaStatus(durationSeconds, policy.allowedSeconds, services.settings.sla);
  const identity = {
    policy: policy.name,
    runId,
    version: versionOf(policy),
    startedAt,
    trigger: request.trigger,
    actor: request.actor,
    correlationId: request.correlationId,
  };
  await recordPreview(database, { ...identity, finishedAt, outcome, reason, asOf }, preview, sla).catch(() =>
    log.warn({ event: 'run.unrecorded' }, '[DRY RUN] the record of this dry run could not be written'),
  );
  log.info(
    {
      event: 'cleanup_completed',
      outcome,
      reason,
      records_deleted: 0,
      records_expired: preview.expired,
      duration_seconds: durationSeconds,
      sla_status: sla,
      kept: preview.kept,
    },
    `[DRY RUN] ${message}; would delete ${preview.expired}`,
  );
  return {
    policy: policy.name,
    runId,
    mode: 'dry_run',
    outcome,
    reason,
    message,
    correlationId: request.correlationId,
    ...(path ? { path } : {}),
    asOf,
    startedAt: startedAt.toISOString(),
    durationSeconds,
    batches: 0,
    picked,
    deleted: 0,
    dependantsDeleted: 0,
    filesQueued: 0,
    bytesFreed: 0,
    byRule: {},
    kept: preview.kept,
    requests: { postgres: database.requests, redis: 0 },
    slaStatus: sla,
    preview,
  };
}

type Draft = { -readonly [K in keyof Preview]: Preview[K] };

const nothing = (): Draft => ({
  complete: true,
  expired: 0,
  bytes: 0,
  files: 0,
  byRule: {},
  kept: noneKept(),
  partitions: [],
  sampleKeys: [],
  oldest: null,
  newest: null,
  estimatedRuns: 0,
  approvable: null,
});

function add(preview: Draft & { byRule: Preview['byRule'] }, page: PreviewPage): void {
  for (const [label, r] of Object.entries(page.by_rule)) {
    const sum = preview.byRule[label] ?? { expired: 0, bytes: 0, files: 0 };
    preview.byRule[label] = {
      expired: sum.expired + r.expired,
      bytes: sum.bytes + r.bytes,
      files: sum.files + r.files,
    };
    preview.expired += r.expired;
    preview.bytes += r.bytes;
    preview.files += r.files;
  }
  for (const [why, n] of Object.entries(page.kept)) preview.kept[why as keyof typeof preview.kept] += n ?? 0;
  if (preview.sampleKeys.length === 0) preview.sampleKeys = page.sample;
  if (page.oldest && (!preview.oldest || page.oldest < preview.oldest)) preview.oldest = page.oldest;
  if (page.newest && (!preview.newest || page.newest > preview.newest)) preview.newest = page.newest;
}

/** The instant to count back from, as a run would take it, and the rows a second of recent runs. */
const nowAndRate = (policy: string, startedAt: Date) => ({
  text: `select to_char(least($1::timestamptz, retention.clock()) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as as_of,
    (select percentile_cont(0.5) within group (order by deleted / greatest(duration_seconds, 0.1)) from (
      select deleted, duration_seconds from retention.run
      where policy = $2 and mode = 'delete' and deleted > 0 and finished_at is not null order by started_at desc limit 20
    ) r) as rate`,
  params: [startedAt.toISOString(), policy],
});

const list = (problems: readonly Problem[]): string =>
  problems.map((p) => `${p.problem} (${p.remedy})`).join('; ');
