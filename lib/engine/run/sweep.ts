/** One walk through the legs of a pass: leg after leg, batch after batch, each followed by its checkpoint. */
import { outboxFull } from '../../files/room';
import { DatabaseError } from '../../platform/errors';
import { addKept, type Ending } from '../../platform/outcome';
import { table } from '../../platform/sql';
import type { BatchResult } from '../statement/batch';
import { within } from '../statement/divide';
import { count } from '../statement/found';
import type { Leg } from '../statement/leg';
import { isThere } from '../statement/partition';
import { HEADROOM } from '../statement/request';
import { byBlocks } from './by-blocks';
import type { Cursor } from './checkpoint';
import { divided, middleOf, mostUnderWay } from './divided';
import { leaseLost, outOfTime } from './endings';
import { type LegWalkRequest, type Low, type Sent, type Stop, walkLeg } from './leg-walk';
import { startPace } from './pace';
import { LOOK } from './session';
import { type Stretch, Stretches, stretch } from './stretches';
import type { Pass } from './under-way';
import { progress } from './work';

/** Where in a leg; null: at its beginning. */
type Position = Cursor['position'];

export interface Place {
  /** Index among the legs of the pass. */
  readonly leg: number;
  readonly position: Position;
}

export class Sweep {
  /** Rows that were looked at and stay. */
  readonly kept: Record<string, number> = {};
  readonly #pace;
  readonly #isFirst: boolean;
  #slowestMs = 0;
  /** How many rows of all tables went with each governed one in the last batch of a tree; the next is planned by it. */
  #rowsOfEach: number | undefined;

  constructor(
    private readonly pass: Pass,
    /** The first of its pass: only that has a backlog ahead, which goes by blocks or in lanes. */
    { isFirst }: { readonly isFirst: boolean },
  ) {
    const { request, services } = pass.run;
    this.#pace = startPace(request.batchSize ?? services.settings.batchSize, request.batchSize !== undefined);
    this.#isFirst = isFirst;
  }

  /** Returns null at the end, or why it stopped before. */
  async from(start: Place): Promise<Ending | null> {
    for (let index = start.leg; index < this.pass.legs.length; index += 1) {
      const stop = await this.#walk(index, index === start.leg ? start.position : null);
      if (stop) return stop.ending;
    }
    return this.#leaseIfLost();
  }

  /** One leg to its end; null there. A partition that was dropped meanwhile has nothing left. */
  async #walk(index: number, start: Position): Promise<Stop | null> {
    try {
      return await this.#walkThere(index, start);
    } catch (error) {
      const { leaf } = this.pass.legs[index]!;
      const isMissing = error instanceof DatabaseError && error.sqlState === '42P01';
      if (!leaf || !isMissing || (await this.pass.run.session.reading.askOne(isThere(leaf), LOOK)))
        throw error;
      this.pass.run.log.info({ event: 'partition.gone', partition: table(leaf) }, 'a partition was dropped');
      return null;
    }
  }

  async #walkThere(index: number, start: Position): Promise<Stop | null> {
    const leg = this.pass.legs[index]!;
    let position = start;
    // What blocks have left, and what a later sweep comes back for, is little.
    let isBacklog = this.#isFirst;
    if (this.#isFirst && (position === null || position.block !== undefined)) {
      const before = this.pass.run.tally.batches;
      const ending = (await this.#leaseIfLost()) ?? (await byBlocks(this.pass, index, position));
      if (ending) return { ending };
      position = null;
      isBacklog = this.pass.run.tally.batches === before;
    }
    if (this.pass.proved.has(leg)) return null;
    const whole = [stretch(position, null)];
    return walkLeg(this.#by(index, isBacklog ? await divided(this.pass, leg, position) : whole));
  }

  #by(index: number, stretches: readonly Stretch[]): LegWalkRequest {
    const { run, legs } = this.pass;
    const leg = legs[index]!;
    return {
      stretches: new Stretches(stretches),
      lanes: Math.min(run.lanes, stretches.length),
      isOneByOne: () => run.neighbors.mayBeWriting || this.#isNearItsEnd,
      stopBefore: (at) => this.#stopBefore(index, at),
      send: (stretch) => this.#send(leg, stretch),
      isLost: () => this.#leaseIfLost(),
      follow: (low, sent) => this.#follow(index, low, sent),
      middle: (stretch) => middleOf(this.pass, leg, stretch),
    };
  }

  /** Why no further batch is sent; null to send one. */
  async #stopBefore(index: number, position: Position): Promise<Stop | null> {
    const { run, work } = this.pass;
    const isFull = run.tally.files >= work.mostFiles;
    const isEnough = this.#room <= 0;
    if (!isEnough && !isFull && run.deadline.hasTime(this.#slowestMs * 1.5)) return null;
    const lost = await this.#leaseIfLost();
    if (lost) return { ending: lost };
    if (isEnough) return { ending: work.most.ending ?? (await this.#lookOn(index, position)) };
    return { ending: isFull ? outboxFull('interrupted') : outOfTime };
  }

  /** Sends one batch. Null: it did not go; what kept it has been set aside, or the next takes fewer rows. */
  async #send(leg: Leg, next: Stretch): Promise<Sent | null> {
    const { batches, asOf, trail } = this.pass;
    const limit = Math.min(this.#limit, next.fewer ?? Number.POSITIVE_INFINITY);
    // What is limited is what goes, not what is looked at: rows that stay would make a step of ten thousand batches.
    const most = this.#room < limit ? { most: this.#room } : {};
    await batches.stillFit();
    const each = this.#rowsOfEach === undefined ? {} : { rowsOfEach: this.#rowsOfEach };
    const part = { position: next.at, limit, ...most, ...each, byRange: true };
    const request = batches.next(within(leg, next.until), asOf, part);
    const began = performance.now();
    try {
      const result = await batches.send(request);
      next.fewer = null;
      return { result, limit: request.limit, seq: request.seq, tookMs: performance.now() - began };
    } catch (error) {
      await trail.arrived().catch(() => false);
      const advice = await batches.after(error, request);
      if (advice === 'no') throw error;
      if (advice === 'fewer') {
        this.#pace.tooMuch();
        next.fewer = Math.max(1, Math.floor(request.limit / 2));
      }
      return null;
    }
  }

  /** Rows for the next batch, and so many that those of all tables together are half of what it may take. */
  get #limit(): number {
    const { bounds } = this.pass.run.neighbors;
    const rows = this.#pace.next(bounds);
    if (this.#rowsOfEach === undefined) return rows;
    return Math.max(1, Math.min(rows, Math.floor(bounds.mostRows / (HEADROOM * this.#rowsOfEach))));
  }

  /** What follows a batch: the size of the next, its checkpoint, its line in the log, and a rest where others need one. */
  async #follow(index: number, low: Low | null, { result, limit, seq, tookMs }: Sent): Promise<void> {
    const { run, work, trail, legs } = this.pass;
    this.#steer(result, limit, tookMs);
    addKept(this.kept, result.kept);
    // The checkpoint travels while the next batch runs; its answer is read before the one after.
    const next = low === null ? index + 1 : index;
    trail.leave(next, low?.at ?? null, legs[next]);
    run.log.info(
      {
        event: 'rows.deleted',
        records_deleted: result.deleted,
        seq,
        batch_size: limit,
        duration_seconds: Math.round(tookMs) / 1000,
      },
      progress(run.tally.deleted, work.total),
    );
    await run.neighbors.restAfter(result, tookMs);
  }

  #steer(result: BatchResult, limit: number, tookMs: number): void {
    const { neighbors } = this.pass.run;
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    if (result.deleted > 0 && result.dependants_deleted > 0)
      this.#rowsOfEach = 1 + result.dependants_deleted / result.deleted;
    if (neighbors.pressBy(result)) this.#pace.giveWay();
    else if (result.picked >= limit) this.#pace.took(limit, result.statement_ms ?? tookMs, neighbors.bounds);
  }

  /** After the last approved row nothing goes any more; what stays is still counted, as in the dry run. */
  async #lookOn(index: number, position: Position): Promise<Ending | null> {
    const { run, work, asOf, legs } = this.pass;
    const { picked, stayed, complete } = await count({
      policy: work.policy,
      legs: legs.slice(index),
      from: (leg) => (leg === legs[index] ? position : null),
      asOf,
      reading: run.session.reading,
      inTime: () => run.deadline.hasTime(),
    });
    if (!complete) return outOfTime;
    run.tally.add({ picked, kept: stayed });
    return null;
  }

  /** With a batch of every lane a bound of the run might be passed: of rows not by one, of files by one batch. */
  get #isNearItsEnd(): boolean {
    const { run, work } = this.pass;
    const files = run.lanes * this.#pace.next(run.neighbors.bounds);
    return this.#room < mostUnderWay(run.lanes) || work.mostFiles - run.tally.files < files;
  }

  /** Rows that may still go. */
  get #room(): number {
    return this.pass.work.most.rows - this.pass.run.tally.deleted;
  }

  async #leaseIfLost(): Promise<Ending | null> {
    return (await this.pass.trail.arrived()) ? null : leaseLost;
  }
}
