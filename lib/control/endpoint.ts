/**
 * The operators' door (R12, G1): POST acts, GET lists. Nothing is read or done before the operator's own token
 * has been checked; CRON_SECRET does not open it. Bad input is answered with a 4xx that names the field, and
 * then nothing was changed.
 */
import { LapseError, RequestError } from '../errors';
import { answerError, answerJson } from '../http/answer';
import { correlationOf } from '../http/correlation';
import { capture, flush } from '../sentry';
import { type Services, services } from '../services';
import { takeAction } from './actions';
import { operatorOf } from './operators';
import { limitRate, NOBODY } from './rate';
import { readList } from './read';

/** An action is a few hundred bytes; a reason of 500 characters may be 2 kB, a key of 8 kB in escapes 48 kB. */
const MOST_BYTES = 65_536;

type Handler = (request: Request) => Promise<Response>;

/** Authenticates, limits, answers. `work` gets the services and the operator's name. */
export function operatorRoute(
  work: (services: Services, operator: string, request: Request) => Promise<Response | unknown>,
  provide: () => Services = services,
): Handler {
  return async (request) => {
    const correlationId = correlationOf(request);
    let s: Services | null = null;
    try {
      s = provide();
      const operator = operatorOf(request.headers.get('authorization'), s.settings.operators);
      await limitRate(s.redis, operator ?? NOBODY);
      if (operator === null) {
        throw new RequestError(
          401,
          'unauthorized',
          'send Authorization: Bearer <your operator token>; LAPSE_OPERATORS names who may',
        );
      }
      const log = s.log.child({ correlation_id: correlationId, script: 'control' });
      const answer = await work({ ...s, log }, operator, request);
      return answer instanceof Response ? answer : answerJson(answer, correlationId);
    } catch (error) {
      if (!(error instanceof RequestError)) {
        capture(error, { correlationId });
        const code = error instanceof LapseError ? error.code : 'internal';
        s?.log.error(
          { event: 'request.failed', correlation_id: correlationId, script: 'control', error_code: code },
          code,
        );
      }
      return answerError(error, correlationId);
    } finally {
      await flush();
    }
  };
}

export const controlRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute((s, _operator, request) => readList(s, new URL(request.url)), provide),
  POST: operatorRoute(
    async (s, operator, request) => takeAction({ services: s, operator }, await jsonOf(request)),
    provide,
  ),
});

export async function jsonOf(request: Request): Promise<unknown> {
  const type = request.headers.get('content-type') ?? '';
  // A form of another site cannot send this type without asking first.
  if (!/^application\/json\b/i.test(type)) {
    throw new RequestError(400, 'not_json', 'send a JSON object with Content-Type: application/json');
  }
  const text = await request.text();
  if (Buffer.byteLength(text) > MOST_BYTES) {
    throw new RequestError(413, 'too_large', `the body must be at most ${MOST_BYTES} bytes`);
  }
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  } catch {
    // Answered below: the parser's message repeats the input.
  }
  throw new RequestError(400, 'not_json', 'the body must be one JSON object');
}
