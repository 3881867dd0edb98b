/**
 * What an operator looks at before acting: the state of each policy, what is held, extended, overridden,
 * waiting for an approval or for a person. Pages of PAGE rows, newest or most urgent first; keys, no content.
 */
import { z } from 'zod';
import { readBreaker } from '../engine/guard/breaker';
import { stepOf } from '../engine/guard/rollout';
import { RequestError } from '../platform/errors';
import { maybeRow, type Query, query, rows } from '../platform/query';
import { ask, askOne } from '../platform/session';
import { constant, id, type Sql, sql, utc } from '../platform/sql';
import { versionOf } from '../policies/fingerprint';
import type { Services } from '../services';
import { READING } from './carry-out';
import { inForce } from './in-force';
import { waitingLetters } from './overdue';

/** What fits a screen several times over, and always an answer. */
const PAGE = 200;

const instant = (column: string): Sql => sql`${utc(id(column), 'ms')} as ${id(column)}`;

/** Those in force first, then those that were released, each newest first: two indexes, neither read further than the page reaches. */
const holds = (most: number): Sql => {
  const newest = (which: Sql, part: number) =>
    sql`(select *, ${constant(part)} as part from retention.hold where ${which} order by placed_at desc limit ${constant(most)})`;
  return sql`select id, scope, subject, table_name, reason, placed_by, ${instant('placed_at')}, released_by, ${instant('released_at')}, release_reason, ${instant('review_at')}
    from (${newest(sql`released_at is null`, 0)} union all ${newest(sql`released_at is not null`, 1)}) x order by part, x.placed_at desc`;
};

/** Ordered by the columns of the table `x`: a plain name would mean the text that is answered, which no index has in order. */
const LISTS = {
  extensions: sql`select table_name, row_key, ${instant('keep_until')}, reason, extended_by from retention.extension x order by x.keep_until desc`,
  overrides: sql`select policy, tenant, keep_seconds::float8 as keep_seconds, reason, set_by, ${instant('updated_at')}
    from retention.period_override order by policy, tenant`,
  approvals: sql`select id, policy, version, digest, ${instant('as_of')}, expired::float8 as expired, ${instant('expires_at')}, approved_by, reason,
      ${instant('approved_at')}, ${instant('used_at')}, used_by, ${instant('done_at')}, ${instant('voided_at')}, void_reason
    from retention.approval x order by x.approved_at desc`,
  versions: sql`select policy, version, periods, declared_by, ${instant('declared_at')}, ${instant('superseded_at')}, clean_runs
    from retention.policy_version x order by policy, x.declared_at desc`,
  rows: sql`select id, policy, table_name, row_key, sql_state, constraint_name, state, attempts, ${instant('next_attempt_at')}, assigned_to,
      resolution, run, ${instant('created_at')} from retention.dead_letter x where state = 'open' order by x.created_at`,
  files: sql`select id::float8 as id, policy, table_name, row_key, attempts, error_class, assigned_to, resolution, ${instant('created_at')}
    from retention.outbox x where state = 'dead' order by x.created_at`,
} as const;

/** As the database answers it: what operators are shown. */
const Entry = z.record(z.string(), z.unknown());
type Entry = z.output<typeof Entry>;

const Asked = z.strictObject({
  list: z.enum(['state', 'holds', ...(Object.keys(LISTS) as (keyof typeof LISTS)[])]).default('state'),
  offset: z
    .string()
    .regex(/^\d{1,7}$/)
    .transform(Number)
    .default(0),
});

/** One more than a page, to see whether there is another one. */
const pageOf = (list: 'holds' | keyof typeof LISTS, offset: number): Query<Entry[]> =>
  query(
    sql`${list === 'holds' ? holds(offset + PAGE + 1) : LISTS[list]} limit ${constant(PAGE + 1)} offset ${offset}::int`,
    rows(Entry),
  );

export async function readList(services: Services, url: URL): Promise<unknown> {
  const parsed = Asked.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) {
    const lists = ['state', 'holds', ...Object.keys(LISTS)].join(', ');
    throw new RequestError(
      400,
      'bad_parameter',
      `ask for ?list= one of ${lists}, and offset= a number`,
      'list',
    );
  }
  const { list, offset } = parsed.data;
  if (list === 'state') return readState(services);
  const found = await askOne(services.reading, pageOf(list, offset), READING);
  const entries = await withMatches(services, list, found.slice(0, PAGE));
  return { list, entries, next: found.length > PAGE ? offset + PAGE : null };
}

/** What is in force says what it keeps now, and names what keeps nothing. */
async function withMatches(services: Services, list: string, entries: Entry[]): Promise<Entry[]> {
  if (list !== 'holds' && list !== 'extensions' && list !== 'overrides') return entries;
  const now = services.clock().toISOString();
  const counts = (e: Entry) => !e.released_at && (e.keep_until == null || String(e.keep_until) > now);
  const current = entries.filter(counts);
  const found = await inForce(services, list, current);
  return entries.map((e) => (counts(e) ? { ...e, ...found[current.indexOf(e)] } : e));
}

const State = z.object({
  policy: z.string(),
  fence: z.number(),
  run_now: z.string().nullable(),
  version: z.string().nullable(),
  paused: z.boolean(),
  paused_by: z.string().nullable(),
  paused_reason: z.string().nullable(),
  clean_runs: z.number(),
});
const STATES = query(
  sql`select s.policy, s.fence::float8 as fence, s.run_now, s.version, s.paused, s.paused_by, s.paused_reason,
      coalesce((select clean_runs from retention.policy_version v where v.policy = s.policy and v.version = s.version), 0) as clean_runs
    from retention.policy_state s order by s.policy`,
  rows(State),
);
const EVERYTHING = query(
  sql`select stopped, stopped_by, reason, ${instant('stopped_at')} from retention.kill_switch`,
  maybeRow(Entry),
);

/** Each policy: may it run, does it run, how far is its rollout; and what waits for a person, with its age. */
async function readState(services: Services): Promise<unknown> {
  const { states, everything, letters } = await ask(
    services.reading,
    { states: STATES, everything: EVERYTHING, letters: waitingLetters(services.clock()) },
    READING,
  );
  const policies = await Promise.all(
    services.policies.map(async (policy) => {
      const state = states.find((s) => s.policy === policy.name);
      const version = versionOf(policy);
      const cleanRuns = state?.version === version ? state.clean_runs : 0;
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
  return { stopped: everything ?? undefined, policies, deadLetters: letters.waiting };
}
