/**
 * The stretches of one leg, one behind the other, each walked by one lane. What a cursor saves is the place of the first that
 * is not done: a resumed walk begins there, and of what lies behind it finds only what was not deleted.
 */
import type { Position } from '../statement/leg';

export interface Stretch {
  /** Where its next batch begins; null: at the beginning of the leg. */
  at: Position | null;
  /** Where it ends; null: where the leg does. */
  until: string | null;
  /** Rows for its next batch, where one of more was too much. */
  fewer: number | null;
}

/** One that no lane has begun. */
export const stretch = (at: Position | null, until: string | null): Stretch => ({ at, until, fewer: null });

export class Stretches {
  /** Not done, in the order of the walk. */
  readonly #left: Stretch[];
  readonly #taken = new Set<Stretch>();
  #waiting: (() => void)[] = [];

  constructor(stretches: readonly Stretch[]) {
    this.#left = [...stretches];
  }

  get areDone(): boolean {
    return this.#left.length === 0;
  }

  /** Where the first begins that is not done; only while there is one. */
  get low(): Position | null {
    return this.#left[0]?.at ?? null;
  }

  /** A lane waits for one. */
  get areWanted(): boolean {
    return this.#waiting.length > 0;
  }

  /** The first that no lane has; null: each has one. */
  take(): Stretch | null {
    const next = this.#left.find((s) => !this.#taken.has(s));
    if (next) this.#taken.add(next);
    return next ?? null;
  }

  done(stretch: Stretch): void {
    this.#left.splice(this.#left.indexOf(stretch), 1);
    this.wake();
  }

  /** `of` ends here; what lies behind is one of its own. */
  split(of: Stretch, middle: string): void {
    const rest = stretch({ clock: middle, key: [] }, of.until);
    of.until = middle;
    this.#left.splice(this.#left.indexOf(of) + 1, 0, rest);
    this.wake();
  }

  /** Until there is something to take, or nothing any more. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
