/** What an erasure answers, whether it was asked for, carried out or only previewed. */
import type { DrainResult } from '../files/drain';
import type { Problem } from '../platform/errors';
import type { Kept } from '../platform/outcome';
import type { Retained } from './graph';
import type { Keeping } from './ledger/keep';

export interface ErasureStepResult {
  /** The policy of the table; of a table without one, or of a mask, a name of its own. */
  readonly policy: string;
  readonly table: string | null;
  /** Rows go, are masked, or lose a reference to rows that go. */
  readonly action: 'delete' | 'mask' | 'detach';
  readonly outcome: string;
  readonly reason: string | null;
  /** Rows that went or, where the action is another, that were changed. */
  readonly deleted: number;
  readonly dependantsDeleted: number;
  readonly files: number;
  readonly bytes: number;
  readonly kept: Partial<Kept>;
}

/** What stays of the subject, and on which ground. */
export interface RetainedIn extends Retained {
  readonly table: string;
}

export interface ErasureResult {
  readonly id: string | null;
  readonly mode: 'delete' | 'dry_run';
  /** `succeeded`: nothing of the subject is left but `retained`. `waiting`: for a second operator; nothing was deleted. `interrupted`: the next call resumes. */
  readonly outcome: 'succeeded' | 'waiting' | 'interrupted' | 'errored';
  readonly reason: string | null;
  readonly message: string;
  /** Over all calls of this request; for a dry run, what a call would delete. */
  readonly deleted: number;
  /** Rows that stay, masked or without a reference. */
  readonly masked: number;
  readonly files: number;
  readonly bytes: number;
  readonly kept: number;
  readonly policies: readonly ErasureStepResult[];
  readonly retained: readonly RetainedIn[];
  /** Policies whose tables name no such subject. */
  readonly outOfReach: readonly string[];
  /** Nothing is erased until each is settled as its remedy says. */
  readonly problems: readonly Problem[];
  readonly outbox: DrainResult | null;
  /** `kept`: a restore of the database cannot undo it. `off`: no ledger is kept (LAPSE_RIGHTS_KEY, a store). Null: not done yet. */
  readonly ledger?: Keeping | null;
  /** Rows in archives that this call made dead: no restore brings them back. */
  readonly archived?: number;
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

/** Of the steps whose rows leave; and of those whose rows stay, changed. */
export const gone = (s: ErasureStepResult): number => (s.action === 'delete' ? s.deleted : 0);
export const masked = (s: ErasureStepResult): number => (s.action === 'delete' ? 0 : s.deleted);

export const sum = (kept: Partial<Kept>): number => Object.values(kept).reduce((n, k) => n + (k ?? 0), 0);
