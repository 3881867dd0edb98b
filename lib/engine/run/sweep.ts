/** One walk through the legs of a pass: leg after leg, batch after batch, each followed by its checkpoint. */
import { outboxFull } from '../../files/room';
import { type Ending, type Kept, noneKept } from '../../platform/outcome';
import type { BatchRequest, BatchResult } from '../statement/batch';
import { count } from '../statement/found';
import type { Leg } from '../statement/leg';
import { byBlocks } from './by-blocks';
import type { Cursor } from './checkpoint';
import { leaseLost, outOfTime } from './endings';
import { startPace } from './pace';
import type { Pass } from './under-way';
import { progress } from './work';

/** Where in a leg; null: at its beginning. */
type Position = Cursor['position'];

export interface Place {
  /** Index among the legs of the pass. */
  readonly leg: number;
  readonly position: Position;
}

/** The sweep is over; `ending` null: there is nothing more to do in it. */
interface Stop {
  readonly ending: Ending | null;
}

/** A batch that committed. */
interface Sent {
  readonly request: BatchRequest;
  readonly result: BatchResult;
  readonly tookMs: number;
}

export class Sweep {
  /** Rows that were looked at and stay. */
  readonly kept: Kept = noneKept();
  readonly #pace;
  readonly #mayGoByBlocks: boolean;
  #slowestMs = 0;

  constructor(
    private readonly pass: Pass,
    { mayGoByBlocks }: { readonly mayGoByBlocks: boolean },
  ) {
    const { request, services } = pass.run;
    this.#pace = startPace(request.batchSize ?? services.settings.batchSize, request.batchSize !== undefined);
    this.#mayGoByBlocks = mayGoByBlocks;
  }

  /** Returns null at the end, or why it stopped before. */
  async from(start: Place): Promise<Ending | null> {
    for (let index = start.leg; index < this.pass.legs.length; index += 1) {
      const stop = await this.#walk(index, index === start.leg ? start.position : null);
      if (stop) return stop.ending;
    }
    return this.#leaseIfLost();
  }

  /** One leg to its end; null there. */
  async #walk(index: number, start: Position): Promise<Stop | null> {
    const leg = this.pass.legs[index]!;
    let position = start;
    while (!this.pass.proved.has(leg)) {
      if (this.#mayGoByBlocks && (position === null || position.block !== undefined)) {
        const ending = (await this.#leaseIfLost()) ?? (await byBlocks(this.pass, index, position));
        if (ending) return { ending };
        position = null;
        if (this.pass.proved.has(leg)) break;
      }
      const stop = await this.#stopBefore(index, position);
      if (stop) return stop;
      const sent = await this.#send(leg, position);
      if (sent === null) continue;
      const { ended, ...after } = sent.result.after;
      const lost = await this.#leaseIfLost();
      if (lost) return { ending: lost };
      await this.#follow(index, ended ? null : after, sent);
      if (ended) break;
      position = after;
    }
    return null;
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
  async #send(leg: Leg, position: Position): Promise<Sent | null> {
    const { run, batches, asOf, trail } = this.pass;
    const limit = this.#pace.next(run.neighbors.bounds);
    // What is limited is what goes, not what is looked at: rows that stay would make a step of ten thousand batches.
    const most = this.#room < limit ? { most: this.#room } : {};
    await batches.stillFit();
    const request = batches.next(leg, asOf, { position, limit, ...most, byRange: true });
    const began = performance.now();
    try {
      const result = await batches.send(request);
      return { request, result, tookMs: performance.now() - began };
    } catch (error) {
      await trail.arrived().catch(() => false);
      const advice = await batches.after(error, request);
      if (advice === 'no') throw error;
      if (advice === 'fewer') this.#pace.tooMuch();
      return null;
    }
  }

  /** What follows a batch: the size of the next, its checkpoint, its line in the log, and a rest where others need one. */
  async #follow(index: number, position: Position, { request, result, tookMs }: Sent): Promise<void> {
    const { run, work, trail, legs } = this.pass;
    this.#steer(result, request.limit, tookMs);
    for (const [reason, n] of Object.entries(result.kept)) this.kept[reason as keyof Kept] += n ?? 0;
    // The checkpoint travels while the next batch runs; its answer is read before the one after.
    const next = position === null ? index + 1 : index;
    trail.leave(next, position, legs[next]);
    run.log.info(
      {
        event: 'rows.deleted',
        records_deleted: result.deleted,
        seq: request.seq,
        batch_size: request.limit,
        duration_seconds: Math.round(tookMs) / 1000,
      },
      progress(run.tally.deleted, work.total),
    );
    await run.neighbors.restAfter(result, tookMs);
  }

  #steer(result: BatchResult, limit: number, tookMs: number): void {
    const { neighbors } = this.pass.run;
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    if (neighbors.pressBy(result)) this.#pace.giveWay();
    else if (result.picked >= limit) this.#pace.took(limit, result.statement_ms ?? tookMs, neighbors.bounds);
  }

  /** After the last approved row nothing goes any more; what stays is still counted, as in the dry run. */
  async #lookOn(index: number, position: Position): Promise<Ending | null> {
    const { run, work, asOf, legs } = this.pass;
    const { picked, kept, complete } = await count({
      policy: work.policy,
      legs: legs.slice(index),
      from: (leg) => (leg === legs[index] ? position : null),
      asOf,
      reading: run.session.reading,
      inTime: () => run.deadline.hasTime(),
    });
    if (!complete) return outOfTime;
    run.tally.add({ picked, kept });
    return null;
  }

  /** Rows that may still go. */
  get #room(): number {
    return this.pass.work.most.rows - this.pass.run.tally.deleted;
  }

  async #leaseIfLost(): Promise<Ending | null> {
    return (await this.pass.trail.arrived()) ? null : leaseLost;
  }
}
