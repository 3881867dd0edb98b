/**
 * Empties the outbox: claim a page (locks, then judgment), delete at the store, confirm; until nothing is due
 * or time is up. The rows were deleted before, in committed batches; from here on a file is deleted only if no live row names it.
 * Stopped between any two steps, the claim falls due again and is done again: deleting twice is deleting once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import { z } from 'zod';
import { alert } from '../platform/alerts/guard';
import { type Blob, hostsOf } from '../platform/blob';
import { type BlobError, DatabaseError, PreflightError } from '../platform/errors';
import type { JobResult } from '../platform/job';
import { oneRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import { sql } from '../platform/sql';
import type { Services } from '../services';
import { deleteAtStore, type StoreContext, type StoreOutcome } from './delete-at-store';
import { foldersOf } from './folders';
import { claimFiles, type OutboxState, outboxState, PAGE, settleFiles, WORK_SECONDS } from './outbox';
import { fileReferencesOf, judgeReferences, Unfit, unfitReferences } from './references';

export interface DrainRequest {
  readonly correlationId: string;
  readonly deadline: Date;
  readonly dryRun: boolean;
  /** How long to wait for entries whose next attempt is near, or for a store that asks to slow down. */
  readonly patienceMs?: number;
  /** Pages at once: one waits for the store while another is claimed. */
  readonly lanes?: number;
  readonly wait?: (milliseconds: number) => Promise<unknown>;
  readonly random?: () => number;
}

export interface DrainResult extends JobResult {
  readonly outcome: 'succeeded' | 'interrupted' | 'skipped' | 'errored';
  /** `time`, `waiting` (next attempts lie ahead), `stopped`, `paused`, `rate_limited`, `dry_run`, or an error's code; null when empty. */
  readonly reason: string | null;
  readonly message: string;
  /** Entries by how they ended. */
  readonly deleted: number;
  readonly missing: number;
  readonly rewritten: number;
  readonly referenced: number;
  /** A legal hold keeps the file: due again when it is released. */
  readonly held: number;
  /** Dead because of the name: outside its column's prefix, at another host, or not to be read. */
  readonly refused: number;
  readonly failed: number;
  readonly dead: number;
  readonly bytesFreed: number;
  readonly calls: number;
  readonly pages: number;
  /** Entries the store has not confirmed yet, now. */
  readonly open: number;
  readonly openBytes: number;
  readonly durationSeconds: number;
}

/** Two pages: one at the store, one at the database. More would only press the store. */
const LANES = 2;
/** For the settlement of the last page and the answer; */
const CLOSING_MS = 2_000;
/** a call to the store may still use the first half of it. */
const SETTLING_MS = 1_000;
/** What is due but cannot be claimed now belongs to another drain. */
const BUSY_NAP_MS = 250;
/** Looking again at least this often while waiting. */
const LONGEST_NAP_MS = 5_000;

export async function drainOutbox(services: Services, request: DrainRequest): Promise<DrainResult> {
  return new Drain(services, request).execute();
}

/**
 * The law of the outbox: when the next entry is due; whatever queues one or releases a hold announces it. After anything
 * else, such as a stop, the next call looks.
 */
export function nextDrain(
  { outcome, reason }: Pick<DrainResult, 'outcome' | 'reason'>,
  state: Pick<OutboxState, 'open'> & Partial<OutboxState>,
): Pick<JobResult, 'nextLook'> {
  if (outcome === 'succeeded' && state.open === 0) return { nextLook: null };
  return reason === 'waiting' && state.next_at ? { nextLook: new Date(state.next_at) } : {};
}

const isWorthAnother = (error: unknown): boolean =>
  error instanceof DatabaseError && (error.mayPass || error.failure === 'timeout');

class Drain {
  readonly #log: Logger;
  readonly #references;
  readonly #startedAt: Date;
  readonly #counts = {
    deleted: 0,
    missing: 0,
    rewritten: 0,
    referenced: 0,
    held: 0,
    refused: 0,
    failed: 0,
    dead: 0,
  };
  #stopped = false;
  #bytesFreed = 0;
  #calls = 0;
  #pages = 0;
  #notBefore: Date | null = null;
  #fatal: BlobError | null = null;

  constructor(
    private readonly services: Services,
    private readonly request: DrainRequest,
  ) {
    this.#references = fileReferencesOf(services.policies);
    this.#startedAt = services.clock();
    this.#log = services.log.child({ correlation_id: request.correlationId, script: 'blob-outbox' });
  }

  async execute(): Promise<DrainResult> {
    try {
      if (this.request.dryRun || this.services.settings.dryRun) {
        return await this.#result('skipped', 'dry_run', 'dry run: no file was deleted');
      }
      if (!this.services.blob) {
        const { open } = await this.#ask(() => outboxState(this.services.database));
        if (open === 0) return await this.#result('succeeded', null, 'the outbox is empty');
        return await this.#result(
          'errored',
          'settings',
          'BLOB_READ_WRITE_TOKEN is not set: files of deleted rows cannot be deleted',
        );
      }
      await this.#preflight();
      return await this.#drain();
    } catch (error) {
      if (!(error instanceof DatabaseError || error instanceof PreflightError)) throw error;
      return this.#answer('errored', error.code, error.message, { open: 0, open_bytes: 0 });
    }
  }

  async #drain(): Promise<DrainResult> {
    for (;;) {
      const before = this.#pages;
      await Promise.all(Array.from({ length: this.request.lanes ?? LANES }, () => this.#lane()));
      if (this.#fatal) return this.#result('errored', this.#fatal.code, this.#fatal.message);
      const state = await this.#ask(() => outboxState(this.services.database));
      const ended = this.#ending(state);
      if (ended) return this.#answer(...ended, state);
      const due = Math.max(Date.parse(state.next_at ?? ''), this.#notBefore?.getTime() ?? 0);
      const isBusy = this.#pages === before;
      const napMs = Math.max(due - this.services.clock().getTime(), isBusy ? BUSY_NAP_MS : 0);
      if (napMs > Math.min(this.request.patienceMs ?? 0, this.#remaining() - CLOSING_MS)) {
        return this.#notBefore
          ? this.#result('interrupted', 'rate_limited', 'the store asks to slow down; the next run continues')
          : this.#result('interrupted', 'waiting', 'what is left waits for its next attempt');
      }
      if (napMs > 0) await (this.request.wait ?? sleep)(Math.min(napMs, LONGEST_NAP_MS));
      if (this.#notBefore && this.services.clock() >= this.#notBefore) this.#notBefore = null;
    }
  }

  /** Why the drain is over, whatever time is left. */
  #ending(state: OutboxState): readonly [DrainResult['outcome'], string | null, string] | null {
    if (state.stopped || this.#stopped)
      return ['skipped', 'stopped', 'everything is stopped: no file is deleted; all.resume lets it continue'];
    if (state.open === 0) {
      const held = state.held > 0 ? `; legal holds keep ${state.held} files` : '';
      return ['succeeded', null, `the outbox is empty${held}`];
    }
    if (this.#remaining() < CLOSING_MS) return ['interrupted', 'time', 'out of time; the next run continues'];
    if (state.next_at === null)
      return ['interrupted', 'paused', 'what is left belongs to paused policies; policy.resume lets it go'];
    return null;
  }

  async #lane(): Promise<void> {
    const blob = this.services.blob!;
    const declared = {
      references: this.#references,
      hosts: hostsOf(blob.bases),
      folders: foldersOf(this.services),
    };
    while (this.#remaining() > CLOSING_MS && !this.#notBefore && !this.#fatal) {
      const at = this.services.clock();
      const page = await this.#ask(() => claimFiles(this.services.database, declared, at));
      this.#stopped = page.stopped;
      this.#counts.referenced += page.kept;
      this.#counts.held += page.held;
      this.#counts.refused += page.refused;
      this.#counts.dead += page.refused;
      if (page.refused > 0) await this.#tell(page.refused);
      if (page.paths === 0) return;
      this.#pages += 1;
      await this.#settle(await deleteAtStore(page.files, this.#contextAt(at, blob)));
    }
  }

  /** How long a page that was claimed `at` this instant may be worked on. */
  #contextAt(at: Date, blob: Blob): StoreContext {
    return {
      blob,
      clock: this.services.clock,
      random: this.request.random ?? Math.random,
      until: new Date(
        Math.min(at.getTime() + WORK_SECONDS * 1000, this.request.deadline.getTime() - CLOSING_MS),
      ),
      deadline: new Date(this.request.deadline.getTime() - SETTLING_MS),
    };
  }

  async #settle({ settlements, deletedBytes, calls, notBefore, fatal }: StoreOutcome): Promise<void> {
    const dead = await this.#ask(() => settleFiles(this.services.database, settlements));
    for (const s of settlements) if (s.as !== 'untried') this.#counts[s.as] += s.ids.length;
    this.#counts.dead += dead;
    this.#bytesFreed += deletedBytes;
    this.#calls += calls;
    this.#slowDown(notBefore);
    this.#fatal ??= fatal;
    this.#log.info(
      {
        event: 'files.deleted',
        files_deleted: this.#counts.deleted,
        files_failed: this.#counts.failed,
        bytes_freed: this.#bytesFreed,
      },
      `Deleted ${this.#counts.deleted} files`,
    );
    if (dead > 0)
      this.#log.error({ event: 'files.dead', dead_letters: dead }, `${dead} outbox entries need a person`);
  }

  #slowDown(until: Date | null): void {
    if (until && (!this.#notBefore || until > this.#notBefore)) this.#notBefore = until;
  }

  /** A row has a name that a file of this column cannot have: by mistake, or to have another file deleted. */
  #tell(refused: number): Promise<void> {
    const about = { of: 'outbox', correlationId: this.request.correlationId };
    const message = `${refused} files of deleted rows were left: their names lie outside the column's prefix, at another host, or cannot be read; look at ?list=files`;
    return alert({ ...this.services, log: this.#log }, 'files.refused', about, message);
  }

  async #preflight(): Promise<void> {
    const unfit = query(
      sql`select ${unfitReferences(this.#references)} as unfit`,
      oneRow(z.object({ unfit: Unfit })),
    );
    const limits = { statementMs: 5_000, readOnly: true };
    const found = await this.#ask(() => askOne(this.services.database, unfit, limits));
    const problems = judgeReferences(found.unfit);
    if (problems.length > 0) throw new PreflightError('blob-outbox', problems);
  }

  #ask<T>(work: () => Promise<T>): Promise<T> {
    return pRetry(work, {
      ...this.services.backoff,
      // A claim that ran out of its time changed nothing: it is asked again, as often as anything else.
      shouldRetry: ({ error }) => isWorthAnother(error) && this.#remaining() > 0,
    });
  }

  #remaining(): number {
    return this.request.deadline.getTime() - this.services.clock().getTime();
  }

  async #result(
    outcome: DrainResult['outcome'],
    reason: string | null,
    message: string,
  ): Promise<DrainResult> {
    const state = await this.#ask(() => outboxState(this.services.database));
    return this.#answer(outcome, reason, message, state);
  }

  #answer(
    outcome: DrainResult['outcome'],
    reason: string | null,
    message: string,
    state: Pick<OutboxState, 'open' | 'open_bytes'> & Partial<OutboxState>,
  ): DrainResult {
    const durationSeconds = Math.max(0, this.services.clock().getTime() - this.#startedAt.getTime()) / 1000;
    const result: DrainResult = {
      outcome,
      reason,
      message,
      ...nextDrain({ outcome, reason }, state),
      ...this.#counts,
      bytesFreed: this.#bytesFreed,
      calls: this.#calls,
      pages: this.#pages,
      open: state.open,
      openBytes: state.open_bytes,
      durationSeconds,
    };
    this.#log[outcome === 'errored' ? 'error' : 'info'](
      {
        event: 'outbox.drained',
        page_size: PAGE,
        ...this.#counts,
        bytes_freed: this.#bytesFreed,
        open: state.open,
        outcome,
        reason,
        duration_seconds: durationSeconds,
      },
      message,
    );
    return result;
  }
}
