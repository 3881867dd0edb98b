/**
 * The hourly job of people's rights: tells whose time runs out, then resumes what has been confirmed. With nothing to resume
 * it looks again when the time of a request that waits for a person is nearly over.
 */
import type { JobRequest } from '../platform/job';
import type { Services } from '../services';
import { nextOnClock, watchClock } from './clock';
import { type Resumed, resumeErasures } from './erase';

export async function erasuresJob(services: Services, request: JobRequest): Promise<Resumed> {
  const { production, dryRun } = services.settings;
  // Time passes while only dry runs are allowed: only one that was asked for keeps it from being told.
  if (production && (!request.dryRun || dryRun)) await watchClock(services);
  const resumed = await resumeErasures(services, { ...request, actor: request.trigger });
  if (resumed.nextLook === undefined) return resumed;
  return { ...resumed, nextLook: await nextOnClock(services) };
}
