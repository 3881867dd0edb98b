/**
 * A dry run (R9): pages through what a run would delete, with the batch's own predicate, inside READ ONLY
 * transactions that the database enforces. Takes no lease and moves no fence, so it disturbs no run. It ends as the
 * run would before its first delete: what keeps the policy from deleting is an error here too, however much it counted.
 */
import { z } from 'zod';
import { codeOf, DatabaseError, type Problem } from '../../platform/errors';
import type { Ending, Preview } from '../../platform/outcome';
import { oneRow, query } from '../../platform/query';
import { sql, utc } from '../../platform/sql';
import { permanentTables } from '../../policies';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { freesRows } from '../../policies/going';
import { digestOf, expiryOf } from '../guard/digest';
import { admissionFacts } from '../guard/facts';
import { DUE_CAP } from '../statement/drained';
import { Found, PAGE, previewPages } from '../statement/found';
import { heapFacts, judgeHeap } from '../statement/heap';
import { atRoots } from '../statement/leaves';
import { hasOneCutoff, type Leg, legsOf } from '../statement/leg';
import { mayBeDropped, type Partition, partitionName } from '../statement/partition';
import { catalogFacts, judgeFacts, judgeStore } from '../statement/preflight';
import { resultOf } from './answer';
import type { Run } from './execution';
import { recordPreview } from './record';
import type { RunResult } from './result';

/** Rows a second to reckon with before any run of this policy has been measured. */
const RATE_UNKNOWN = 10_000;

export class DryRun {
  readonly #found = new Found();
  readonly #partitions: Preview['partitions'][number][] = [];
  readonly #blockers: Problem[] = [];
  #policy: Policy;
  #asOf: string;
  #rate = RATE_UNKNOWN;
  #waitsUntil: string | null = null;
  #path: RunResult['path'];

  constructor(private readonly run: Run) {
    this.#policy = run.policy;
    this.#asOf = run.startedAt.toISOString();
  }

  async execute(): Promise<RunResult> {
    const { run } = this;
    let failure: DatabaseError | null = null;
    try {
      await this.#look();
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      failure = error;
    }
    const ending = this.#ending(failure);
    const preview = this.#preview(ending);
    const finishedAt = run.services.clock();
    const result = this.#result(ending, preview, finishedAt);
    await this.#record(ending, result, finishedAt);
    run.log.info(
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
    return { ...result, requests: { postgres: run.session.database.requests, redis: 0 } };
  }

  /** Whether the policy may delete at all, then every leg to its end, as long as there is time. */
  async #look(): Promise<void> {
    const { session, services, version, startedAt } = this.run;
    [this.#policy = this.#policy] = await atRoots(session.database, [this.#policy]);
    const policy = this.#policy;
    const cooling = services.settings.guards.coolingOffSeconds;
    const { catalog, now, facts } = await session.reading.ask(
      {
        catalog: catalogFacts(policy),
        now: nowAndRate(policy.name, startedAt),
        facts: admissionFacts(policy, version, startedAt, cooling),
      },
      PAGE,
    );
    this.#asOf = now.as_of;
    this.#rate = now.rate ?? RATE_UNKNOWN;
    this.#waitsUntil = facts.waits_until;
    this.#blockers.push(
      ...judgeFacts(policy, catalog, permanentTables),
      ...judgeStore(policy, services.blob !== undefined),
    );
    if (this.#blockers.some((b) => b.unnamed)) return;
    const legs = legsOf(withPeriods(policy, facts.periods), new Date(this.#asOf), cooling);
    await this.#lookAt(legs);
    if (!this.#found.complete) return;
    this.#path = this.#partitions.length > 0 ? 'partition' : await this.#pathOf(legs);
  }

  /** Every page of every leg, and which partitions would go whole. */
  async #lookAt(legs: readonly Leg[]): Promise<void> {
    const { session, deadline, log } = this.run;
    const inTime = () => deadline.hasTime();
    const look = { policy: this.#policy, legs, asOf: this.#asOf, reading: session.reading, inTime };
    let onLeaf = new Found();
    for await (const { page, partition } of previewPages(look, this.#found)) {
      onLeaf.add(page);
      const { picked, expired } = this.#found;
      log.info(
        { event: 'preview.page', picked, expired },
        `[DRY RUN] Looked at ${picked}, would delete ${expired}`,
      );
      if (!page.after.ended) continue;
      if (partition && this.#goesWhole(partition, onLeaf)) {
        const { lower: from, upper: to } = partition;
        this.#partitions.push({ name: partitionName(partition), from, to, rows: onLeaf.expired });
      }
      onLeaf = new Found();
    }
  }

  #goesWhole(partition: Partition, { kept, files }: Found): boolean {
    const stay = Object.values(kept).some((n) => n > 0);
    return !stay && files === 0 && mayBeDropped(this.#policy, partition);
  }

  /** The path a run that nothing limits would take now. */
  async #pathOf(legs: readonly Leg[]): Promise<NonNullable<RunResult['path']>> {
    if (this.#policy.tenants) return 'tenant';
    const rules = legs.filter(hasOneCutoff);
    for (const leg of this.#found.expired > DUE_CAP ? rules : []) {
      const facts = await this.run.session.reading.ask(heapFacts(this.#policy, leg), PAGE);
      if (judgeHeap(this.#policy, facts).worthWhile) return 'heap';
    }
    return 'index';
  }

  /** As the run would end before its first delete. */
  #ending(failure: DatabaseError | null): Ending {
    const nothing = `dry run: nothing was deleted${this.#mayFollow > 0 ? `; up to ${this.#mayFollow} rows more may go once those that refer to them have gone with others` : ''}`;
    if (this.#blockers.length > 0) {
      const what = this.#blockers.map((p) => `${p.problem} (${p.remedy})`).join('; ');
      return {
        outcome: 'errored',
        reason: 'preflight',
        message: `${nothing}. Before it may delete: ${what}`,
      };
    }
    if (failure)
      return { outcome: 'errored', reason: `database.${failure.failure}`, message: failure.message };
    if (!this.#found.complete) {
      const message = 'dry run: out of time, so these counts are what was seen until then';
      return { outcome: 'interrupted', reason: 'time', message };
    }
    if (this.#waitsUntil === null) return { outcome: 'succeeded', reason: null, message: nothing };
    const problem = 'this version reaches other rows than the one before';
    const remedy = `it waits out the cooling-off until ${this.#waitsUntil}`;
    this.#blockers.push({ problem, remedy });
    return { outcome: 'skipped', reason: 'cooling', message: `${nothing}: ${problem}; ${remedy}` };
  }

  get #mayFollow(): number {
    return freesRows(this.#policy) ? this.#found.kept.referenced : 0;
  }

  #preview(ending: Ending): Preview {
    const {
      expired,
      bytes,
      files,
      byRule,
      kept,
      keptBelow,
      dependants,
      detached,
      rowsSha256,
      sample,
      oldest,
      newest,
    } = this.#found;
    const counts = { expired, bytes, files, byRule, dependants, rowsSha256 };
    const expiresAt = expiryOf(this.#asOf);
    const named = { policy: this.#policy.name, version: this.run.version, asOf: this.#asOf, expiresAt };
    const { deadline } = this.run;
    const seconds = Math.max(1, deadline.seconds(deadline.at));
    return {
      complete: this.#found.complete,
      ...counts,
      detached,
      kept,
      keptBelow,
      mayFollow: this.#mayFollow,
      blockers: this.#blockers.map(({ problem, remedy }) => ({ problem, remedy })),
      partitions: this.#partitions,
      sampleKeys: sample,
      oldest,
      newest,
      estimatedRuns: Math.ceil(expired / Math.max(1, this.#rate * seconds)),
      approvable:
        ending.outcome === 'succeeded' ? { digest: digestOf({ ...counts, ...named }), expiresAt } : null,
    };
  }

  #result(ending: Ending, preview: Preview, finishedAt: Date): RunResult {
    return resultOf(this.run, ending, finishedAt, {
      mode: 'dry_run',
      asOf: this.#asOf,
      ...(this.#path ? { path: this.#path } : {}),
      picked: this.#found.picked,
      kept: preview.kept,
      keptBelow: preview.keptBelow,
      preview,
    });
  }

  async #record({ outcome, reason }: Ending, result: RunResult, finishedAt: Date): Promise<void> {
    const { session, start, log } = this.run;
    const record = { ...start, finishedAt, outcome, reason, asOf: this.#asOf };
    await recordPreview(session.database, record, result.preview!, result.slaStatus).catch((error: unknown) =>
      log.warn(
        { event: 'run.unrecorded', error_code: codeOf(error) },
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
