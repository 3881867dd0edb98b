/**
 * GET /api/plan, for operators: what this deployment's policies change against what production last ran, on a preview
 * deployment before anyone merges. JSON, or Markdown with `format=markdown`; `days` says how far to look ahead.
 */
import { z } from 'zod';
import { RequestError } from '../platform/errors';
import { inTurn } from '../platform/turn';
import { type Services, services } from '../services';
import { makePlan, type Plan } from '../watch/plan/plan';
import { planInWords } from '../watch/plan/words';
import type { Handler } from './answered';
import { deadlineOf } from './deadline';
import { operatorRoute } from './operator-route';
import { urlOf } from './raw-url';

/** The time limit that the route file sets for its function. */
const MAX_DURATION_SECONDS = 300;
/** So many rows a count: a reviewer at a browser does not wait for more. */
const MOST_ROWS = 200_000;

const Asked = z.strictObject({
  format: z.enum(['json', 'markdown'], { error: 'must be json or markdown' }).default('json'),
  days: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'must be a whole number from 1 to 999')
    .transform(Number)
    .default(30),
});

export const planRoute = (provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      const { format, days } = parametersOf(urlOf(request).searchParams);
      const plan = await alone(s, days);
      if (format === 'json') return plan;
      return new Response(planInWords(plan), {
        headers: { 'content-type': 'text/markdown; charset=utf-8', 'cache-control': 'no-store' },
      });
    },
    provide,
    'plan',
  );

/** Counting may read many rows: one plan at a time, for all callers together. */
async function alone(services: Services, days: number): Promise<Plan> {
  const deadline = deadlineOf(services.clock(), MAX_DURATION_SECONDS, []);
  const context = { ...services, guards: services.settings.guards };
  const turn = await inTurn(services.redis, 'plan', MAX_DURATION_SECONDS * 1000, () =>
    makePlan(context, { deadline, days, mostRows: MOST_ROWS }),
  );
  if (turn.mine) return turn.result;
  throw new RequestError(
    429,
    'one_at_a_time',
    `another plan is being made: try again when it has ended, within ${turn.secondsLeft} s at the latest`,
  );
}

function parametersOf(given: URLSearchParams): z.output<typeof Asked> {
  const parsed = Asked.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.code === 'unrecognized_keys' ? issue.keys[0]! : String(issue.path[0]);
  const why =
    issue.code === 'unrecognized_keys' ? 'is not a parameter; there are format, days' : issue.message;
  throw new RequestError(400, 'bad_parameter', `${field} ${why}`, field);
}
