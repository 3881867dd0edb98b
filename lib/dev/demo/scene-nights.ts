/** The nights of the scene: the real routes of the crons, called at the instants of their schedules on a clock that is passed in. */
import { cronRoute } from '../../http/cron-route';
import { jobRoute } from '../../http/job-route';
import { OWN_WORK, type Work } from '../../http/own-jobs';
import { cronPath, ORDER_JOB, OWN_JOBS, WATCH_JOB } from '../../platform/jobs';
import { nextRun } from '../../policies/next-run';
import type { Services } from '../../services';
import { declaredJob } from '../../watch/expected';
import { watchRuns } from '../../watch/run-watch';

const DAY_MS = 86_400_000;
/** A call comes some seconds after its minute, as Vercel's do. */
const LATE_MS = 4_000;

export type ServicesAt = (clock: () => Date) => Services;

interface Lane {
  readonly name: string;
  readonly schedule: string;
}

/** Each policy once a night, side by side, but nothing after `until`: none reads what another wrote. */
export async function playNights(
  services: ServicesAt,
  from: Date,
  nights: number,
  until: Date,
): Promise<void> {
  const { policies } = services(() => from);
  await Promise.all(
    policies.map(async ({ name, schedule }) => {
      for (let n = 0; n < nights; n += 1) {
        const at = firstOf(schedule.run, new Date(from.getTime() + n * DAY_MS));
        if (at <= until) await call(services, { name, schedule: schedule.run }, at);
      }
    }),
  );
}

/** Lapse's own jobs, each once at this instant; the watch before them, so that it is not late itself, and after them. */
export async function playJobs(services: ServicesAt, at: Date): Promise<void> {
  const watch = declaredJob(WATCH_JOB);
  const others = [ORDER_JOB, ...OWN_JOBS].filter((job) => job.name !== WATCH_JOB);
  for (const job of [watch, ...others, watch]) await call(services, job, at);
}

function firstOf(schedule: string, midnight: Date): Date {
  const due = nextRun(schedule, new Date(midnight.getTime() - 1));
  if (!due) throw new TypeError(`${schedule} never comes`);
  return new Date(due.getTime() + LATE_MS);
}

/** A run may end as it likes; a call that is not let in would leave the scene without it. */
async function call(services: ServicesAt, { name, schedule }: Lane, at: Date): Promise<void> {
  // It goes on while the call is at work: a job waits for a file that the store refuses.
  const began = Date.now();
  const made = services(() => new Date(at.getTime() + Date.now() - began));
  const works: Readonly<Record<string, Work | undefined>> = {
    ...OWN_WORK,
    [WATCH_JOB]: watchRuns,
  };
  const work = works[name];
  const route = work ? jobRoute(name, work, () => made) : cronRoute(name, () => made);
  const answer = await route.GET(
    new Request(`http://localhost${cronPath(name)}`, {
      headers: {
        authorization: `Bearer ${made.settings.cronSecret}`,
        'user-agent': 'vercel-cron/1.0',
        'x-vercel-cron-schedule': schedule,
      },
    }),
  );
  if (answer.status >= 400 && answer.status < 500)
    throw new Error(`${name} answered ${answer.status} in the scene: ${await answer.text()}`);
}
