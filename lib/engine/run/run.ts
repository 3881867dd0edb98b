/**
 * One execution of a policy. The order keeps the promises: lease → begin (fence, preflight, what is due: one
 * request) → batches until drained or out of time, each followed by its checkpoint → proof of being drained →
 * end of the record → lease given back. Correctness is the fence's and the batch's; the lease only keeps a
 * second runner from wasting its time. Stopped anywhere, the next run continues from the cursor, or, without
 * one, from the start. A dry run begins as the run does and looks at the same rows, in READ ONLY transactions.
 */
import { afterRun } from '../../files/after-run';
import { announceFiles } from '../../files/announce';
import { outboxFull, roomInOutbox } from '../../files/room';
import { alert, type GuardEvent } from '../../platform/alerts/guard';
import { DatabaseError, PreflightError } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import { namesFiles } from '../../policies/contents';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { type Admission, admit } from '../guard/admit';
import { type BreakerState, feedBreaker, readBreaker } from '../guard/breaker';
import type { Leg } from '../statement/leg';
import { resultOf } from './answer';
import { Batches } from './batches';
import { type Begun, begin } from './begin';
import type { Cursor } from './checkpoint';
import { breakerOpen, drained, limited, stoppedBy } from './endings';
import { Run } from './execution';
import { type Ended, underLease } from './lease';
import { runPass } from './pass';
import { DryRun } from './preview';
import type { RunRequest } from './request';
import type { RunResult } from './result';
import { LOOK } from './session';
import type { Work } from './work';

export type { RunRequest } from './request';

/** Never throws for what can happen to a run: outcome `errored` says what happened and what to do. */
export function runPolicy(services: Services, policy: Policy, request: RunRequest): Promise<RunResult> {
  const dryRun = request.dryRun || services.settings.dryRun;
  const run = new Run(services, policy, { ...request, dryRun });
  return (dryRun ? new DryRun(run) : new Retention(run)).execute();
}

type Admitted = Extract<Admission, { readonly stop: null }>;

/** A policy's own run. */
class Retention {
  #asOf: string;
  #bounded: RunResult['bounded'];
  #breaker: BreakerState | null = null;

  constructor(private readonly run: Run) {
    this.#asOf = run.startedAt.toISOString();
  }

  async execute(): Promise<RunResult> {
    const ended = await underLease(this.run, {
      refused: () => this.#readBreaker(),
      work: (cursor) => this.#work(cursor),
    });
    if (ended.held) await this.#feedBreaker(ended.ending);
    const result = this.#result(ended);
    const files = this.run.isRecorded ? await this.#afterRun(result) : null;
    return files ? { ...result, files } : result;
  }

  async #work(cursor: Cursor | null): Promise<Ending> {
    const { run } = this;
    const begun = await begin(run);
    if (begun.refused) return stoppedBy(begun.refused);
    this.#asOf = begun.asOf;
    if (begun.problems.length > 0) throw new PreflightError(run.policy.name, begun.problems);
    if (begun.total === 0) return drained;
    const mostFiles = await roomInOutbox(begun.policy, (waiting) =>
      run.session.reading.askOne(waiting, LOOK),
    );
    if (mostFiles <= 0) return outboxFull('skipped');
    const admission = await this.#admit(begun);
    if (admission.stop) {
      const { reason, message } = admission.stop;
      if (reason === 'guarded') await this.#alert('guard.stopped', message);
      return { outcome: 'skipped', reason, message };
    }
    if (begun.policy.tenants) run.tally.goesBy('tenant');
    this.#asOf = admission.asOf;
    const { limit, approved } = admission;
    if (limit) this.#bounded = { by: approved ? 'approval' : 'rollout', rows: limit.rows };
    run.log.info({ event: 'run.started', as_of: this.#asOf, due: begun.total }, 'run started');
    const { policy, fence, total } = begun;
    const work = { policy, fence, total, most: this.#most(admission), mostFiles };
    if (namesFiles(policy)) await announceFiles(run.session.redis, run.request.deadline);
    return this.#passes(work, admission.legs, cursor);
  }

  /** An earlier day's pass to its end, where one was begun; then today's. */
  async #passes(work: Work, legs: (asOf: string) => Leg[], cursor: Cursor | null): Promise<Ending> {
    const { run } = this;
    const batches = new Batches(run, work);
    let from = cursor !== null && cursor.version === run.version && cursor.asOf <= this.#asOf ? cursor : null;
    for (;;) {
      const asOf = from?.asOf ?? this.#asOf;
      let ending: Ending;
      try {
        ending = await runPass(run, work, legs(asOf), { batches, asOf, from });
      } catch (error) {
        if (from === null || !isUnreadable(error)) throw error;
        run.log.warn(
          { event: 'cursor.unreadable' },
          'the cursor fits no row of this table: a new pass begins',
        );
        from = null;
        continue;
      }
      // A pass of an earlier day keeps its cutoff; what has expired since is the next pass's.
      if (ending.outcome !== 'succeeded' || asOf === this.#asOf) return ending;
      from = null;
    }
  }

  /** The guard rails: why the run may not begin to delete, or what it may. */
  #admit({ policy, facts, total: due, asOf }: Begun): Promise<Admission> {
    const { id: runId, version, session, deadline, services, log } = this.run;
    const { guards } = services.settings;
    const inTime = () => deadline.hasTime();
    return admit({
      policy,
      version,
      runId,
      asOf,
      facts,
      due,
      guards,
      asking: session,
      reading: session.reading,
      inTime,
      log,
    });
  }

  /** The request's own limit, or the admission's where that is tighter. */
  #most({ limit, approved }: Admitted): Work['most'] {
    const asked = this.run.request.limit ?? Number.POSITIVE_INFINITY;
    if (!limit || limit.rows >= asked) return { rows: asked, ending: limited };
    const { rows, message } = limit;
    return { rows, ending: approved ? null : { outcome: 'interrupted', reason: 'rollout', message } };
  }

  async #readBreaker(): Promise<Ending | null> {
    this.#breaker = await readBreaker(this.run.session.redis, this.run.policy.name);
    return this.#breaker.open ? breakerOpen(this.#breaker) : null;
  }

  async #feedBreaker(ending: Ending): Promise<void> {
    const { session, policy, log } = this.run;
    if (!this.#breaker) return;
    const now = await feedBreaker(session.redis, policy.name, this.#breaker, ending).catch(() => null);
    if (now === 'opened') await this.#alert('breaker.opened', `the breaker is open: ${ending.message}`);
    if (now === 'recovered') log.info({ event: 'breaker.closed' }, 'the policy works again');
  }

  #alert(event: GuardEvent, message: string): Promise<void> {
    const { services, log, policy, request } = this.run;
    return alert(
      { ...services, log },
      event,
      { of: policy.name, correlationId: request.correlationId },
      message,
    );
  }

  #result({ ending, heldBy, totals }: Ended): RunResult {
    const { run } = this;
    const result = resultOf(run, ending, run.services.clock(), {
      mode: 'delete',
      asOf: this.#asOf,
      path: run.tally.path,
      ...(run.isRecorded ? {} : { runId: null }),
      ...(totals ? countsOf(totals) : {}),
      ...(heldBy ? { heldBy } : {}),
      ...(this.#bounded ? { bounded: this.#bounded } : {}),
    });
    run.log[ending.outcome === 'errored' ? 'error' : 'info'](
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

  #afterRun({ filesQueued }: RunResult): Promise<RunResult['files'] | null> {
    const { services, session, log, policy, id: runId, request } = this.run;
    const { deadline, correlationId } = request;
    const finished = { policy: policy.name, runId, filesQueued, deadline, correlationId };
    return afterRun({ ...services, database: session.database }, finished, log);
  }
}

/** Of the receipts, which are the truth. */
const countsOf = (totals: NonNullable<Ended['totals']>) => ({
  batches: totals.batches,
  deleted: totals.deleted,
  dependantsDeleted: totals.dependants_deleted,
  filesQueued: totals.files_queued,
  bytesFreed: totals.bytes_freed,
  byRule: totals.by_rule,
});

/** A position that cannot be cast to the types of the key. */
const isUnreadable = (error: unknown): boolean =>
  error instanceof DatabaseError && (error.sqlState?.startsWith('22') ?? false);
