/** What one of Lapse's own jobs is given and what it answers: the contract of a job, as lib/policies/contract.ts is that of a policy. */

export interface JobRequest {
  readonly correlationId: string;
  readonly deadline: Date;
  readonly dryRun: boolean;
  readonly trigger: 'cron' | 'manual';
}

export interface JobResult {
  readonly outcome: 'succeeded' | 'interrupted' | 'skipped' | 'errored';
  readonly reason: string | null;
  readonly message: string;
}
