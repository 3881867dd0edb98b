/** What a run answers: the same object in the HTTP answer, the log and the record. */

import type { DrainResult } from '../../files/drain';
import type { Kept, KeptBelow, Mode, Outcome, Preview, SlaStatus } from '../../platform/outcome';

export interface RunResult {
  readonly policy: string;
  readonly runId: string | null;
  readonly mode: Mode;
  readonly outcome: Outcome;
  /** Why not `succeeded`: `locked`, `paused`, `time`, `limit`, `busy`, `preflight`, `redis`, … ; null when drained. */
  readonly reason: string | null;
  /** One sentence for the reader, with what to do next where there is something to do. */
  readonly message: string;
  readonly correlationId: string;
  /** How rows were found: by the index, tenant by tenant, by whole partitions, or, for a large backlog, block by block. */
  readonly path?: 'index' | 'tenant' | 'heap' | 'partition';
  /** The instant retention is counted back from, fixed for the pass. */
  readonly asOf: string;
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly batches: number;
  readonly picked: number;
  readonly deleted: number;
  readonly dependantsDeleted: number;
  readonly filesQueued: number;
  readonly bytesFreed: number;
  readonly byRule: Record<string, { deleted: number; bytes: number }>;
  readonly kept: Kept;
  /** Of `kept`, what another row keeps, below it or one that refers to it: by reason and by its table. */
  readonly keptBelow: KeptBelow;
  /** Requests sent to PostgreSQL and commands sent to Redis by this run. */
  readonly requests: { postgres: number; redis: number };
  readonly slaStatus: SlaStatus;
  /** Only when skipped because another run holds the lease. */
  readonly heldBy?: { readonly holder: string; readonly secondsLeft: number };
  /** Only when the run queued files and the outbox was drained behind it. */
  readonly files?: DrainResult;
  /** Only when the rollout's step or an approval bounds this run: it may delete so many rows. */
  readonly bounded?: { readonly by: 'rollout' | 'approval'; readonly rows: number };
  /** Only for a dry run. */
  readonly preview?: Preview;
}
