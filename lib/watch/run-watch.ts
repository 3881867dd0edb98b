/** The cron of the watch: looks whether everything ran, whatever else comes, and sends what waits to be told. */
import { deliver } from '../platform/alerts/deliver';
import type { JobRequest, JobResult } from '../platform/job';
import type { Services } from '../services';
import { type Look, lookForLateRuns } from './look';

export async function watchRuns(services: Services, request: JobRequest): Promise<JobResult & Partial<Look>> {
  const { production, dryRun } = services.settings;
  // The watch deletes nothing: only a dry run that was asked for keeps it from looking.
  if (!production || (request.dryRun && !dryRun)) {
    return {
      outcome: 'succeeded',
      reason: null,
      message: '[DRY RUN] no crons run here, so nothing can be late and no alert is sent',
    };
  }
  const seen = await lookForLateRuns(services, { force: true });
  if (!seen.looked)
    return { outcome: 'errored', reason: 'watch', message: 'the watch could not look; see its log' };
  const { sent, failed } = await deliver(services);
  const late = Object.values(seen.statuses).filter((s) => s !== 'on_time').length;
  const message = `${Object.keys(seen.statuses).length} watched, ${late} not on time; ${sent} alerts sent, ${failed} to be tried again`;
  return {
    ...{ outcome: 'succeeded', reason: null, message },
    ...seen,
    // What was just sent, or not taken, is looked at once more.
    ...(sent + failed > 0 ? { nextLook: undefined } : {}),
  };
}
