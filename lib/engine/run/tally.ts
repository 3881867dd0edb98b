/** What a run has done so far, as its answer, its record and its checkpoints say it. */
import {
  addKept,
  type Kept,
  type KeptBelow,
  type KeptBy,
  keptBelow,
  keptTotals,
} from '../../platform/outcome';
import type { RunResult } from './result';

/** What a batch or a look adds. */
export interface Counted {
  readonly picked: number;
  readonly kept: KeptBy;
  readonly deleted?: number;
  readonly dependants_deleted?: number;
  readonly files?: number;
  /** Receipts; one where anything was deleted, unless given. */
  readonly batches?: number;
}

/** How rows are found. */
export type Path = NonNullable<RunResult['path']>;

export class Tally {
  #path: Path = 'index';
  readonly #kept: Record<string, number> = {};
  #batches = 0;
  #picked = 0;
  #deleted = 0;
  #files = 0;

  add({ picked, kept, deleted = 0, dependants_deleted = 0, files = 0, batches }: Counted): void {
    this.#batches += batches ?? (deleted + dependants_deleted > 0 ? 1 : 0);
    this.#picked += picked;
    this.#deleted += deleted;
    this.#files += files;
    addKept(this.#kept, kept);
  }

  /** Rows that a sweep looked at and kept are looked at again by the next one. */
  takeBack(kept: KeptBy): void {
    for (const [name, n] of Object.entries(kept)) addKept(this.#kept, { [name]: -n });
  }

  /** The way that says most of how rows were found. */
  get path(): Path {
    return this.#path;
  }

  goesBy(path: Path): void {
    this.#path = path;
  }

  /** Batches that deleted something. */
  get batches(): number {
    return this.#batches;
  }

  /** Rows looked at. */
  get picked(): number {
    return this.#picked;
  }

  get deleted(): number {
    return this.#deleted;
  }

  /** Files that follow the deleted rows. */
  get files(): number {
    return this.#files;
  }

  get kept(): Kept {
    return keptTotals(this.#kept);
  }

  /** Of those, what a row below keeps. */
  get keptBelow(): KeptBelow {
    return keptBelow(this.#kept);
  }
}
