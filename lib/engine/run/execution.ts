/** One run: who it is, what it may use, and what it has done. Its parts get this, and add to the tally only. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { type Ending, slaStatus } from '../../platform/outcome';
import type { Policy } from '../../policies/contract';
import { versionOf } from '../../policies/fingerprint';
import type { Services } from '../../services';
import type { Server } from '../statement/server';
import { Deadline } from './deadline';
import { lanesOf } from './lanes';
import { Neighbors } from './neighbors';
import type { RunEnd, RunStart } from './record';
import type { RunRequest } from './request';
import { Session } from './session';
import { Tally } from './tally';

export class Run {
  readonly id: string;
  readonly version: string;
  readonly deadline: Deadline;
  readonly session: Session;
  readonly tally = new Tally();
  readonly neighbors: Neighbors;
  readonly log: Logger;
  #record: 'none' | 'open' | 'ended' = 'none';
  #lanes = 1;

  /** `policy`: as declared. `log`: one of the run's own unless given. */
  constructor(
    readonly services: Services,
    readonly policy: Policy,
    readonly request: RunRequest,
    readonly reason: 'retention' | 'erasure' = 'retention',
    log?: Logger,
  ) {
    this.id = request.runId ?? randomUUID();
    this.version = versionOf(policy);
    this.deadline = new Deadline(() => services.clock(), request.deadline);
    this.session = new Session(services, policy.name, this.id, this.deadline);
    this.log =
      log ??
      services.log.child({
        correlation_id: request.correlationId,
        script: policy.name,
        run_id: this.id,
        ...(request.dryRun ? { mode: 'dry_run' } : {}),
      });
    this.neighbors = new Neighbors({
      runId: this.id,
      limits: services.settings.pressure,
      deadline: this.deadline,
      log: this.log,
      clock: () => services.clock(),
    });
  }

  /** Whether another run may continue where this one stops; what an erasure deleted is gone, and the next begins anew. */
  get keepsCursor(): boolean {
    return this.reason === 'retention';
  }

  get startedAt(): Date {
    return this.deadline.startedAt;
  }

  /** How many batches may be under way at once. */
  get lanes(): number {
    return this.services.settings.lanes ?? this.#lanes;
  }

  /** Asked once, with what opens the run. */
  runsOn(server: Server): void {
    this.#lanes = lanesOf(server);
  }

  /** Its record has been opened, or has been ended by what opened it. */
  recorded(how: 'open' | 'ended'): void {
    this.#record = how;
  }

  get isRecorded(): boolean {
    return this.#record !== 'none';
  }

  get isOpen(): boolean {
    return this.#record === 'open';
  }

  /** How its record begins. */
  get start(): RunStart {
    const { trigger, actor, correlationId } = this.request;
    const { id: runId, version, startedAt, reason: purpose } = this;
    return { policy: this.policy.name, runId, version, startedAt, trigger, actor, correlationId, purpose };
  }

  /** How its record ends. */
  end({ outcome, reason }: Ending, finishedAt: Date): RunEnd {
    const { picked, kept, keptBelow } = this.tally;
    const sla = this.slaStatus(finishedAt);
    return {
      policy: this.policy.name,
      runId: this.id,
      outcome,
      reason,
      finishedAt,
      picked,
      kept,
      keptBelow,
      slaStatus: sla,
    };
  }

  slaStatus(until: Date) {
    return slaStatus(this.deadline.seconds(until), this.policy.allowedSeconds, this.services.settings.sla);
  }
}
