/**
 * The one way in for everything on a clock: Vercel Cron (GET), Vercel Schedules (POST) and a manual call. Nothing
 * is read or done before the caller is known: CRON_SECRET runs, an operator's own token makes dry runs, which then
 * carry the operator's name. HEAD, which link checkers and probes send, never runs.
 */

import { RequestError } from '../platform/errors';
import { MAX_DURATION_SECONDS } from '../platform/jobs';
import { operatorOf } from '../platform/settings/operators';
import { demand } from '../platform/settings/roles';
import type { Services } from '../services';
import { answered, flushed, type Handler } from './answered';
import { secretIn, warnOfPrevious } from './authorize';
import { deadlineOf } from './deadline';
import { type RunParameters, readRunParameters } from './parameters';
import { urlOf } from './raw-url';
import { refusals } from './refusals';

export interface CronRoute {
  readonly GET: Handler;
  readonly POST: Handler;
  readonly HEAD: () => Response;
}

/** A request that was let in. */
export interface Visit {
  readonly services: Services;
  readonly parameters: RunParameters;
  readonly correlationId: string;
  readonly deadline: Date;
  /** `cron` as the headers of the call claim it: anyone with CRON_SECRET can send them too. */
  readonly trigger: 'cron' | 'manual';
  /** The trigger, or the operator by name. */
  readonly actor: string;
  /** The schedule that fired, as Vercel names it; null for a manual call. */
  readonly schedule: string | null;
}

/** `provide` creates the services on the first request: a wrong setting becomes an answer instead of a crash. */
export function door(
  name: string,
  provide: () => Services,
  work: (visit: Visit) => Promise<Response>,
): CronRoute {
  const strangers = refusals();
  const handle = answered(name, provide, async ({ request, correlationId, services }) => {
    const secret = secretIn(request, 'CRON_SECRET');
    const operator = secret ? null : operatorIn(request, services);
    if (!secret && operator === null) strangers.refuse(unauthorized());
    const s = services();
    if (secret) warnOfPrevious(secret, 'CRON_SECRET', s.log.child({ correlation_id: correlationId }));
    const parameters = readRunParameters(urlOf(request));
    if (operator !== null && !parameters.dryRun) throw onlyDry();
    const schedule = operator === null ? scheduleOf(request) : null;
    const trigger = schedule === null ? 'manual' : 'cron';
    const lower = [s.settings.maxDurationSeconds, parameters.maxSeconds];
    const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, lower);
    const actor = operator ?? trigger;
    return flushed(() =>
      work({ services: s, parameters, correlationId, deadline, trigger, actor, schedule }),
    );
  });
  return { GET: handle, POST: handle, HEAD: refuseHead };
}

/** Settings are read only for a request that carries a bearer token: one without costs nothing. */
const operatorIn = (request: Request, services: () => Services): string | null => {
  const authorization = request.headers.get('authorization');
  if (!authorization?.startsWith('Bearer ')) return null;
  const operator = operatorOf(authorization, services().settings.operators);
  if (operator) demand(operator, 'operate');
  return operator?.name ?? null;
};

/** Everything that Vercel Cron sends: one header alone does not make a manual run look scheduled. */
const scheduleOf = (request: Request): string | null =>
  request.headers.get('user-agent') === 'vercel-cron/1.0'
    ? request.headers.get('x-vercel-cron-schedule')
    : null;

const unauthorized = () =>
  new RequestError(
    401,
    'unauthorized',
    'send the header Authorization: Bearer <CRON_SECRET>, or for a dry run your operator token',
  );

const onlyDry = () =>
  new RequestError(
    403,
    'only_dry_runs',
    'an operator token only allows dry runs here: add ?dryRun=1; real runs need CRON_SECRET, as the schedule sends it',
    'dryRun',
  );

const refuseHead = (): Response => new Response(null, { status: 405, headers: { allow: 'GET, POST' } });
