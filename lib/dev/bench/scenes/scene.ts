/** A scene of the bench: what a comparison of ways does not show. One file each. */
import type { Client } from 'pg';
import type { BlobStore } from '../../local-cloud/blob/store';

export interface Copy {
  readonly owner: Client;
  readonly url: string;
  readonly env: Record<string, string>;
}

/** A database that is made from the bench's own once, then copied like it. */
export interface Template {
  readonly name: string;
  /** What the scene deletes from: analyzed and read once before each copy is used. */
  readonly table: string;
  make(owner: Client): Promise<void>;
}

export interface Stage {
  /** Rows of the table that is copied. */
  readonly rows: number;
  readonly cutoff: string;
  /** How often each side of a comparison runs; medians count. */
  readonly rounds: number;
  /** A fresh copy with a warm cache; the previous one is dropped. */
  fresh(from?: Template): Promise<Copy>;
  readonly store: BlobStore;
}

export interface Scene {
  /** Key under `ratios`. */
  readonly name: string;
  /** What `--only` also calls it. */
  readonly only?: string;
  /** Rows that are enough for it alone; any number serves it. */
  readonly leastRows?: number;
  readonly target: string;
  run(stage: Stage): Promise<{ ratio: number; figures: Record<string, unknown> }>;
}

/** By the index in one lane. */
export const index = { path: 'index', lanes: 1 } as const;
/** As a run chooses by itself, in two lanes. */
export const auto = { path: 'auto', lanes: 2 } as const;

/** The instant before which exactly about `n` rows were completed. */
export async function cutoffFor(owner: Client, n: number): Promise<string> {
  const r = await owner.query(
    `select completed_at from quiz_responses where completed_at > '-infinity' order by completed_at offset $1 limit 1`,
    [n],
  );
  return (r.rows[0].completed_at as Date).toISOString();
}

/** Nine copies of every row, completed at `completedAt`. */
export async function grow(owner: Client, completedAt: string): Promise<void> {
  await owner.query(
    `insert into quiz_responses (user_id, organization_id, quiz, answers, started_at, completed_at)
     select user_id, organization_id, quiz, answers, started_at, ${completedAt}
     from quiz_responses cross join generate_series(1, 9)`,
  );
  await owner.query('vacuum analyze quiz_responses');
  await owner.query('checkpoint');
}
