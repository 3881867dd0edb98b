/** What a run is asked to do. */
export interface RunRequest {
  readonly trigger: 'cron' | 'manual';
  readonly actor: string;
  readonly correlationId: string;
  /** Finished, with the answer sent, by then. */
  readonly deadline: Date;
  readonly dryRun: boolean;
  /** A UUID that the caller has made, to follow the run by; one of its own unless given. */
  readonly runId?: string;
  /** At most this many rows of the governed table. */
  readonly limit?: number;
  /** Exactly this batch size, instead of the adaptive one. */
  readonly batchSize?: number;
}
