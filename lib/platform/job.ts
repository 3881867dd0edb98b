/** What one of Lapse's own jobs is given and what it answers: the contract of a job, as lib/policies/contract.ts is that of a policy. */

export interface JobRequest {
  readonly correlationId: string;
  readonly deadline: Date;
  readonly dryRun: boolean;
  readonly trigger: 'cron' | 'manual';
}

/**
 * A job's law: when PostgreSQL must be asked again, as long as nothing announces new work for it (lib/platform/looks.ts).
 * `daily`: it is done for this day, by its daily schedule; null: nothing it knows of falls due, so only the safety look asks.
 */
export type NextLook = Date | 'daily' | null;

export interface JobResult {
  readonly outcome: 'succeeded' | 'interrupted' | 'skipped' | 'errored';
  readonly reason: string | null;
  readonly message: string;
  /** Left out, each call asks PostgreSQL. */
  readonly nextLook?: NextLook;
}
