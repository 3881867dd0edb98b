/**
 * A dry run (R9): pages through what a run would delete, with the batch's own predicate, inside READ ONLY
 * transactions that the database enforces. Takes no lease and moves no fence, so it disturbs no run. It ends as the
 * run would before its first delete: what keeps the policy from deleting is an error here too, however much it counted.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { counted } from '../../platform/database';
import type { Problem } from '../../platform/errors';
import { DatabaseError } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import { type Preview, slaStatus } from '../../platform/outcome';
import { oneRow, query } from '../../platform/query';
import { type Asking, asking, readingOnly } from '../../platform/session';
import { sql, utc } from '../../platform/sql';
import { permanentTables } from '../../policies';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { versionOf } from '../../policies/fingerprint';
import type { Services } from '../../services';
import { digestOf, expiryOf } from '../guard/digest';
import { admissionFacts } from '../guard/facts';
import { DUE_CAP } from '../statement/drained';
import { heapFacts, judgeHeap } from '../statement/heap';
import { atRoots } from '../statement/leaves';
import { type Leg, legsOf } from '../statement/leg';
import { mayBeDropped, onLeaves, type Partition, partitionName } from '../statement/partition';
import { judgeFacts, judgeStore } from '../statement/preflight';
import type { PreviewPage } from '../statement/preview';
import { PAGE, pages, Tally } from '../statement/tally';
import { catalogOf, recordPreview } from './record';
import type { RunResult } from './result';
import type { RunRequest } from './state';

/** Kept back for the record and the answer. */
const CLOSING_MS = 1_000;
/** Rows a second to reckon with before any run of this policy has been measured. */
const RATE_UNKNOWN = 10_000;

export const previewPolicy = (services: Services, policy: Policy, request: RunRequest): Promise<RunResult> =>
  new DryRun(services, policy, request).execute();

class DryRun {
  readonly #runId = randomUUID();
  readonly #startedAt: Date;
  readonly #version: string;
  readonly #database;
  readonly #reading: Asking;
  readonly #log;
  readonly #tally = new Tally();
  readonly #partitions: Preview['partitions'][number][] = [];
  readonly #blockers: Problem[] = [];
  #asOf: string;
  #rate = RATE_UNKNOWN;
  #isComplete = false;
  #waitsUntil: string | null = null;
  #sample: readonly string[] = [];
  #oldest: string | null = null;
  #newest: string | null = null;
  #path: RunResult['path'];

  constructor(
    readonly services: Services,
    private policy: Policy,
    readonly request: RunRequest,
  ) {
    this.#startedAt = services.clock();
    this.#asOf = this.#startedAt.toISOString();
    this.#version = versionOf(policy);
    this.#database = counted(services.database);
    this.#reading = readingOnly(asking(this.#database));
    this.#log = services.log.child({
      correlation_id: request.correlationId,
      script: policy.name,
      mode: 'dry_run',
    });
  }

  async execute(): Promise<RunResult> {
    let failure: DatabaseError | null = null;
    try {
      await this.#look();
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      failure = error;
    }
    const ending = this.#ending(failure);
    const preview = this.#preview(ending);
    const finishedAt = this.services.clock();
    const result = this.#result(ending, preview, finishedAt);
    await this.#record(ending, result, finishedAt);
    this.#log.info(
      {
        event: 'cleanup_completed',
        outcome: result.outcome,
        reason: result.reason,
        records_deleted: 0,
        records_expired: preview.expired,
        duration_seconds: result.durationSeconds,
        sla_status: result.slaStatus,
        kept: result.kept,
      },
      `[DRY RUN] ${result.message}; would delete ${preview.expired}`,
    );
    return { ...result, requests: { postgres: this.#database.requests, redis: 0 } };
  }

  /** Whether the policy may delete at all, then every leg to its end, as long as there is time. */
  async #look(): Promise<void> {
    [this.policy = this.policy] = await atRoots(this.#database, [this.policy]);
    const { policy, services } = this;
    const cooling = services.settings.guards.coolingOffSeconds;
    const { catalog, now, facts } = await this.#reading.ask(
      {
        catalog: catalogOf(policy),
        now: nowAndRate(policy.name, this.#startedAt),
        facts: admissionFacts(policy, this.#version, this.#startedAt, cooling),
      },
      PAGE,
    );
    this.#asOf = now.as_of;
    this.#rate = now.rate ?? RATE_UNKNOWN;
    this.#waitsUntil = facts.waits_until;
    this.#blockers.push(
      ...judgeFacts(policy, catalog.facts, permanentTables),
      ...judgeStore(policy, services.blob !== undefined),
    );
    const legs = legsOf(withPeriods(policy, facts.periods), new Date(this.#asOf), cooling);
    for (const { leg, partition } of await onLeaves(policy, legs, this.#reading)) {
      if (!(await this.#lookAt(leg, partition))) return;
    }
    this.#path = this.#partitions.length > 0 ? 'partition' : await this.#pathOf(legs);
    this.#isComplete = true;
  }

  /** False: out of time. */
  async #lookAt(leg: Leg, partition: Partition | null): Promise<boolean> {
    const tally = this.#tally;
    const before = { expired: tally.expired, files: tally.files };
    const inTime = () => this.request.deadline.getTime() - this.services.clock().getTime() >= CLOSING_MS;
    let kept = 0;
    let isDone = false;
    for await (const page of pages(
      { policy: this.policy, leg, asOf: this.#asOf, reading: this.#reading, inTime },
      tally,
    )) {
      isDone = page.after.ended;
      kept += Object.values(page.kept).reduce((sum, n) => sum + (n ?? 0), 0);
      this.#show(page);
      this.#log.info(
        { event: 'preview.page', picked: tally.picked, expired: tally.expired },
        `[DRY RUN] Looked at ${tally.picked}, would delete ${tally.expired}`,
      );
    }
    const whole = kept === 0 && tally.files === before.files;
    if (isDone && partition && whole && mayBeDropped(this.policy, partition)) {
      const { lower: from, upper: to } = partition;
      const rows = tally.expired - before.expired;
      this.#partitions.push({ name: partitionName(partition), from, to, rows });
    }
    return isDone;
  }

  /** What the reader sees of single rows. */
  #show(page: PreviewPage): void {
    if (this.#sample.length === 0) this.#sample = page.sample;
    if (page.oldest && (!this.#oldest || page.oldest < this.#oldest)) this.#oldest = page.oldest;
    if (page.newest && (!this.#newest || page.newest > this.#newest)) this.#newest = page.newest;
  }

  /** The path a run that nothing limits would take now. */
  async #pathOf(legs: readonly Leg[]): Promise<NonNullable<RunResult['path']>> {
    if (this.policy.tenants) return 'tenant';
    const rules = legs.filter((leg) => leg.kind === 'rule');
    for (const leg of this.#tally.expired > DUE_CAP ? rules : []) {
      const facts = await this.#reading.ask(heapFacts(this.policy, leg), PAGE);
      if (judgeHeap(this.policy, facts).worthWhile) return 'heap';
    }
    return 'index';
  }

  /** As the run would end before its first delete. */
  #ending(failure: DatabaseError | null): Ending {
    const nothing = 'dry run: nothing was deleted';
    if (this.#blockers.length > 0) {
      const what = this.#blockers.map((p) => `${p.problem} (${p.remedy})`).join('; ');
      return {
        outcome: 'errored',
        reason: 'preflight',
        message: `${nothing}. Before it may delete: ${what}`,
      };
    }
    if (failure) return { outcome: 'errored', reason: failure.code, message: failure.message };
    if (!this.#isComplete) {
      const message = 'dry run: out of time, so these counts are what was seen until then';
      return { outcome: 'interrupted', reason: 'time', message };
    }
    if (this.#waitsUntil === null) return { outcome: 'succeeded', reason: null, message: nothing };
    const problem = 'this version reaches other rows than the one before';
    const remedy = `it waits out the cooling-off until ${this.#waitsUntil}`;
    this.#blockers.push({ problem, remedy });
    return { outcome: 'skipped', reason: 'cooling', message: `${nothing}: ${problem}; ${remedy}` };
  }

  #preview(ending: Ending): Preview {
    const { expired, bytes, files, byRule, kept, dependants, rowsSha256 } = this.#tally;
    const counts = { expired, bytes, files, byRule, dependants, rowsSha256 };
    const expiresAt = expiryOf(this.#asOf);
    const named = { policy: this.policy.name, version: this.#version, asOf: this.#asOf, expiresAt };
    const seconds = Math.max(1, (this.request.deadline.getTime() - this.#startedAt.getTime()) / 1000);
    return {
      complete: this.#isComplete,
      ...counts,
      kept,
      blockers: this.#blockers,
      partitions: this.#partitions,
      sampleKeys: this.#sample,
      oldest: this.#oldest,
      newest: this.#newest,
      estimatedRuns: Math.ceil(expired / Math.max(1, this.#rate * seconds)),
      approvable:
        ending.outcome === 'succeeded' ? { digest: digestOf({ ...counts, ...named }), expiresAt } : null,
    };
  }

  #result(ending: Ending, preview: Preview, finishedAt: Date): RunResult {
    const durationSeconds = Math.max(0, finishedAt.getTime() - this.#startedAt.getTime()) / 1000;
    return {
      policy: this.policy.name,
      runId: this.#runId,
      mode: 'dry_run',
      ...ending,
      correlationId: this.request.correlationId,
      ...(this.#path ? { path: this.#path } : {}),
      asOf: this.#asOf,
      startedAt: this.#startedAt.toISOString(),
      durationSeconds,
      batches: 0,
      picked: this.#tally.picked,
      deleted: 0,
      dependantsDeleted: 0,
      filesQueued: 0,
      bytesFreed: 0,
      byRule: {},
      kept: preview.kept,
      requests: { postgres: this.#database.requests, redis: 0 },
      slaStatus: slaStatus(durationSeconds, this.policy.allowedSeconds, this.services.settings.sla),
      preview,
    };
  }

  async #record(ending: Ending, result: RunResult, finishedAt: Date): Promise<void> {
    const { trigger, actor, correlationId } = this.request;
    const record = {
      policy: this.policy.name,
      runId: this.#runId,
      version: this.#version,
      startedAt: this.#startedAt,
      ...{ trigger, actor, correlationId, finishedAt },
      outcome: ending.outcome,
      reason: ending.reason,
      asOf: this.#asOf,
    };
    await recordPreview(this.#database, record, result.preview!, result.slaStatus).catch(() =>
      this.#log.warn(
        { event: 'run.unrecorded' },
        '[DRY RUN] the record of this dry run could not be written',
      ),
    );
  }
}

/** The instant to count back from, as a run would take it, and the rows a second of recent runs. */
const nowAndRate = (policy: string, startedAt: Date) =>
  query(
    sql`select ${utc(sql`least(${startedAt.toISOString()}::timestamptz, retention.clock())`, 'ms')} as as_of,
    (select percentile_cont(0.5) within group (order by deleted / greatest(duration_seconds, 0.1)) from (
      select deleted, duration_seconds from retention.run
      where policy = ${policy} and mode = 'delete' and deleted > 0 and finished_at is not null order by started_at desc limit 20
    ) r) as rate`,
    oneRow(z.object({ as_of: z.string(), rate: z.coerce.number().nullable() })),
  );
