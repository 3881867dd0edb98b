/**
 * The one door to Sentry (M3): alerts by code, check-ins per policy, a span per batch. Nothing leaves that
 * could hold personal data: known errors go by their code and safe message, unknown ones by their class only.
 * Silent without SENTRY_DSN.
 */
import * as Sentry from '@sentry/nextjs';
import { LapseError } from './errors';
import type { Policy } from './policies/contract';
import type { RunResult } from './runner/result';
import type { RunRequest } from './runner/run';

/** The answer waits at most this long for the alerts to be out; a frozen function sends nothing later. */
const FLUSH_MS = 2_000;
/** Minutes a check-in may be late: crons are best effort within their minute, plus a cold start. */
const MARGIN_MINUTES = 5;

/** Options of Sentry.init: every collection of data off (PLATFORM §E2). */
export const sentryOptions = (
  env: Record<string, string | undefined>,
): Parameters<typeof Sentry.init>[0] => ({
  ...(env.SENTRY_DSN ? { dsn: env.SENTRY_DSN } : {}),
  environment: env.VERCEL_TARGET_ENV ?? env.VERCEL_ENV ?? 'development',
  ...(env.VERCEL_GIT_COMMIT_SHA ? { release: env.VERCEL_GIT_COMMIT_SHA } : {}),
  tracesSampleRate: 1,
  dataCollection: {
    userInfo: false,
    cookies: false,
    httpHeaders: { request: false, response: false },
    httpBodies: [],
    urlQueryParams: false,
    databaseQueryData: false,
    stackFrameVariables: false,
  },
  beforeSend(event) {
    const next = event.contexts?.nextjs as { request_path?: string } | undefined;
    if (next?.request_path) next.request_path = next.request_path.split('?')[0] ?? '';
    for (const value of event.exception?.values ?? []) {
      // A message nobody has vouched for may hold row values.
      if (!value.type?.startsWith('Lapse:')) value.value = '(message withheld)';
    }
    return event;
  },
});

/** Reports a failure by its class and code. */
export function capture(
  error: unknown,
  about: { policy?: string; correlationId?: string; code?: string },
): void {
  const code = about.code ?? (error instanceof LapseError ? error.code : 'unexpected');
  const safe = new Error(
    error instanceof LapseError ? error.message : error instanceof Error ? error.name : typeof error,
  );
  safe.name = `Lapse:${code}`;
  if (error instanceof Error && error.stack)
    safe.stack = `${safe.name}\n${error.stack
      .split('\n')
      .filter((l) => /^\s+at /.test(l))
      .join('\n')}`;
  Sentry.withScope((scope) => {
    scope.setFingerprint([code, about.policy ?? 'lapse']);
    scope.setTags({
      code,
      ...(about.policy ? { policy: about.policy } : {}),
      ...(about.correlationId ? { correlation_id: about.correlationId } : {}),
    });
    Sentry.captureException(safe);
  });
}

/** Thrown inside the monitor only, so that its check-in says "error" although an answer is returned. */
class RunErrored extends Error {
  constructor(readonly result: RunResult) {
    super(result.reason ?? 'errored');
  }
}

/** Runs with a check-in per policy where the schedule asked for it: a missed one is noticed by Sentry. */
export async function checkIn(
  policy: Policy,
  order: RunRequest,
  run: () => Promise<RunResult>,
): Promise<RunResult> {
  const traced = () =>
    Sentry.startSpan(
      { name: `run ${policy.name}`, op: 'lapse.run', attributes: { policy: policy.name } },
      async () => {
        const result = await run();
        if (result.outcome === 'errored') throw new RunErrored(result);
        return result;
      },
    );
  try {
    if (order.trigger !== 'cron') return await traced();
    return await Sentry.withMonitor(policy.name, traced, {
      schedule: { type: 'crontab', value: policy.schedule.run },
      checkinMargin: MARGIN_MINUTES,
      maxRuntime: Math.ceil(policy.allowedSeconds / 60) + 1,
      timezone: 'UTC',
      failureIssueThreshold: 1,
      recoveryThreshold: 1,
    });
  } catch (error) {
    if (!(error instanceof RunErrored)) throw error;
    capture(new LapseError(error.result.reason ?? 'errored', error.result.message), {
      policy: policy.name,
      correlationId: order.correlationId,
    });
    return error.result;
  }
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
