/**
 * One leg by its index, in lanes over its stretches. They are disjoint, so no row is looked at by two of them; a lane that
 * comes to an end takes the next, and where none is left, half of what another has still ahead. In company, and just before a bound of the run, one lane works.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ending } from '../../platform/outcome';
import type { BatchResult } from '../statement/batch';
import type { Position } from '../statement/leg';
import { inLanes } from './lanes';
import type { Stretch, Stretches } from './stretches';

/** How often a lane that makes room looks whether it still has to. */
const LOOK_MS = 100;
/** So many halves in a row with less than one batch in them, or none to be had: what is left cannot be divided by time. */
const MOST_VAIN = 6;

/** The walk is over; `ending` null: there is nothing more to do. */
export interface Stop {
  readonly ending: Ending | null;
}

/** A batch that committed. */
export interface Sent {
  readonly result: BatchResult;
  readonly limit: number;
  readonly seq: number;
  readonly tookMs: number;
}

/** The first place that is not done. */
export interface Low {
  readonly at: Position | null;
}

export interface LegWalkRequest {
  readonly stretches: Stretches;
  readonly lanes: number;
  /** Whether to send no batch beside another. */
  isOneByOne(): boolean;
  /** Why no further batch is sent from here; null to send one. */
  stopBefore(at: Position | null): Promise<Stop | null>;
  /** Sends the next batch of a stretch. Null: it did not go, and the same place is tried again. */
  send(stretch: Stretch): Promise<Sent | null>;
  /** The lease is lost, so the batch leaves no checkpoint. */
  isLost(): Promise<Ending | null>;
  /** What follows a batch; `low` null: the leg is done. */
  follow(low: Low | null, sent: Sent): Promise<void>;
  /** Where half the time of a stretch that has begun is over; null: it is not divided. */
  middle(stretch: Readonly<Stretch>): Promise<string | null>;
}

/** Returns null at the end of the leg. */
export const walkLeg = (request: LegWalkRequest): Promise<Stop | null> => new LegWalk(request).toEnd();

class LegWalk {
  /** Lanes that send a batch. */
  #atWork = 0;
  #vain = 0;
  #stop: Stop | null = null;

  constructor(private readonly request: LegWalkRequest) {}

  async toEnd(): Promise<Stop | null> {
    await inLanes(this.request.lanes, () => this.#lane());
    return this.#stop;
  }

  async #lane(): Promise<void> {
    const { stretches } = this.request;
    try {
      while (this.#stop === null && !stretches.areDone) {
        const stretch = stretches.take();
        if (stretch) await this.#walk(stretch);
        else await stretches.change();
      }
    } catch (error) {
      // The others end with the batch they are at.
      this.#stop ??= { ending: null };
      throw error;
    } finally {
      stretches.wake();
    }
  }

  async #walk(stretch: Stretch): Promise<void> {
    let batches = 0;
    while (this.#stop === null) {
      // One lane at a time then, whichever: the others may have come to their end.
      if (this.#atWork > 0 && this.request.isOneByOne()) {
        await sleep(LOOK_MS);
        continue;
      }
      this.#atWork += 1;
      const isOver = await this.#batch(stretch).finally(() => {
        this.#atWork -= 1;
      });
      if (isOver) break;
      batches += 1;
    }
    this.#vain = batches === 0 ? this.#vain + 1 : 0;
  }

  /** Whether the stretch, or the walk, is over. */
  async #batch(stretch: Stretch): Promise<boolean> {
    const { request } = this;
    const { stretches } = request;
    const stop = await request.stopBefore(stretch.at);
    this.#stop ??= stop;
    if (this.#stop !== null) return true;
    const sent = await request.send(stretch);
    if (sent === null) return false;
    const { ended, ...after } = sent.result.after;
    const lost = await request.isLost();
    if (lost) {
      this.#stop ??= { ending: lost };
      return true;
    }
    stretch.at = after;
    if (ended) stretches.done(stretch);
    await request.follow(stretches.areDone ? null : { at: stretches.low }, sent);
    if (!ended && stretches.areWanted) await this.#share(stretch);
    return ended;
  }

  async #share(stretch: Stretch): Promise<void> {
    if (this.#vain >= MOST_VAIN) return;
    const middle = await this.request.middle(stretch);
    if (middle === null) this.#vain += 1;
    else this.request.stretches.split(stretch, middle);
  }
}
