/**
 * The hourly job of people's rights: tells whose time runs out, erases again what a restore of the database brought back,
 * resumes what has been confirmed, and writes and deletes the copies that people asked for. With nothing to do it looks again
 * when the time of a request that waits for a person is nearly over, or that of a copy is.
 */
import type { JobRequest } from '../platform/job';
import type { Services } from '../services';
import { nextOnClock, watchClock } from './clock';
import { type Resumed, resumeErasures } from './erase';
import { carryOutExports } from './export/export';
import { nextEnd } from './export/store';
import { endReplay, type Replay, replayIfRestored } from './ledger/replay';

export interface RightsResult extends Resumed {
  /** What was taken up from the ledger; null while the database is not behind it. */
  readonly replay: Replay | null;
  /** Copies for people that were completed, and that went from the store. */
  readonly exports: { readonly written: number; readonly gone: number };
}

export async function erasuresJob(services: Services, request: JobRequest): Promise<RightsResult> {
  const { production, dryRun } = services.settings;
  // Time passes while only dry runs are allowed: only one that was asked for keeps it from being told.
  const isLooking = production && (!request.dryRun || dryRun);
  if (isLooking) await watchClock(services);
  const replay = isLooking ? await replayIfRestored(services, request.dryRun) : null;
  const { nextLook: own, ...resumed } = await resumeErasures(services, {
    ...request,
    actor: request.trigger,
  });
  if (isLooking && !request.dryRun) await endReplay(services, services.log);
  const exports = await carryOutExports(services, request);
  // While the database is behind the ledger, each call looks.
  if (own === undefined || replay !== null) return { ...resumed, replay, exports };
  const next = [await nextOnClock(services), await nextEnd(services.database)].filter((at) => at !== null);
  const nextLook = next.length === 0 ? null : new Date(Math.min(...next.map((at) => at.getTime())));
  return { ...resumed, replay, exports, nextLook };
}
