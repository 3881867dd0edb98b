/**
 * One execution of a policy. The order keeps the promises: lease → begin (fence, preflight, what is due: one
 * request) → batches until drained or out of time, each followed by its checkpoint → proof of being drained →
 * end of the record → lease given back. Correctness is the fence's and the batch's; the lease only keeps a
 * second runner from wasting its time. Stopped anywhere, the next run goes on from the cursor, or, without
 * one, from the start.
 */
import pRetry from 'p-retry';
import { z } from 'zod';
import { afterRun } from '../../files/after-run';
import { outboxFull, roomInOutbox } from '../../files/room';
import { alert, type GuardEvent } from '../../platform/alerts/guard';
import type { Row } from '../../platform/database';
import { codeOf, DatabaseError, PreflightError, type Problem } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import { slaStatus } from '../../platform/outcome';
import { nothing, oneRow, query } from '../../platform/query';
import { asking } from '../../platform/session';
import { permanentTables } from '../../policies';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { admit } from '../guard/admit';
import { type BreakerState, feedBreaker, readBreaker } from '../guard/breaker';
import { admissionFacts, declareVersion, type Facts } from '../guard/facts';
import { countDue } from '../statement/drained';
import { observeLabels } from '../statement/labels';
import { rootsOf, withRoots } from '../statement/leaves';
import { legsOf } from '../statement/leg';
import { judgeFacts, judgeStore } from '../statement/preflight';
import { acquire, type Cursor, release } from './checkpoint';
import { drained, explain } from './endings';
import { previewPolicy } from './preview';
import {
  BEGIN,
  type Begun,
  beginRun,
  catalogOf,
  endIfIdle,
  endRun,
  type RunEnd,
  type RunTotals,
} from './record';
import type { RunResult } from './result';
import { LOOK, type RunRequest, RunState } from './state';
import { walkThrough } from './walk';

export type { RunRequest } from './state';

/** Never throws for what can happen to a run: outcome `errored` says what happened and what to do. */
export async function runPolicy(services: Services, policy: Policy, request: RunRequest): Promise<RunResult> {
  if (request.dryRun || services.settings.dryRun) return previewPolicy(services, policy, request);
  return new Run(services, policy, request).execute();
}

const Due = z.object({ due: z.coerce.number() });

class Run extends RunState {
  #bounded: RunResult['bounded'];
  #begun = false;
  #ended = false;
  #totals: RunTotals | null = null;

  async execute(): Promise<RunResult> {
    let heldBy: RunResult['heldBy'];
    let leased = false;
    let ending: Ending;
    let breaker: BreakerState | null = null;
    try {
      breaker = await readBreaker(this.redis, this.policy.name);
      const lease = breaker.open ? null : await acquire(this.redis, this.policy.name, this.lease);
      if (lease === null) {
        ending = {
          outcome: 'skipped',
          reason: 'breaker',
          message: `${breaker.failures} runs failed in a row; tried again in ${breaker.secondsLeft} s, or close the breaker`,
        };
      } else if (lease.held) {
        leased = true;
        ending = await this.#runHolding(lease.cursor);
      } else {
        const secondsLeft = Math.ceil(lease.millisecondsLeft / 1000);
        heldBy = { holder: lease.holder, secondsLeft };
        ending = {
          outcome: 'skipped',
          reason: 'locked',
          message: `run ${lease.holder} holds the lease; it ends or expires within ${secondsLeft} s unless renewed`,
        };
      }
    } catch (error) {
      ending = explain(error);
    }
    if (this.#begun && !this.#ended) await this.#end(ending);
    if (leased) await this.#release(ending.outcome === 'succeeded');
    if (leased && breaker) await this.#feedBreaker(breaker, ending);
    const result = this.#result(ending, heldBy);
    const files = this.#begun ? await this.#afterRun(result) : null;
    return files ? { ...result, files } : result;
  }

  async #afterRun(result: RunResult): Promise<RunResult['files'] | null> {
    const finished = {
      policy: this.policy.name,
      runId: this.runId,
      filesQueued: result.filesQueued,
      deadline: this.request.deadline,
      correlationId: this.request.correlationId,
    };
    return afterRun({ ...this.services, database: this.database }, finished, this.log);
  }

  async #runHolding(cursor: Cursor | null): Promise<Ending> {
    const begun = await this.#begin();
    if (begun.refused) {
      const how = begun.refused === 'stopped' ? 'everything is stopped' : 'this policy is paused';
      return { outcome: 'skipped', reason: begun.refused, message: `${how}; resume it to let it run` };
    }
    if (begun.problems.length > 0) throw new PreflightError(this.policy.name, begun.problems);
    if (this.total === 0) return drained;
    this.filesRoom = await roomInOutbox(this.policy, (waiting) => this.reading.askOne(waiting, LOOK));
    if (this.filesRoom <= 0) return outboxFull('skipped');
    const stopped = await this.#admit(begun.facts);
    if (stopped) return stopped;
    this.log.info({ event: 'run.started', as_of: this.asOf, due: this.total }, 'run started');
    let resumed =
      cursor !== null && cursor.version === this.version && cursor.asOf <= this.asOf ? cursor : null;
    for (;;) {
      const asOf = resumed?.asOf ?? this.asOf;
      let ending: Ending;
      try {
        ending = await walkThrough(this, asOf, resumed);
      } catch (error) {
        if (resumed === null || !isUnreadable(error)) throw error;
        this.log.warn(
          { event: 'cursor.unreadable' },
          'the cursor fits no row of this table: a new pass begins',
        );
        resumed = null;
        continue;
      }
      // A pass of an earlier day keeps its cutoff; what has expired since is the next pass's.
      if (ending.outcome !== 'succeeded' || asOf === this.asOf) return ending;
      resumed = null;
    }
  }

  /** The guard rails: gives why the run may not begin to delete, or sets what it may. */
  async #admit(facts: Facts): Promise<Ending | null> {
    const admission = await admit({
      policy: this.policy,
      version: this.version,
      runId: this.runId,
      asOf: this.asOf,
      facts,
      due: this.total,
      guards: this.services.settings.guards,
      asking: this.session,
      reading: this.reading,
      inTime: () => this.hasTime(),
      log: this.log,
    });
    if (admission.stop) {
      const { reason, message } = admission.stop;
      if (reason === 'guarded') await this.#alert('guard.stopped', message);
      return { outcome: 'skipped', reason, message };
    }
    this.effective = admission.policy;
    if (this.policy.tenants) this.path = 'tenant';
    this.asOf = admission.asOf;
    const { limit, approved } = admission;
    if (limit) this.#bounded = { by: approved ? 'approval' : 'rollout', rows: limit.rows };
    if (limit && limit.rows < this.cap.rows) {
      const { rows, message } = limit;
      const ending: Ending = { outcome: 'interrupted', reason: 'rollout', message };
      this.cap = { rows, ending: approved ? null : ending };
    }
    return null;
  }

  /** One request: fence and record, catalog facts, what is due, and, when nothing is, the end of the record. */
  async #begin(): Promise<Pick<Begun, 'refused'> & { problems: Problem[]; facts: Facts }> {
    const cooling = this.services.settings.guards.coolingOffSeconds;
    // With the declared periods: those that count now are never shorter, so "nothing is due" stays true.
    const legs = legsOf(this.policy, this.startedAt, cooling);
    const release = this.services.settings.release ?? 'unreleased';
    const by = `${this.request.actor} (${release})`;
    const idle = this.#runEnd(drained, this.startedAt);
    const roots = rootsOf(this.policy);
    const first = {
      begun: beginRun({
        policy: this.policy.name,
        runId: this.runId,
        version: this.version,
        startedAt: this.startedAt,
        trigger: this.request.trigger,
        actor: this.request.actor,
        correlationId: this.request.correlationId,
      }),
      catalog: catalogOf(this.policy),
      declared: declareVersion(this.policy, this.version, this.runId, by),
      facts: admissionFacts(this.policy, this.version, this.startedAt, cooling),
      roots: roots ? query(roots, (rows) => rows) : undefined,
    };
    const [observed] = observeLabels(this.policy, cooling);
    const look = {
      observed: observed && query(observed, nothing),
      due: query(countDue(this.policy, legs, this.startedAt.toISOString()), oneRow(Due)),
      idle: endIfIdle(idle, this.version),
    };
    const sentAt = performance.now();
    const answers = await this.session.ask({ ...first, ...look }, BEGIN).catch(async (error: unknown) => {
      // A missing table, column or index, or a value no column holds, fails the count: let preflight say which.
      const unfit =
        error instanceof DatabaseError &&
        (/^(22|42)/.test(error.sqlState ?? '') || error.failure === 'timeout');
      if (!unfit) throw error;
      return { ...(await this.session.ask(first, BEGIN)), due: null, idle: null };
    });
    const { begun, facts } = answers;
    if (begun.refused) return { refused: begun.refused, problems: [], facts };
    this.#begun = true;
    this.company.saw(begun.next, sentAt);
    this.company.wrote();
    this.fence = begun.fence ?? '0';
    this.asOf = begun.as_of ?? this.asOf;
    const catalog = await this.#atRoots(answers.catalog.facts, answers.roots);
    const problems = [
      ...judgeFacts(this.policy, catalog, permanentTables),
      ...judgeStore(this.policy, this.services.blob !== undefined),
    ];
    this.total = answers.due?.due ?? null;
    this.#ended = answers.idle?.ended === true && problems.length === 0;
    return { refused: null, problems, facts };
  }

  /** A declared partition counts as its table from here on; the catalog is asked again about that one. */
  async #atRoots(catalog: unknown, roots: readonly Row[] = []): Promise<unknown> {
    const rooted = withRoots(this.policy, [...roots]);
    if (rooted === this.policy) return catalog;
    this.policy = rooted;
    return (await this.reading.askOne(catalogOf(rooted), BEGIN)).facts;
  }

  async #end(ending: Ending): Promise<void> {
    try {
      this.#totals = await pRetry(
        () => endRun(asking(this.database), this.#runEnd(ending, this.services.clock())),
        {
          ...this.services.backoff,
          retries: 3,
          shouldRetry: ({ error }) => error instanceof DatabaseError && error.mayPass,
        },
      );
    } catch (error) {
      // The next run closes the record from the receipts.
      this.log.error(
        { event: 'run.unrecorded', error_code: codeOf(error) },
        'the end of the run could not be recorded',
      );
    }
  }

  async #release(isDrained: boolean): Promise<void> {
    try {
      await release(this.redis, this.policy.name, this.lease, isDrained);
    } catch (error) {
      this.log.warn(
        { event: 'lease.unreleased', error_code: codeOf(error) },
        'the lease will expire by itself',
      );
    }
  }

  async #feedBreaker(before: BreakerState, ending: Ending): Promise<void> {
    const now = await feedBreaker(this.redis, this.policy.name, before, ending).catch(() => null);
    if (now === 'opened') await this.#alert('breaker.opened', `the breaker is open: ${ending.message}`);
    if (now === 'recovered') this.log.info({ event: 'breaker.closed' }, 'the policy works again');
  }

  #alert(event: GuardEvent, message: string): Promise<void> {
    const about = { of: this.policy.name, correlationId: this.request.correlationId };
    return alert({ ...this.services, log: this.log }, event, about, message);
  }

  #runEnd(ending: Ending, finishedAt: Date): RunEnd {
    return {
      policy: this.policy.name,
      runId: this.runId,
      outcome: ending.outcome,
      reason: ending.reason,
      finishedAt,
      picked: this.picked,
      kept: this.kept,
      slaStatus: slaStatus(this.seconds(finishedAt), this.policy.allowedSeconds, this.services.settings.sla),
    };
  }

  #result(ending: Ending, heldBy: RunResult['heldBy']): RunResult {
    const now = this.services.clock();
    const result: RunResult = {
      policy: this.policy.name,
      runId: this.#begun ? this.runId : null,
      mode: 'delete',
      outcome: ending.outcome,
      reason: ending.reason,
      message: ending.message,
      correlationId: this.request.correlationId,
      path: this.path,
      asOf: this.asOf,
      startedAt: this.startedAt.toISOString(),
      durationSeconds: this.seconds(now),
      batches: this.#totals?.batches ?? this.batches,
      picked: this.picked,
      deleted: this.#totals?.deleted ?? this.deleted,
      dependantsDeleted: this.#totals?.dependants_deleted ?? 0,
      filesQueued: this.#totals?.files_queued ?? 0,
      bytesFreed: this.#totals?.bytes_freed ?? 0,
      byRule: this.#totals?.by_rule ?? {},
      kept: this.kept,
      requests: { postgres: this.database.requests, redis: this.redis.commands },
      slaStatus: slaStatus(this.seconds(now), this.policy.allowedSeconds, this.services.settings.sla),
      ...(heldBy ? { heldBy } : {}),
      ...(this.#bounded ? { bounded: this.#bounded } : {}),
    };
    const level = ending.outcome === 'errored' ? 'error' : 'info';
    this.log[level](
      {
        event: 'cleanup_completed',
        outcome: result.outcome,
        reason: result.reason,
        records_deleted: result.deleted,
        duration_seconds: result.durationSeconds,
        sla_status: result.slaStatus,
        kept: result.kept,
        batches: result.batches,
      },
      ending.message,
    );
    return result;
  }
}

/** A position that cannot be cast to the types of the key. */
const isUnreadable = (error: unknown): boolean =>
  error instanceof DatabaseError && (error.sqlState?.startsWith('22') ?? false);
