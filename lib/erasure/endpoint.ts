/**
 * POST /api/erasure asks for an erasure, or goes on with it. Opened by an operator's token, who is then named in
 * each receipt, or by CRON_SECRET.
 */
import { z } from 'zod';
import { operatorOf } from '../control/operators';
import { limitRate, NOBODY } from '../control/rate';
import { MAX_DURATION_SECONDS } from '../crons';
import { codeOf, RequestError } from '../errors';
import { answerError, answerJson } from '../http/answer';
import { authorize, isBearer } from '../http/authorize';
import { correlationOf } from '../http/correlation';
import { deadlineOf } from '../http/deadline';
import { capture, flush } from '../sentry';
import { type Services, services } from '../services';
import { eraseSubject } from './erase';

/** Two ids and a reason of 500 characters. */
const MOST_BYTES = 8_192;
const id = z
  .string()
  .min(1, 'must not be empty')
  .max(200, 'must be at most 200 characters')
  .regex(/^[^\p{C}]+$/u, 'must not hold control characters');
const Body = z
  .strictObject({
    organization: id.optional(),
    user: id.optional(),
    reason: z
      .string()
      .trim()
      .min(3, 'must say why, e.g. the number of the request')
      .max(500, 'must be at most 500 characters'),
    dryRun: z.boolean().default(false),
  })
  .refine((b) => (b.organization === undefined) !== (b.user === undefined), {
    message: 'name either an organization or a user',
    path: ['organization'],
  });

type Handler = (request: Request) => Promise<Response>;

export function erasureRoute(provide: () => Services = services): { POST: Handler } {
  return {
    POST: answered(provide, async (s, actor, order, request) => {
      const body = await bodyOf(request);
      const subject = body.organization
        ? { scope: 'organization' as const, id: body.organization }
        : { scope: 'user' as const, id: body.user! };
      return eraseSubject(s, { subject, reason: body.reason, dryRun: body.dryRun, actor, ...order });
    }),
  };
}

function answered(
  provide: () => Services,
  work: (
    s: Services,
    actor: string,
    order: { correlationId: string; deadline: Date },
    request: Request,
  ) => Promise<{ outcome: string }>,
): Handler {
  return async (request) => {
    const correlationId = correlationOf(request);
    try {
      const s = provide();
      const actor = await actorOf(s, request);
      const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, [s.settings.maxDurationSeconds]);
      const result = await work(s, actor, { correlationId, deadline }, request);
      return answerJson(result, correlationId, result.outcome === 'errored' ? 500 : 200);
    } catch (error) {
      if (!(error instanceof RequestError)) {
        capture(error, {
          policy: 'erasure',
          correlationId,
          code: codeOf(error),
        });
      }
      return answerError(error, correlationId);
    } finally {
      await flush();
    }
  };
}

async function actorOf(s: Services, request: Request): Promise<string> {
  const operator = operatorOf(request.headers.get('authorization'), s.settings.operators);
  if (operator !== null || !isBearer(request, s.settings.cronSecret))
    await limitRate(s.redis, operator ?? NOBODY);
  if (operator !== null) return operator;
  authorize(request, s.settings.cronSecret);
  return 'manual';
}

async function bodyOf(request: Request): Promise<z.infer<typeof Body>> {
  if (!/^application\/json\b/i.test(request.headers.get('content-type') ?? '')) {
    throw new RequestError(400, 'not_json', 'send a JSON object with Content-Type: application/json');
  }
  const text = await request.text();
  if (Buffer.byteLength(text) > MOST_BYTES) {
    throw new RequestError(413, 'too_large', `the body must be at most ${MOST_BYTES} bytes`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new RequestError(400, 'not_json', 'the body must be one JSON object');
  }
  const parsed = Body.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.code === 'unrecognized_keys' ? issue.keys[0] : String(issue.path[0] ?? 'body');
  throw new RequestError(400, 'bad_parameter', `${field}: ${issue.message}`, field);
}
