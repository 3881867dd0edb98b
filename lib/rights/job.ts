/**
 * The hourly job of people's rights: tells whose time runs out, erases again what a restore of the database brought back, and
 * resumes what has been confirmed. With nothing to resume it looks again when the time of a request that waits for a person is
 * nearly over.
 */
import type { JobRequest } from '../platform/job';
import type { Services } from '../services';
import { nextOnClock, watchClock } from './clock';
import { type Resumed, resumeErasures } from './erase';
import { endReplay, type Replay, replayIfRestored } from './ledger/replay';

export interface RightsResult extends Resumed {
  /** What was taken up from the ledger; null while the database is not behind it. */
  readonly replay: Replay | null;
}

export async function erasuresJob(services: Services, request: JobRequest): Promise<RightsResult> {
  const { production, dryRun } = services.settings;
  // Time passes while only dry runs are allowed: only one that was asked for keeps it from being told.
  const isLooking = production && (!request.dryRun || dryRun);
  if (isLooking) await watchClock(services);
  const replay = isLooking ? await replayIfRestored(services, request.dryRun) : null;
  const { nextLook, ...resumed } = await resumeErasures(services, { ...request, actor: request.trigger });
  if (isLooking && !request.dryRun) await endReplay(services, services.log);
  // While the database is behind the ledger, each call looks.
  if (nextLook === undefined || replay !== null) return { ...resumed, replay };
  return { ...resumed, replay, nextLook: await nextOnClock(services) };
}
