/**
 * Erases one subject from one policy's table, through the same batch transaction, lease, fence and receipts as
 * a run: age, tier, extensions and soft deletion count for nothing, holds win. Needs no cursor: what was done is
 * gone, and the next attempt starts from the beginning.
 */
import { randomUUID } from 'node:crypto';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import { z } from 'zod';
import { afterFailure } from '../engine/guard/poison';
import { acquire, leaseToken, release } from '../engine/run/checkpoint';
import { startPace } from '../engine/run/pace';
import { pressedBy } from '../engine/run/pressure';
import { BEGIN, beginRun, catalogOf, endRun } from '../engine/run/record';
import { settle } from '../engine/run/settle';
import type { BatchOrder } from '../engine/statement/batch';
import { leftBehind } from '../engine/statement/drained';
import { atRoots } from '../engine/statement/leaves';
import type { Leg } from '../engine/statement/leg';
import { onLeaf, onLeaves } from '../engine/statement/partition';
import { CHECKS_OF_ERASURE, judgeFacts, judgeStore } from '../engine/statement/preflight';
import { DatabaseError, LapseError, PreflightError } from '../platform/errors';
import { type Kept, noneKept, type Outcome, slaStatus } from '../platform/outcome';
import { oneRow, query } from '../platform/query';
import { type Asking, ask, asking, askOne, readingOnly, STATEMENT_TIMEOUT_MS } from '../platform/session';
import { permanentTables } from '../policies';
import { versionOf } from '../policies/fingerprint';
import type { Services } from '../services';
import type { ErasureCall } from './result';
import type { Reach } from './subject';

export interface Erased {
  readonly policy: string;
  readonly outcome: Outcome | 'out_of_reach';
  readonly reason: string | null;
  readonly runId: string | null;
  readonly deleted: number;
  readonly dependantsDeleted: number;
  readonly files: number;
  readonly bytes: number;
  /** Rows of the subject that stay, by reason. */
  readonly kept: Kept;
}

/** For the proof, the end of the record and the release of the lease. */
const CLOSING_MS = 1_500;

export async function erasePolicy(
  services: Services,
  reach: Reach,
  order: ErasureCall,
  log: Logger,
): Promise<Erased> {
  const { policy } = reach;
  const nothing = {
    policy: policy.name,
    runId: null,
    deleted: 0,
    dependantsDeleted: 0,
    files: 0,
    bytes: 0,
    kept: noneKept(),
  };
  if (!reach.leg) return { ...nothing, outcome: 'out_of_reach', reason: null };
  const runId = randomUUID();
  const lease = leaseToken(runId);
  let leased = false;
  try {
    leased = (await acquire(services.redis, policy.name, lease)).held;
    if (!leased) return { ...nothing, outcome: 'skipped', reason: 'locked' };
    const [declared = policy, erasing = reach.erasing] = await atRoots(services.database, [
      policy,
      reach.erasing,
    ]);
    const exact = { ...reach, policy: declared, erasing };
    return await new Erasing(services, exact, order, runId, lease, log).execute();
  } catch (error) {
    if (!(error instanceof LapseError)) throw error;
    return { ...nothing, outcome: 'errored', reason: error.code };
  } finally {
    // Kept: the cursor is that of the policy's own pass. A lease that cannot be given back expires.
    if (leased) await release(services.redis, policy.name, lease, false).catch(() => false);
  }
}

class Erasing {
  readonly #version: string;
  readonly #startedAt: Date;
  #fence = '0';
  #asOf: string;
  #seq = 1;
  #picked = 0;
  #kept: Kept = noneKept();

  constructor(
    private readonly services: Services,
    private readonly reach: Reach,
    private readonly order: ErasureCall,
    private readonly runId: string,
    private readonly lease: string,
    private readonly log: Logger,
  ) {
    this.#version = versionOf(reach.policy);
    this.#startedAt = services.clock();
    this.#asOf = this.#startedAt.toISOString();
  }

  async execute(): Promise<Erased> {
    const refused = await this.#begin();
    let outcome: Outcome = 'skipped';
    let reason: string | null = refused;
    if (refused === null) {
      try {
        reason = await this.#sweeps();
        outcome = reason === null ? 'succeeded' : 'interrupted';
      } catch (error) {
        if (!(error instanceof LapseError)) throw error;
        outcome = error instanceof DatabaseError && error.failure === 'fenced' ? 'interrupted' : 'errored';
        reason = error instanceof DatabaseError && error.sqlState === 'LP003' ? 'paused' : error.code;
      }
    }
    const at = this.services.clock();
    const seconds = Math.max(0, at.getTime() - this.#startedAt.getTime()) / 1000;
    const totals = refused
      ? null
      : await this.#retried(() =>
          endRun(asking(this.services.database), {
            policy: this.reach.policy.name,
            runId: this.runId,
            outcome,
            reason,
            finishedAt: at,
            picked: this.#picked,
            kept: this.#kept,
            slaStatus: slaStatus(seconds, this.reach.policy.allowedSeconds, this.services.settings.sla),
          }),
        );
    return {
      policy: this.reach.policy.name,
      outcome,
      reason,
      runId: refused ? null : this.runId,
      deleted: totals?.deleted ?? 0,
      dependantsDeleted: totals?.dependants_deleted ?? 0,
      files: totals?.files_queued ?? 0,
      bytes: totals?.bytes_freed ?? 0,
      kept: this.#kept,
    };
  }

  /** Moves the fence; gives why it may not begin. */
  async #begin(): Promise<string | null> {
    const { policy } = this.reach;
    const { begun, catalog } = await this.#asking.ask(
      {
        begun: beginRun({
          policy: policy.name,
          runId: this.runId,
          version: this.#version,
          startedAt: this.#startedAt,
          trigger: 'manual',
          actor: this.order.actor,
          correlationId: this.order.correlationId,
        }),
        catalog: catalogOf(this.reach.erasing),
      },
      BEGIN,
    );
    if (begun.refused) return begun.refused;
    this.#fence = begun.fence ?? '0';
    this.#asOf = begun.as_of ?? this.#asOf;
    const problems = [
      ...judgeFacts(this.reach.erasing, catalog.facts, permanentTables, CHECKS_OF_ERASURE),
      ...judgeStore(this.reach.erasing, this.services.blob !== undefined),
    ];
    if (problems.length > 0) throw new PreflightError(policy.name, problems);
    return null;
  }

  /** Until a last look finds nothing that may go: null. Else why it stopped. */
  async #sweeps(): Promise<string | null> {
    for (let again = 0; again < 3; again += 1) {
      this.#kept = noneKept();
      const legs = await onLeaves(this.reach.erasing, [this.reach.leg!], readingOnly(this.#asking));
      for (const { leg } of legs) {
        const stopped = await this.#sweep(leg);
        if (stopped) return stopped;
      }
      const looking = leftBehind(this.reach.erasing, [this.reach.leg!], this.#asOf);
      const { left } = await this.#asking.askOne(query(looking, oneRow(z.object({ left: z.boolean() }))), {
        statementMs: STATEMENT_TIMEOUT_MS,
        readOnly: true,
      });
      if (!left) return null;
    }
    return 'busy';
  }

  async #sweep(leg: Leg): Promise<string | null> {
    const pace = startPace(this.services.settings.batchSize);
    let position: BatchOrder['position'] = null;
    for (;;) {
      if (this.#remaining() < CLOSING_MS) return 'time';
      // The same token takes it again: this is what renews it.
      if (!(await acquire(this.services.redis, this.reach.policy.name, this.lease)).held) return 'lease';
      const order: BatchOrder = {
        policy: onLeaf(this.reach.erasing, leg),
        version: this.#version,
        runId: this.runId,
        fence: this.#fence,
        seq: this.#seq,
        leg,
        position,
        limit: pace.size,
        asOf: this.#asOf,
        actor: this.order.actor,
        reason: 'erasure',
        statementTimeoutMs: Math.min(STATEMENT_TIMEOUT_MS, Math.max(500, this.#remaining() - CLOSING_MS)),
      };
      const began = performance.now();
      let result: Awaited<ReturnType<typeof settle>>;
      try {
        result = await settle(
          this.services.database,
          order,
          this.services.backoff,
          () => this.#remaining() > CLOSING_MS,
        );
      } catch (error) {
        const advice = await afterFailure(this.#asking, order, error, this.log);
        if (advice === 'no') throw error;
        if (advice === 'fewer') pace.tooMuch();
        continue;
      }
      if (pressedBy(result.pressure, this.services.settings.pressure)) pace.giveWay();
      else if (result.picked >= order.limit) pace.took(result.statement_ms ?? performance.now() - began);
      if (result.deleted > 0) this.#seq += 1;
      this.#picked += result.picked;
      for (const [why, n] of Object.entries(result.kept)) this.#kept[why as keyof Kept] += n ?? 0;
      const { ended, ...after } = result.after;
      if (ended) return null;
      position = after;
    }
  }

  readonly #asking: Asking = {
    ask: (queries, limits) => this.#retried(() => ask(this.services.database, queries, limits)),
    askOne: (one, limits) => this.#retried(() => askOne(this.services.database, one, limits)),
  };

  #retried<T>(work: () => Promise<T>): Promise<T> {
    return pRetry(work, {
      ...this.services.backoff,
      shouldRetry: ({ error }) => error instanceof DatabaseError && error.mayPass && this.#remaining() > 0,
    });
  }

  #remaining(): number {
    return this.order.deadline.getTime() - this.services.clock().getTime();
  }
}
