/** What a run is asked to do. */
export interface RunRequest {
  readonly trigger: 'cron' | 'manual';
  readonly actor: string;
  readonly correlationId: string;
  /** Finished, with the answer sent, by then. */
  readonly deadline: Date;
  readonly dryRun: boolean;
  /** At most this many rows of the governed table. */
  readonly limit?: number;
  /** Exactly this batch size, instead of the adaptive one. */
  readonly batchSize?: number;
}
