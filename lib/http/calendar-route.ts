/**
 * GET /api/calendar, for operators: what will be deleted on which day. `policy` and `organization` ask for one of them, `days`
 * how far ahead. A row of an organization is looked for by its id, as it is written in the table.
 */
import { z } from 'zod';
import { DatabaseError, RequestError } from '../platform/errors';
import { type Services, services } from '../services';
import { calendar, type PolicyCalendar } from '../watch/calendar/calendar';
import type { Handler } from './answered';
import { deadlineOf } from './deadline';
import { operatorRoute } from './operator-route';
import { urlOf } from './raw-url';

/** The time limit that the route file sets for its function. */
const MAX_DURATION_SECONDS = 60;
/** Half of a minute: a person waits for it. */
const WORK_SECONDS = 30;

const Asked = z.strictObject({
  policy: z.string().optional(),
  organization: z.string().min(1, 'must not be empty').max(200, 'must be at most 200 characters').optional(),
  days: z
    .string()
    .regex(/^([1-9]|[1-8]\d|9[0-2])$/, 'must be a whole number from 1 to 92')
    .transform(Number)
    .default(30),
});

export const calendarRoute = (provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      const { policy, organization, days } = parametersOf(urlOf(request).searchParams);
      const policies = policy === undefined ? s.policies : s.policies.filter((p) => p.name === policy);
      if (policy !== undefined && policies.length === 0)
        throw new RequestError(404, 'unknown_policy', `no policy is called ${policy}`, 'policy');
      const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, [WORK_SECONDS]);
      const inTime = () => s.clock() < deadline;
      const from = s.clock().toISOString();
      const found = await looked(s, { policies, days, organization, inTime });
      return { from, days, ...(organization === undefined ? {} : { organization }), policies: found };
    },
    provide,
    'calendar',
  );

/** An id that is none of the column's type. */
const NO_VALUE = /^22/;

async function looked(s: Services, ask: Parameters<typeof calendar>[1]): Promise<PolicyCalendar[]> {
  try {
    return await calendar(s, ask);
  } catch (error) {
    const isNone = error instanceof DatabaseError && NO_VALUE.test(error.sqlState ?? '');
    if (!isNone || ask.organization === undefined) throw error;
    throw new RequestError(
      422,
      'bad_parameter',
      'organization: no organization can have this id',
      'organization',
    );
  }
}

function parametersOf(given: URLSearchParams): z.output<typeof Asked> {
  const parsed = Asked.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const unknown = issue.code === 'unrecognized_keys';
  const field = unknown ? issue.keys[0]! : String(issue.path[0]);
  const why = unknown ? 'is not a parameter; there are policy, organization, days' : issue.message;
  throw new RequestError(400, 'bad_parameter', `${field} ${why}`, field);
}
