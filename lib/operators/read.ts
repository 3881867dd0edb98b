/**
 * What an operator looks at before acting: the state of each policy, what is held, extended, overridden,
 * waiting for an approval or for a person. Pages of PAGE rows, newest or most urgent first; keys, no content.
 */
import { z } from 'zod';
import { readBreaker } from '../engine/guard/breaker';
import { stepOf } from '../engine/guard/rollout';
import type { Row } from '../platform/database';
import { RequestError } from '../platform/errors';
import { versionOf } from '../policies/fingerprint';
import type { Services } from '../services';
import { send } from './carry-out';
import { inForce } from './in-force';
import { readWaiting, waitingLetters } from './overdue';

/** What fits a screen several times over, and always an answer. */
const PAGE = 200;

const utc = (column: string) =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;

const LISTS = {
  holds: `select id, scope, subject, table_name, reason, placed_by, ${utc('placed_at')}, released_by, ${utc('released_at')}, release_reason
    from retention.hold order by released_at is not null, placed_at desc`,
  extensions: `select table_name, row_key, ${utc('keep_until')}, reason, extended_by from retention.extension order by keep_until desc`,
  overrides: `select policy, tenant, keep_seconds::float8 as keep_seconds, reason, set_by, ${utc('updated_at')}
    from retention.period_override order by policy, tenant`,
  approvals: `select id, policy, version, digest, ${utc('as_of')}, expired::float8 as expired, ${utc('expires_at')}, approved_by, reason,
      ${utc('approved_at')}, ${utc('used_at')}, used_by, ${utc('done_at')}, ${utc('voided_at')}, void_reason
    from retention.approval order by approved_at desc`,
  versions: `select policy, version, periods, declared_by, ${utc('declared_at')}, ${utc('superseded_at')}, clean_runs
    from retention.policy_version order by policy, declared_at desc`,
  rows: `select id, policy, table_name, row_key, sql_state, constraint_name, state, attempts, ${utc('next_attempt_at')}, assigned_to,
      resolution, run, ${utc('created_at')} from retention.dead_letter where state = 'open' order by created_at`,
  files: `select id::float8 as id, policy, table_name, row_key, attempts, error_class, assigned_to, resolution, ${utc('created_at')}
    from retention.outbox where state = 'dead' order by created_at`,
} as const;

const Query = z.strictObject({
  list: z.enum(['state', ...(Object.keys(LISTS) as (keyof typeof LISTS)[])]).default('state'),
  offset: z
    .string()
    .regex(/^\d{1,7}$/)
    .transform(Number)
    .default(0),
});

export async function readList(services: Services, url: URL): Promise<unknown> {
  const parsed = Query.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) {
    const lists = ['state', ...Object.keys(LISTS)].join(', ');
    throw new RequestError(
      400,
      'bad_parameter',
      `ask for ?list= one of ${lists}, and offset= a number`,
      'list',
    );
  }
  const { list, offset } = parsed.data;
  if (list === 'state') return readState(services);
  const [, rows] = await send(
    services,
    [{ text: `${LISTS[list]} limit ${PAGE + 1} offset $1::int`, params: [offset] }],
    true,
  );
  const entries = await told(services, list, (rows ?? []).slice(0, PAGE));
  return { list, entries, next: (rows ?? []).length > PAGE ? offset + PAGE : null };
}

/** What is in force says what it keeps now, and names what keeps nothing. */
async function told(services: Services, list: string, entries: Row[]): Promise<Row[]> {
  if (list !== 'holds' && list !== 'extensions' && list !== 'overrides') return entries;
  const now = services.clock().toISOString();
  const counts = (e: Row) => !e.released_at && (e.keep_until == null || String(e.keep_until) > now);
  const current = entries.filter(counts);
  const found = await inForce(services, list, current);
  return entries.map((e) => (counts(e) ? { ...e, ...found[current.indexOf(e)] } : e));
}

/** Each policy: may it run, does it run, how far is its rollout; and what waits for a person, with its age. */
async function readState(services: Services): Promise<unknown> {
  const [, states, everything, letters] = await send(
    services,
    [
      {
        text: `select s.policy, s.fence::float8 as fence, s.run_now, s.version, s.paused, s.paused_by, s.paused_reason, ${utc('paused_at')},
            coalesce((select clean_runs from retention.policy_version v where v.policy = s.policy and v.version = s.version), 0) as clean_runs
          from retention.policy_state s order by s.policy`,
        params: [],
      },
      {
        text: `select stopped, stopped_by, reason, ${utc('stopped_at')} from retention.kill_switch`,
        params: [],
      },
      waitingLetters(services.clock()),
    ],
    true,
  );
  const policies = await Promise.all(
    services.policies.map(async (policy) => {
      const state = states?.find((s) => s.policy === policy.name);
      const version = versionOf(policy);
      const cleanRuns = state?.version === version ? Number(state.clean_runs) : 0;
      const steps = services.settings.guards.rollout && policy.rollout;
      return {
        policy: policy.name,
        version,
        paused: state?.paused ?? false,
        pausedBy: state?.paused_by ?? null,
        pausedReason: state?.paused_reason ?? null,
        runNow: state?.run_now ?? null,
        fence: state?.fence ?? 0,
        rollout: { cleanRuns, mayDelete: steps ? stepOf(cleanRuns) : null },
        breaker: await readBreaker(services.redis, policy.name).catch(() => null),
      };
    }),
  );
  return { stopped: everything?.[0], policies, deadLetters: readWaiting(letters) };
}
