/**
 * The one door to Sentry (M3): alerts by code, check-ins per policy, a span per batch. Nothing leaves that
 * could hold personal data: known errors go by their code and safe message, unknown ones by their class only.
 * Silent without SENTRY_DSN.
 */
import * as Sentry from '@sentry/nextjs';
import { codeOf, LapseError } from './errors';
import type { Outcome } from './outcome';
import { NO_COLLECTION, OWN_ERROR, scrubEvent, scrubSpan, scrubTraces } from './scrub';

/** The answer waits at most this long for the alerts to be out; a frozen function sends nothing later. */
const FLUSH_MS = 2_000;

/** Options of Sentry.init: every collection of data off (PLATFORM §E2). */
export const sentryOptions = (
  env: Record<string, string | undefined>,
): Parameters<typeof Sentry.init>[0] => ({
  ...(env.SENTRY_DSN ? { dsn: env.SENTRY_DSN } : {}),
  environment: env.VERCEL_TARGET_ENV ?? env.VERCEL_ENV ?? 'development',
  ...(env.VERCEL_GIT_COMMIT_SHA ? { release: env.VERCEL_GIT_COMMIT_SHA } : {}),
  tracesSampleRate: 1,
  dataCollection: NO_COLLECTION,
  beforeSend: scrubEvent,
  beforeSendSpan: scrubSpan,
  beforeBreadcrumb: () => null,
  integrations: [scrubTraces],
});

/** Reports a failure by its class and code. */
export function capture(
  error: unknown,
  about: { policy?: string; correlationId?: string; code?: string; level?: 'info' | 'warning' | 'error' },
): void {
  const code = about.code ?? codeOf(error);
  const safe = new Error(
    error instanceof LapseError ? error.message : error instanceof Error ? error.name : typeof error,
  );
  safe.name = `${OWN_ERROR}${code}`;
  if (error instanceof Error && error.stack)
    safe.stack = `${safe.name}\n${error.stack
      .split('\n')
      .filter((l) => /^\s+at /.test(l))
      .join('\n')}`;
  Sentry.withScope((scope) => {
    if (about.level) scope.setLevel(about.level);
    scope.setFingerprint([code, about.policy ?? 'lapse']);
    scope.setTags({
      code,
      ...(about.policy ? { policy: about.policy } : {}),
      ...(about.correlationId ? { correlation_id: about.correlationId } : {}),
    });
    Sentry.captureException(safe);
  });
}

/** What a check-in needs to know of the result of a policy's run or of a job. */
interface Finished {
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly message: string;
}

/** Thrown inside the monitor only, so that its check-in says "error" although an answer is returned. */
class RunErrored<R extends Finished> extends Error {
  constructor(readonly result: R) {
    super(result.reason ?? 'errored');
  }
}

export interface Monitor {
  readonly name: string;
  /** The declared schedules, the one of the first run first. */
  readonly schedules: readonly (string | undefined)[];
  readonly allowedSeconds: number;
  /** How late a run may begin. */
  readonly latenessSeconds: number;
}

/** Runs with a check-in where a schedule asked for it: a run that does not come is noticed by Sentry. */
export async function checkIn<R extends Finished>(
  monitor: Monitor,
  by: { readonly schedule: string | null; readonly correlationId: string },
  run: () => Promise<R>,
): Promise<R> {
  const traced = () =>
    Sentry.startSpan(
      { name: `run ${monitor.name}`, op: 'lapse.run', attributes: { policy: monitor.name } },
      async () => {
        const result = await run();
        if (result.outcome === 'errored') throw new RunErrored(result);
        return result;
      },
    );
  try {
    if (by.schedule === null) return await traced();
    return await Sentry.withMonitor(monitor.name, traced, {
      schedule: { type: 'crontab', value: expected(monitor, by.schedule) },
      checkinMargin: Math.ceil(monitor.latenessSeconds / 60),
      maxRuntime: Math.ceil(monitor.allowedSeconds / 60) + 1,
      timezone: 'UTC',
      failureIssueThreshold: 1,
      recoveryThreshold: 1,
    });
  } catch (error) {
    if (!(error instanceof RunErrored)) throw error;
    const result = error.result as R;
    capture(new LapseError(result.reason ?? 'errored', result.message), {
      policy: monitor.name,
      correlationId: by.correlationId,
    });
    return result;
  }
}

/** The declared schedule, or the one that fired when it differs (one run a day on Vercel's Hobby plan). */
function expected({ schedules }: Monitor, fired: string): string {
  const isCron = /^[\d*,/-]+( [\d*,/-]+){4}$/.test(fired);
  return isCron && !schedules.includes(fired) ? fired : (schedules[0] ?? fired);
}

/** A span of the current trace. */
export const span = <T>(
  name: string,
  attributes: Record<string, string | number>,
  work: () => Promise<T>,
): Promise<T> => Sentry.startSpan({ name, op: 'lapse.batch', attributes }, work);

export const flush = async (): Promise<void> => {
  await Sentry.flush(FLUSH_MS);
};
