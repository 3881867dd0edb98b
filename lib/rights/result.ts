/** What an erasure answers, whether it was asked for, carried out or only previewed. */
import type { DrainResult } from '../files/drain';
import type { Kept } from '../platform/outcome';
import type { Keeping } from './ledger/keep';

export interface ErasureStepResult {
  readonly policy: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly deleted: number;
  readonly dependantsDeleted: number;
  readonly files: number;
  readonly bytes: number;
  readonly kept: Partial<Kept>;
}

export interface ErasureResult {
  readonly id: string | null;
  readonly mode: 'delete' | 'dry_run';
  /** `succeeded`: nothing of the subject is left. `waiting`: for a second operator; nothing was deleted. `interrupted`: the next call resumes. */
  readonly outcome: 'succeeded' | 'waiting' | 'interrupted' | 'errored';
  readonly reason: string | null;
  readonly message: string;
  /** Over all calls of this request; for a dry run, what a call would delete. */
  readonly deleted: number;
  readonly files: number;
  readonly bytes: number;
  readonly kept: number;
  readonly policies: readonly ErasureStepResult[];
  /** Tables that name no such subject. */
  readonly outOfReach: readonly string[];
  readonly outbox: DrainResult | null;
  /** `kept`: a restore of the database cannot undo it. `off`: no ledger is kept (LAPSE_RIGHTS_KEY, a store). Null: not done yet. */
  readonly ledger?: Keeping | null;
}

/** What every call is given. */
export interface ErasureCall {
  readonly actor: string;
  /** The operator's own; a scheduled call has none and decides nothing. */
  readonly token?: string;
  readonly correlationId: string;
  readonly deadline: Date;
}

export const total = (policies: readonly ErasureStepResult[], of: (s: ErasureStepResult) => number): number =>
  policies.reduce((n, s) => n + of(s), 0);

export const sum = (kept: Partial<Kept>): number => Object.values(kept).reduce((n, k) => n + (k ?? 0), 0);
