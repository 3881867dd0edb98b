/**
 * The operators' door (R12, G1): POST acts, GET lists. Nothing is read or done before the operator's own token
 * has been checked; CRON_SECRET does not open it. Bad input is answered with a 4xx that names the field,
 * and nothing is changed.
 */

import { takeAction } from '../operators/actions';
import { limitRate } from '../operators/rate';
import { readList } from '../operators/read';
import { RequestError } from '../platform/errors';
import { MAX_DURATION_SECONDS } from '../platform/jobs';
import { announceWork, EVERY_JOB } from '../platform/looks';
import { operatorOf, SHORTEST_TOKEN, tokenOf } from '../platform/settings/operators';
import { demand, type Permission, type Role } from '../platform/settings/roles';
import { type Services, services } from '../services';
import { answerJson } from './answer';
import { answered, flushed, type Handler } from './answered';
import { readJson } from './body';
import { urlOf } from './raw-url';
import { refusals } from './refusals';

/** What an operator's request carries. */
export interface Operated {
  readonly correlationId: string;
  /** The operator's own, for the database: lib/platform/session.ts `provenBy`. */
  readonly token: string;
  readonly roles: readonly Role[];
  /** Throws RequestError 403 unless the operator has a role that may. */
  readonly demand: (permission: Permission) => void;
}

/**
 * Authenticates, limits, answers. `work` gets the services and the operator's name; `script` names it in the log. Who only
 * looks may not post; what more an act needs, `work` demands.
 */
export function operatorRoute(
  work: (
    services: Services,
    operator: string,
    request: Request,
    about: Operated,
  ) => Promise<Response | unknown>,
  provide: () => Services = services,
  script = 'control',
  toRead: Permission = 'look',
): Handler {
  const strangers = refusals();
  return answered(script, provide, async ({ request, correlationId, services: made }) => {
    const s = made();
    const authorization = request.headers.get('authorization');
    const operator = operatorOf(authorization, s.settings.operators);
    if (operator === null) return strangers.refuse(unauthorized(authorization));
    demand(operator, request.method === 'POST' ? 'stop' : toRead);
    await limitRate(s.redis, operator.name);
    const log = s.log.child({ correlation_id: correlationId, script });
    if (request.method === 'POST') await announceAll(s, log);
    const about: Operated = {
      correlationId,
      token: tokenOf(authorization) ?? '',
      roles: operator.roles,
      demand: (permission) => demand(operator, permission),
    };
    const answer = await flushed(() => work({ ...s, log }, operator.name, request, about));
    return answer instanceof Response ? answer : answerJson(answer, correlationId);
  });
}

/** Whatever is decided may be work for any job. A stop must work while Redis is away: then the safety look finds it. */
async function announceAll({ redis, clock }: Services, log: Services['log']): Promise<void> {
  const ended = new Date(clock().getTime() + MAX_DURATION_SECONDS * 1000);
  if (await announceWork(redis, [EVERY_JOB], ended)) return;
  log.warn(
    { event: 'look.unannounced' },
    'Redis did not answer: what is decided here may wait for the safety look',
  );
}

/** A token that is too short to belong to any operator is refused without a hint. */
function unauthorized(authorization: string | null): RequestError {
  const token = /^Bearer (.*)$/.exec(authorization ?? '')?.[1];
  const isShort = token !== undefined && token.length < SHORTEST_TOKEN;
  return new RequestError(
    401,
    'unauthorized',
    isShort
      ? `an operator token has at least ${SHORTEST_TOKEN} characters: make one with openssl rand -hex 32`
      : 'send Authorization: Bearer <your operator token>; LAPSE_OPERATORS names who may',
  );
}

export const controlRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute((s, _operator, request) => readList(s, urlOf(request)), provide),
  POST: operatorRoute(
    async (s, operator, request, { token, roles }) =>
      takeAction({ services: s, operator, token, roles }, await readJson(request)),
    provide,
  ),
});
