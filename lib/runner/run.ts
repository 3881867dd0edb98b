/**
 * One execution of a policy. The order keeps the promises: lease → begin (fence, preflight, what is due: one
 * request) → batches until drained or out of time, each followed by its checkpoint → proof of being drained →
 * end of the record → lease given back. Correctness is the fence's and the batch's; the lease only keeps a
 * second runner from wasting its time. Stopped anywhere, the next run goes on from the cursor, or, without
 * one, from the start.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import type { BatchOrder, BatchResult } from '../batch/batch';
import { countDue, DUE_CAP, leftBehind } from '../batch/drained';
import { type Blocks, firstDue, heapFacts, judgeHeap, whatIsLeft } from '../batch/heap';
import { type Leg, legsOf } from '../batch/leg';
import { onLeaf, partitionName } from '../batch/partition';
import { catalogFacts, judgeFacts, judgeStore } from '../batch/preflight';
import { answerTimeoutMs, STATEMENT_TIMEOUT_MS, session } from '../batch/session';
import { table } from '../batch/sql';
import { counted, type Database, type Row } from '../database';
import { DatabaseError, PreflightError, RedisError } from '../errors';
import { admit } from '../guard/admit';
import { alert, type GuardEvent } from '../guard/alert';
import { type BreakerState, feedBreaker, readBreaker } from '../guard/breaker';
import { admissionFacts, declareVersion, Facts } from '../guard/facts';
import { observeLabels } from '../guard/labels';
import { afterFailure } from '../guard/poison';
import { afterRun } from '../outbox/after-run';
import { permanentTables } from '../policies';
import type { Policy } from '../policies/contract';
import { countedRedis, type RedisClient } from '../redis';
import type { Services } from '../services';
import { acquire, type Cursor, release, save } from '../stores/checkpoint';
import {
  BEGIN_STATEMENT_MS,
  Begun,
  beginRun,
  beginSession,
  endIfIdle,
  endRun,
  type RunEnd,
  type RunTotals,
} from '../stores/run';
import { Company } from './company';
import { lookThrough, walkHeap } from './heap-walk';
import { startPace, TARGET_IN_COMPANY_MS, TARGET_MS } from './pace';
import { dropPartitions } from './partitions';
import { pressedBy, restMs } from './pressure';
import { previewPolicy } from './preview';
import { type Kept, noneKept, type Outcome, type RunResult, slaStatus } from './result';
import { Sequence } from './seqs';
import { mayPass, settle } from './settle';
import { versionOf } from './version';

export interface RunRequest {
  readonly trigger: 'cron' | 'manual';
  readonly actor: string;
  readonly correlationId: string;
  /** Finished, with the answer sent, by then. */
  readonly deadline: Date;
  readonly dryRun: boolean;
  /** At most this many rows of the governed table. */
  readonly limit?: number;
  /** Exactly this batch size, instead of the adaptive one. */
  readonly batchSize?: number;
}

/** Kept back for the proof, the end of the record and the release of the lease, */
const MOST_CLOSING_MS = 1_500;
/** but never so much of a small budget that nothing would ever get done. */
const CLOSING_SHARE = 0.25;

/** The first look at who else is here is a short one: the walk is about to begin. */
const FIRST_LOOK_MS = 20;

/** Never throws for what can happen to a run: outcome `errored` says what happened and what to do. */
export async function runPolicy(services: Services, policy: Policy, request: RunRequest): Promise<RunResult> {
  if (request.dryRun || services.settings.dryRun) return previewPolicy(services, policy, request);
  return new Run(services, policy, request).execute();
}

/** Where a sweep begins. */
interface Start {
  readonly pass: string;
  readonly asOf: string;
  readonly leg: number;
  readonly position: Cursor['position'];
  /** Whether a large backlog may go by the blocks of the table first. */
  readonly heap: boolean;
  /** Legs of which a look through all blocks found nothing that may go: no sweep, no further proof. */
  readonly proved: Set<Leg>;
}

interface Ending {
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly message: string;
}

class Run {
  readonly #runId = randomUUID();
  readonly #version: string;
  readonly #startedAt: Date;
  readonly #closingMs: number;
  readonly #database: Database & { readonly requests: number };
  readonly #redis: RedisClient & { readonly commands: number };
  readonly #log: Logger;
  readonly #kept: Kept = noneKept();
  #asOf: string;
  /** The policy with the periods that count now (G6). */
  #effective: Policy;
  #bounded: RunResult['bounded'];
  /** How many rows this run may delete; `ending` null: there are no more than these. */
  #cap: { readonly rows: number; readonly ending: Ending | null };
  #fence = '0';
  readonly #seqs = new Sequence();
  readonly #company = new Company();
  #path: NonNullable<RunResult['path']> = 'index';
  #batches = 0;
  #picked = 0;
  #deleted = 0;
  #total: number | null = null;
  #begun = false;
  #ended = false;
  #totals: RunTotals | null = null;

  constructor(
    private readonly services: Services,
    private readonly policy: Policy,
    private readonly request: RunRequest,
  ) {
    this.#version = versionOf(policy);
    this.#effective = policy;
    this.#cap = { rows: request.limit ?? Number.POSITIVE_INFINITY, ending: limited };
    this.#startedAt = services.clock();
    this.#asOf = this.#startedAt.toISOString();
    const budgetMs = request.deadline.getTime() - this.#startedAt.getTime();
    this.#closingMs = Math.min(MOST_CLOSING_MS, Math.floor(budgetMs * CLOSING_SHARE));
    this.#database = counted(services.database);
    this.#redis = countedRedis(services.redis);
    this.#log = services.log.child({
      correlation_id: request.correlationId,
      script: policy.name,
      run_id: this.#runId,
    });
  }

  async execute(): Promise<RunResult> {
    let heldBy: RunResult['heldBy'];
    let leased = false;
    let ending: Ending;
    let breaker: BreakerState | null = null;
    try {
      breaker = await readBreaker(this.#redis, this.policy.name);
      const lease = breaker.open ? null : await acquire(this.#redis, this.policy.name, this.#runId);
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
      runId: this.#runId,
      filesQueued: result.filesQueued,
      deadline: this.request.deadline,
      correlationId: this.request.correlationId,
    };
    return afterRun({ ...this.services, database: this.#database }, finished, this.#log);
  }

  async #runHolding(cursor: Cursor | null): Promise<Ending> {
    const begun = await this.#begin();
    if (begun.refused) {
      const how = begun.refused === 'stopped' ? 'everything is stopped' : 'this policy is paused';
      return { outcome: 'skipped', reason: begun.refused, message: `${how}; resume it to let it run` };
    }
    if (begun.problems.length > 0) throw new PreflightError(this.policy.name, begun.problems);
    if (this.#total === 0) return drained;
    const stopped = await this.#admit(begun.facts);
    if (stopped) return stopped;
    this.#log.info({ event: 'run.started', as_of: this.#asOf, due: this.#total }, 'run started');
    let resumed =
      cursor !== null && cursor.version === this.#version && cursor.asOf <= this.#asOf ? cursor : null;
    for (;;) {
      const asOf = resumed?.asOf ?? this.#asOf;
      const ending = await this.#pass(asOf, resumed);
      // A pass of an earlier day keeps its cutoff; what has expired since is the next pass's.
      if (ending.outcome !== 'succeeded' || asOf === this.#asOf) return ending;
      resumed = null;
    }
  }

  /** The guard rails: gives why the run may not begin to delete, or sets what it may. */
  async #admit(facts: Facts): Promise<Ending | null> {
    const admission = await admit({
      policy: this.policy,
      version: this.#version,
      runId: this.#runId,
      asOf: this.#asOf,
      facts,
      due: this.#total,
      guards: this.services.settings.guards,
      read: (s, ms) => this.#ask(s, ms, true),
      write: (s, ms) => this.#ask(s, ms),
      now: this.services.clock().toISOString(),
      inTime: () => this.#remaining() > this.#closingMs,
      log: this.#log,
    });
    if (admission.stop) {
      const { reason, message } = admission.stop;
      if (reason === 'guarded') await this.#alert('guard.stopped', message);
      return { outcome: 'skipped', reason, message };
    }
    this.#effective = admission.policy;
    if (this.policy.tenants) this.#path = 'tenant';
    this.#asOf = admission.asOf;
    const { limit, approved } = admission;
    if (limit) this.#bounded = { by: approved ? 'approval' : 'rollout', rows: limit.rows };
    if (limit && limit.rows < this.#cap.rows) {
      const { rows, message } = limit;
      const ending: Ending = { outcome: 'interrupted', reason: 'rollout', message };
      this.#cap = { rows, ending: approved ? null : ending };
    }
    return null;
  }

  /** One request: fence and record, catalog facts, what is due, and, when nothing is, the end of the record. */
  async #begin(): Promise<Begun & { problems: { problem: string; remedy: string }[]; facts: Facts }> {
    const cooling = this.services.settings.guards.coolingOffSeconds;
    // With the declared periods: those that count now are never shorter, so "nothing is due" stays true.
    const legs = legsOf(this.policy, this.#startedAt, cooling);
    const release = this.services.settings.release ?? 'unreleased';
    const by = `${this.request.actor} (${release})`;
    const idle = this.#runEnd(drained, this.#startedAt);
    const start = [
      beginSession(),
      beginRun({
        policy: this.policy.name,
        runId: this.#runId,
        version: this.#version,
        startedAt: this.#startedAt,
        trigger: this.request.trigger,
        actor: this.request.actor,
        correlationId: this.request.correlationId,
      }),
      catalogFacts(this.policy),
      declareVersion(this.policy, this.#version, this.#runId, by, this.#startedAt),
      admissionFacts(this.policy, this.#version, this.#startedAt, cooling),
    ];
    const observe = observeLabels(this.policy, this.#startedAt, cooling);
    const look = [...observe, countDue(this.policy, legs, this.#startedAt.toISOString()), endIfIdle(idle)];
    const rows = await this.#ask([...start, ...look], BEGIN_STATEMENT_MS).catch((error: unknown) => {
      // A missing table, column or index fails the count: let preflight say which.
      const unfit =
        error instanceof DatabaseError && (/^42/.test(error.sqlState ?? '') || error.failure === 'timeout');
      if (!unfit) throw error;
      return this.#ask(start, BEGIN_STATEMENT_MS);
    });
    const begun = Begun.parse(rows[1]?.[0]);
    const facts = Facts.parse(rows[4]?.[0]?.admission);
    if (begun.refused) return { ...begun, problems: [], facts };
    this.#begun = true;
    this.#company.saw(begun.next, performance.now());
    this.#company.wrote();
    this.#fence = begun.fence ?? '0';
    this.#asOf = begun.as_of ?? this.#asOf;
    const problems = [
      ...judgeFacts(this.policy, rows[2]?.[0]?.facts, permanentTables),
      ...judgeStore(this.policy, this.services.blob !== undefined),
    ];
    const due = rows[start.length + observe.length]?.[0]?.due;
    this.#total = due === undefined ? null : Number(due);
    this.#ended = this.#total === 0 && problems.length === 0;
    return { ...begun, problems, facts };
  }

  async #pass(asOf: string, from: Cursor | null): Promise<Ending> {
    const legs = legsOf(this.#effective, new Date(asOf), this.services.settings.guards.coolingOffSeconds);
    const pass = from?.pass ?? randomUUID();
    const proved = new Set<Leg>();
    const walked = this.policy.partitioned ? await this.#partitions(legs, pass, asOf) : legs;
    if ('outcome' in walked) return walked;
    const start = resumedAt(walked, from);
    const stopped = await this.#sweep(walked, { pass, asOf, ...start, heap: true, proved });
    if (stopped) return stopped;
    for (let again = 0; ; again += 1) {
      // Of a partitioned table the last look is at all of it: also at a partition that came meanwhile.
      const open = this.policy.partitioned ? legs : legs.filter((leg) => !proved.has(leg));
      const left = open.length > 0 && (await this.#left(open, asOf));
      if (left === null) return unproved;
      if (!left) return drained;
      if (again > 0) return busy;
      // Rows that were locked, or moved behind the walk: once more from the start.
      const ending = await this.#sweep(walked, { pass, asOf, leg: 0, position: null, heap: false, proved });
      if (ending) return ending;
    }
  }

  /** Drops what may go whole; gives the legs that are left, one a partition, or why it stopped. */
  async #partitions(legs: readonly Leg[], pass: string, asOf: string): Promise<readonly Leg[] | Ending> {
    const left = await dropPartitions({
      policy: this.policy,
      legs,
      database: this.#database,
      backoff: this.services.backoff,
      seqs: this.#seqs,
      log: this.#log,
      read: (s, ms) => this.#ask(s, ms, true),
      order: (leg, seq) => this.#order(leg, asOf, seq),
      room: () => this.#cap.rows - this.#deleted,
      remainingMs: () => this.#remaining() - this.#closingMs,
      done: async (result, partition) => {
        this.#path = 'partition';
        this.#batches += 1;
        this.#picked += result.picked;
        this.#deleted += result.deleted;
        this.#log.info(
          {
            event: 'partition.dropped',
            partition: partitionName(partition),
            records_deleted: result.deleted,
          },
          `Processed ${this.#deleted}/${this.#totalText()}`,
        );
        return save(this.#redis, this.policy.name, this.#runId, this.#cursor({ pass, asOf }, 0, null));
      },
    });
    if ('legs' in left) return left.legs;
    return left.stopped === 'time' ? outOfTime : leaseLost;
  }

  /** Walks the legs from a position. Gives null at the end, or why it stopped before. */
  async #sweep(legs: readonly Leg[], at: Start): Promise<Ending | null> {
    const pace = startPace(
      this.request.batchSize ?? this.services.settings.batchSize,
      this.request.batchSize !== undefined,
    );
    let slowest = 0;
    let saving: Promise<boolean> | null = null;
    const saved = async (): Promise<boolean> => (saving === null ? true : saving);
    let { leg: index, position } = at;
    while (index < legs.length) {
      if (at.proved.has(legs[index]!)) {
        index += 1;
        position = null;
        continue;
      }
      if (at.heap && (position === null || position.block !== undefined)) {
        if (!(await saved())) return leaseLost;
        const stopped = await this.#heap(legs, index, at, position);
        if (stopped) return stopped;
        position = null;
        if (at.proved.has(legs[index]!)) continue;
      }
      const room = this.#cap.rows - this.#deleted;
      if (room <= 0) return (await saved()) ? this.#cap.ending : leaseLost;
      if (this.#remaining() <= slowest * 1.5 + this.#closingMs)
        return (await saved()) ? outOfTime : leaseLost;
      const limit = Math.min(pace.size, room);
      const seq = this.#seqs.take();
      const began = performance.now();
      const order: BatchOrder = { ...this.#order(legs[index]!, at.asOf, seq), position, limit };
      let result: BatchResult;
      try {
        result = await settle(
          this.#database,
          order,
          this.services.backoff,
          () => this.#remaining() > this.#closingMs,
        );
      } catch (error) {
        await saved().catch(() => false);
        this.#seqs.giveBack(seq);
        const advice = await afterFailure((s, ms) => this.#ask(s, ms), order, error, this.#log);
        if (advice === 'no') throw error;
        if (advice === 'fewer') pace.tooMuch();
        continue;
      }
      const took = performance.now() - began;
      slowest = Math.max(slowest, took);
      if (this.#pressedBy(result)) pace.giveWay();
      else if (result.picked >= limit)
        pace.took(result.statement_ms ?? took, this.#company.isHere ? TARGET_IN_COMPANY_MS : TARGET_MS);
      this.#count(result, seq);
      ({ position, index } = next(result, index));
      // The checkpoint travels while the next batch runs; its answer is read before the one after.
      if (!(await saved())) return leaseLost;
      saving = save(
        this.#redis,
        this.policy.name,
        this.#runId,
        this.#cursor(at, index, position, legs[index]),
      );
      saving.catch(() => undefined);
      this.#log.info(
        {
          event: 'rows.deleted',
          records_deleted: result.deleted,
          seq,
          batch_size: limit,
          duration_seconds: Math.round(took) / 1000,
        },
        `Processed ${this.#deleted}/${this.#totalText()}`,
      );
      await this.#rest(result, took);
    }
    return (await saved()) ? null : leaseLost;
  }

  /**
   * A large backlog of a rule goes by the blocks of the table first. Null: done and `at.proved`, or not worth
   * while, or something is left for the index. A limited run, or one with a batch size of its own, keeps to the index.
   */
  async #heap(
    legs: readonly Leg[],
    index: number,
    at: Start,
    position: Cursor['position'],
  ): Promise<Ending | null> {
    const leg = legs[index]!;
    const large = this.#total === null || this.#total > DUE_CAP;
    const free = this.#cap.rows === Number.POSITIVE_INFINITY && this.request.batchSize === undefined;
    if (leg.kind !== 'rule' || !large || !free) return null;
    const facts = judgeHeap(
      this.policy,
      (
        await this.#ask(
          [session(STATEMENT_TIMEOUT_MS), ...heapFacts(onLeaf(this.policy, leg), leg)],
          STATEMENT_TIMEOUT_MS,
          true,
        )
      ).slice(1),
    );
    this.#company.saw(facts.next, performance.now(), FIRST_LOOK_MS);
    const resumed = position?.block !== undefined && position.filenode === facts.filenode ? position : null;
    if (!resumed && !facts.worthWhile) return null;
    const end = resumed?.end ?? facts.end;
    this.#path = 'heap';
    let saving: Promise<boolean> = Promise.resolve(true);
    const poisoned = (error: unknown) =>
      error instanceof DatabaseError && ['poisoned', 'timeout'].includes(error.failure);
    try {
      const why = await walkHeap({
        from: resumed?.block ?? 0,
        end,
        lanes: this.services.settings.lanes,
        send: (blocks) => this.#send(leg, at.asOf, blocks),
        firstDue: async (range) => {
          const ahead = firstDue(onLeaf(this.#effective, leg), leg, range, at.asOf);
          const look = [session(STATEMENT_TIMEOUT_MS), ...ahead];
          const block = (await this.#ask(look, STATEMENT_TIMEOUT_MS, true)).at(-1)?.[0]?.block;
          return block === null || block === undefined ? null : Number(block);
        },
        stopBefore: (slowest) => (this.#remaining() <= slowest * 1.5 + this.#closingMs ? 'time' : null),
        isPressed: (result) => this.#pressedBy(result) !== null,
        isInCompany: () => this.#company.isHere,
        done: async (result, low, took) => {
          if (!(await saving)) return false;
          const here = { clock: null, key: [], block: low, end, filenode: facts.filenode };
          saving = save(this.#redis, this.policy.name, this.#runId, this.#cursor(at, index, here, leg));
          saving.catch(() => undefined);
          this.#log.info(
            {
              event: 'rows.deleted',
              path: 'heap',
              records_deleted: result?.deleted ?? 0,
              block: low,
              duration_seconds: Math.round(took) / 1000,
            },
            `Processed ${this.#deleted}/${this.#totalText()}`,
          );
          if (result) await this.#rest(result, took);
          return true;
        },
      });
      if (why === 'lease' || !(await saving)) return leaseLost;
      if (why === 'time') return outOfTime;
      return await this.#look(leg, end, at);
    } catch (error) {
      // A row that refuses to go, or a range that takes too long: the index walk knows what to do about either.
      if (!poisoned(error)) throw error;
      this.#log.warn({ event: 'heap.left' }, 'going on by the index');
      return null;
    }
  }

  /** The proof behind a heap walk, and the count of what stays. */
  async #look(leg: Leg & { kind: 'rule' }, end: number, at: Start): Promise<Ending | null> {
    const left = new Map<string | null, number>();
    const isDone = await lookThrough({
      end,
      lanes: this.services.settings.lanes,
      isInCompany: () => this.#company.isHere,
      outOfTime: () => this.#remaining() <= this.#closingMs,
      look: async (blocks) => {
        const look = [
          session(STATEMENT_TIMEOUT_MS),
          ...whatIsLeft(onLeaf(this.#effective, leg), leg, blocks, at.asOf),
        ];
        const rows = (await this.#ask(look, STATEMENT_TIMEOUT_MS, true)).at(-1) ?? [];
        for (const row of rows) {
          const reason = row.reason === null ? null : String(row.reason);
          left.set(reason, (left.get(reason) ?? 0) + Number(row.n));
        }
      },
    });
    if (!isDone) return outOfTime;
    // Locked, or moved behind the walk: the index sweep comes back for it, and counts what stays.
    if (left.has(null)) return null;
    for (const [reason, n] of left) this.#kept[reason as keyof Kept] += n;
    at.proved.add(leg);
    return null;
  }

  /** One batch of a heap walk. */
  async #send(leg: Leg, asOf: string, blocks: Blocks): Promise<BatchResult> {
    const seq = this.#seqs.take();
    const order = { ...this.#order(leg, asOf, seq), position: null, limit: 0, blocks };
    try {
      const result = await settle(
        this.#database,
        order,
        this.services.backoff,
        () => this.#remaining() > this.#closingMs,
      );
      this.#count(result, seq);
      return result;
    } catch (error) {
      // An unknown batch keeps its number: its receipt may still appear.
      if (!(error instanceof DatabaseError && error.failure === 'unknown')) this.#seqs.giveBack(seq);
      throw error;
    }
  }

  #pressedBy(result: BatchResult) {
    return pressedBy(result.pressure, this.services.settings.pressure);
  }

  /** Leaves the database to others for a while, but never for the rest of the run's time. */
  async #rest(result: BatchResult, tookMs: number): Promise<void> {
    const by = this.#pressedBy(result) ?? (this.#company.isHere ? 'company' : null);
    const ms = Math.min(restMs(by, tookMs), this.#remaining() - this.#closingMs);
    if (ms <= 0) return;
    this.#log.debug(
      { event: 'run.rested', by, duration_seconds: ms / 1000 },
      'others need the database more',
    );
    await sleep(ms);
  }

  #order(leg: Leg, asOf: string, seq: number): Omit<BatchOrder, 'position' | 'limit'> {
    return {
      policy: onLeaf(this.policy, leg),
      version: this.#version,
      runId: this.#runId,
      fence: this.#fence,
      seq,
      leg,
      asOf,
      actor: this.request.actor,
      reason: 'retention',
      statementTimeoutMs: Math.min(STATEMENT_TIMEOUT_MS, Math.max(500, this.#remaining() - this.#closingMs)),
    };
  }

  #count(result: BatchResult, seq: number): void {
    this.#company.saw(result.pressure.next, performance.now());
    if (result.deleted > 0) this.#company.wrote();
    if (result.deleted > 0) this.#batches += 1;
    else this.#seqs.giveBack(seq);
    this.#picked += result.picked;
    this.#deleted += result.deleted;
    for (const [reason, n] of Object.entries(result.kept)) this.#kept[reason as keyof Kept] += n ?? 0;
  }

  #cursor(
    at: { pass: string; asOf: string },
    leg: number,
    position: Cursor['position'],
    walked?: Leg,
  ): Cursor {
    return {
      ...(walked?.leaf ? { leaf: table(walked.leaf) } : {}),
      pass: at.pass,
      asOf: at.asOf,
      version: this.#version,
      leg,
      position,
      runId: this.#runId,
      processed: this.#deleted,
      total: this.#total !== null && this.#total <= DUE_CAP ? this.#total : null,
      updatedAt: this.services.clock().toISOString(),
      kept: this.#kept,
    };
  }

  /** Whether a row that may go is left; null when the database could not say in time. */
  async #left(legs: readonly Leg[], asOf: string): Promise<boolean | null> {
    try {
      const rows = await this.#ask(
        [session(STATEMENT_TIMEOUT_MS), leftBehind(this.policy, legs, asOf)],
        STATEMENT_TIMEOUT_MS,
        true,
      );
      return Boolean(rows[1]?.[0]?.left);
    } catch (error) {
      if (error instanceof DatabaseError && error.failure === 'timeout') return null;
      throw error;
    }
  }

  #ask(
    statements: Parameters<Database['transaction']>[0],
    statementMs: number,
    readOnly = false,
  ): Promise<Row[][]> {
    return pRetry(
      () => this.#database.transaction(statements, { timeoutMs: answerTimeoutMs(statementMs), readOnly }),
      {
        ...this.services.backoff,
        shouldRetry: ({ error }) => mayPass(error) && this.#remaining() > this.#closingMs,
      },
    );
  }

  async #end(ending: Ending): Promise<void> {
    try {
      this.#totals = await pRetry(() => endRun(this.#database, this.#runEnd(ending, this.services.clock())), {
        ...this.services.backoff,
        retries: 3,
        shouldRetry: ({ error }) => mayPass(error),
      });
    } catch (error) {
      // The next run closes the record from the receipts.
      this.#log.error(
        { event: 'run.unrecorded', error_code: codeOf(error) },
        'the end of the run could not be recorded',
      );
    }
  }

  async #release(isDrained: boolean): Promise<void> {
    try {
      await release(this.#redis, this.policy.name, this.#runId, isDrained);
    } catch (error) {
      this.#log.warn(
        { event: 'lease.unreleased', error_code: codeOf(error) },
        'the lease will expire by itself',
      );
    }
  }

  async #feedBreaker(before: BreakerState, ending: Ending): Promise<void> {
    const now = await feedBreaker(this.#redis, this.policy.name, before, ending).catch(() => null);
    if (now === 'opened') await this.#alert('breaker.opened', `the breaker is open: ${ending.message}`);
    if (now === 'recovered') this.#log.info({ event: 'breaker.closed' }, 'the policy works again');
  }

  #alert(event: GuardEvent, message: string): Promise<void> {
    const about = { of: this.policy.name, correlationId: this.request.correlationId };
    return alert({ ...this.services, log: this.#log }, event, about, message);
  }

  #runEnd(ending: Ending, finishedAt: Date): RunEnd {
    return {
      policy: this.policy.name,
      runId: this.#runId,
      outcome: ending.outcome,
      reason: ending.reason,
      finishedAt,
      picked: this.#picked,
      kept: this.#kept,
      slaStatus: slaStatus(this.#seconds(finishedAt), this.policy.allowedSeconds, this.services.settings.sla),
    };
  }

  #result(ending: Ending, heldBy: RunResult['heldBy']): RunResult {
    const now = this.services.clock();
    const result: RunResult = {
      policy: this.policy.name,
      runId: this.#begun ? this.#runId : null,
      mode: 'delete',
      outcome: ending.outcome,
      reason: ending.reason,
      message: ending.message,
      correlationId: this.request.correlationId,
      path: this.#path,
      asOf: this.#asOf,
      startedAt: this.#startedAt.toISOString(),
      durationSeconds: this.#seconds(now),
      batches: this.#totals?.batches ?? this.#batches,
      picked: this.#picked,
      deleted: this.#totals?.deleted ?? this.#deleted,
      dependantsDeleted: this.#totals?.dependants_deleted ?? 0,
      filesQueued: this.#totals?.files_queued ?? 0,
      bytesFreed: this.#totals?.bytes_freed ?? 0,
      byRule: this.#totals?.by_rule ?? {},
      kept: this.#kept,
      requests: { postgres: this.#database.requests, redis: this.#redis.commands },
      slaStatus: slaStatus(this.#seconds(now), this.policy.allowedSeconds, this.services.settings.sla),
      ...(heldBy ? { heldBy } : {}),
      ...(this.#bounded ? { bounded: this.#bounded } : {}),
    };
    const level = ending.outcome === 'errored' ? 'error' : 'info';
    this.#log[level](
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

  #seconds(until: Date): number {
    return Math.max(0, until.getTime() - this.#startedAt.getTime()) / 1000;
  }

  #remaining(): number {
    return this.request.deadline.getTime() - this.services.clock().getTime();
  }

  #totalText(): string {
    if (this.#total === null) return '?';
    return this.#total > DUE_CAP ? `${DUE_CAP}+` : String(this.#total);
  }
}

/** Where a resumed pass goes on: partitions are found by name, for those before them may be gone. */
function resumedAt(legs: readonly Leg[], from: Cursor | null): Pick<Start, 'leg' | 'position'> {
  if (from === null) return { leg: 0, position: null };
  if (!legs.some((l) => l.leaf)) return { leg: from.leg, position: from.position };
  const leg = legs.findIndex((l) => l.leaf && table(l.leaf) === from.leaf);
  return leg < 0 ? { leg: 0, position: null } : { leg, position: from.position };
}

function next(
  result: { after: { ended: boolean; tenant?: string | undefined; clock: string | null; key: string[] } },
  index: number,
): { index: number; position: Cursor['position'] } {
  const { ended, ...position } = result.after;
  return ended ? { index: index + 1, position: null } : { index, position };
}

const drained: Ending = {
  outcome: 'succeeded',
  reason: null,
  message: 'drained: nothing is left before the cutoff',
};
const outOfTime: Ending = {
  outcome: 'interrupted',
  reason: 'time',
  message: 'out of time; the next run goes on from the cursor',
};
const limited: Ending = {
  outcome: 'interrupted',
  reason: 'limit',
  message: 'the limit of this run is reached; the next run goes on from the cursor',
};
const busy: Ending = {
  outcome: 'interrupted',
  reason: 'busy',
  message: 'rows that may go are locked by someone else; the next run tries them again',
};
const unproved: Ending = {
  outcome: 'interrupted',
  reason: 'unproved',
  message: 'the proof of being drained took too long; the next run looks again',
};
const leaseLost: Ending = {
  outcome: 'interrupted',
  reason: 'lease',
  message: 'the lease was lost to another run, or Redis lost it; this run stopped',
};

/** What a failure means for the run, in words that say what to do and hold no row values. */
function explain(error: unknown): Ending {
  if (error instanceof DatabaseError && error.failure === 'fenced') {
    return error.sqlState === 'LP003'
      ? {
          outcome: 'interrupted',
          reason: 'paused',
          message: 'paused while running; resume the policy to go on',
        }
      : {
          outcome: 'interrupted',
          reason: 'fenced',
          message: 'another run took over; this one may delete nothing more',
        };
  }
  if (error instanceof DatabaseError) {
    if (error.failure === 'busy') return { ...busy, message: `locks were not to be had: ${error.message}` };
    return { outcome: 'errored', reason: error.code, message: error.message };
  }
  if (error instanceof PreflightError || error instanceof RedisError) {
    return { outcome: 'errored', reason: error.code, message: error.message };
  }
  throw error;
}

const codeOf = (error: unknown): string =>
  error instanceof DatabaseError || error instanceof RedisError ? error.code : 'unexpected';
