/**
 * The operators' door to erasures: POST asks for one, confirms or withdraws it, GET lists them with the days that are left,
 * or shows one with its history, or its certificate. Opened by an operator's
 * own token only, whose name is recorded in each entry of the audit chain and in each receipt; CRON_SECRET only resumes
 * what has been confirmed (/api/cron/erasures).
 */
import { z } from 'zod';
import { limitRate } from '../operators/rate';
import { LapseError, RequestError } from '../platform/errors';
import { MAX_DURATION_SECONDS } from '../platform/jobs';
import { capture } from '../platform/sentry';
import { certificateOf } from '../rights/certificate';
import { confirmRequest, eraseSubject, withdrawRequest } from '../rights/erase';
import type { ErasureCall, ErasureResult } from '../rights/result';
import { listErasures, readErasure, UNDER_WAY } from '../rights/store';
import { type Services, services } from '../services';
import { answerJson } from './answer';
import type { Handler } from './answered';
import { checked, reason } from './asked';
import { readJson } from './body';
import { deadlineOf } from './deadline';
import { operatorRoute } from './operator-route';
import { urlOf } from './raw-url';

/** Two ids and a reason of 500 characters. */
const MOST_BYTES = 8_192;
/** People ask for erasures one at a time, a morning's mail at most; a runaway script is stopped at once. */
const PER_MINUTE = 20;

const id = z
  .string()
  .min(1, 'must not be empty')
  .max(200, 'must be at most 200 characters')
  .regex(/^[^\p{C}]+$/u, 'must not hold control or invisible characters');
const Asked = z
  .strictObject({
    action: z.literal('request', { error: 'must be request, confirm or withdraw' }).default('request'),
    organization: id.optional(),
    user: id.optional(),
    reason,
    dryRun: z.boolean().default(false),
  })
  .refine((b) => (b.organization === undefined) !== (b.user === undefined), {
    message: 'name either an organization or a user',
    path: ['organization'],
  });
const Decided = z.strictObject({
  action: z.enum(['confirm', 'withdraw']),
  id: z.uuid('must be the id of the request, a UUID'),
  reason,
});

const LISTS = { open: UNDER_WAY, requested: ['requested'], done: ['done', 'withdrawn'] } as const;
const Query = z.strictObject({
  /** One request with its history, whatever its state. */
  id: z.uuid('must be the id of the request, a UUID').optional(),
  /** With `id`: its certificate instead, signed. */
  certificate: z
    .enum(['1'], { error: 'must be 1' })
    .transform(() => true)
    .default(false),
  state: z
    .enum(Object.keys(LISTS) as [keyof typeof LISTS], { error: 'must be open, requested or done' })
    .default('open'),
  offset: z
    .string()
    .regex(/^\d{1,7}$/, 'must be a number')
    .transform(Number)
    .default(0),
});

export const erasureRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute(
    async (s, _operator, request) => {
      const {
        id: one,
        certificate,
        state,
        offset,
      } = checked(Query, Object.fromEntries(urlOf(request).searchParams));
      if (one === undefined)
        return { list: state, ...(await listErasures(s.reading, LISTS[state], offset, s.clock())) };
      if (certificate) return certificateOf(s, one);
      const found = await readErasure(s.reading, one, s.clock());
      if (found) return found;
      throw new RequestError(404, 'unknown', `there is no request ${one}`, 'id');
    },
    provide,
    'erasure',
    'audit',
  ),
  POST: operatorRoute(
    async (s, operator, request, { correlationId, token, demand }) => {
      await limitRate(s.redis, `erasure:${operator}`, PER_MINUTE);
      const body = await readJson(request, { mostBytes: MOST_BYTES });
      demand(body.action === 'confirm' ? 'approve' : 'operate');
      const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, [s.settings.maxDurationSeconds]);
      return act(s, body, { actor: operator, token, correlationId, deadline });
    },
    provide,
    'erasure',
  ),
});

async function act(services: Services, body: Record<string, unknown>, call: ErasureCall): Promise<Response> {
  if (body.action === 'withdraw') {
    const { id: request, reason: why } = checked(Decided, body);
    const done = await withdrawRequest(services, { ...call, id: request, reason: why });
    return answerJson(done, call.correlationId);
  }
  if (body.action === 'confirm') {
    const { id: request, reason: why } = checked(Decided, body);
    return answerErasure(await confirmRequest(services, { ...call, id: request, reason: why }), call);
  }
  const asked = checked(Asked, body);
  const subject = asked.organization
    ? { scope: 'organization' as const, id: asked.organization }
    : { scope: 'user' as const, id: asked.user! };
  const { reason: why, dryRun } = asked;
  return answerErasure(await eraseSubject(services, { ...call, subject, reason: why, dryRun }), call);
}

/** 202: recorded, waits for a second operator. */
function answerErasure(result: ErasureResult, { correlationId }: ErasureCall): Response {
  if (result.outcome === 'errored') {
    capture(new LapseError(result.reason ?? 'errored', result.message), { policy: 'erasure', correlationId });
  }
  const status = { succeeded: 200, interrupted: 200, waiting: 202, errored: 500 }[result.outcome];
  return answerJson(result, correlationId, status);
}
