/**
 * What will be deleted on which day, for the console: of a month for all organizations, which is looked up once in a few minutes for
 * everyone (many organizations take many requests), or of one organization or one day, which is looked up at once. With what
 * is extended, what was announced, and what is more than usual.
 */
import { z } from 'zod';
import { newestRuns } from '../../engine/run/newest';
import { csv } from '../../platform/csv';
import { DatabaseError, RequestError } from '../../platform/errors';
import type { Kept } from '../../platform/outcome';
import { type Query, query, rows } from '../../platform/query';
import { ask } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { type CalendarDay, calendar, type PolicyCalendar } from '../../watch/calendar/calendar';
import { answerFile, fileRoute } from './file';

const DAY_MS = 86_400_000;
/** As far as a month's grid reaches. */
export const DAYS = 35;
/** A person waits for it; behind it the page says which part is missing. */
const WORK_MS = 8_000;
/** What was looked up for everyone is shown so long. */
const FRESH_MS = 300_000;
const LIMITS = { statementMs: 5_000, readOnly: true };
/** As the mass-deletion guard has it: below it more than usual is noise. */
const [TIMES, FROM] = [5, 1_000];

const Day = z.object({
  date: z.string(),
  at: z.string(),
  rows: z.number(),
  more: z.boolean(),
  kept: z.record(z.string(), z.number()),
});
const Looked = z.object({
  at: z.string(),
  policies: z.array(z.object({ policy: z.string(), days: z.array(Day), complete: z.boolean() })),
});
/** What all pages share; who it is about is looked up by the page of a day. */
type Looked = z.infer<typeof Looked>;

export interface MonthAsk {
  readonly policy?: string | undefined;
  readonly organization?: string | undefined;
  /** Also when somebody has looked a moment ago. */
  readonly again?: boolean;
}

interface OfDay {
  readonly policy: string;
  readonly rows: number;
  readonly more: boolean;
  readonly kept: Partial<Kept>;
  /** More than the usual run of this policy. */
  readonly unusual: boolean;
}

export interface MonthDay {
  readonly date: string;
  readonly rows: number;
  readonly more: boolean;
  readonly extended: number;
  readonly unusual: boolean;
  /** Messages about this day that were delivered, by their threshold in days. */
  readonly told: readonly { readonly days: number; readonly messages: number }[];
  readonly policies: readonly OfDay[];
}

export interface Month {
  /** When it was looked up. */
  readonly at: string;
  /** Every day from today on, also those on which nothing goes. */
  readonly days: readonly MonthDay[];
  /** Policies of which not every organization was looked at. */
  readonly incomplete: readonly string[];
}

/** Throws RequestError 404 or 422 that names the field. */
export async function monthOf(services: Services, asked: MonthAsk): Promise<Month> {
  const policies = policiesOf(services, asked.policy);
  const shared = asked.organization === undefined;
  const known = shared && asked.again !== true ? await knownOf(services) : null;
  const looked = known ?? (await look(services, shared ? services.policies : policies, asked.organization));
  if (shared && known === null) await keep(services, looked);
  const names = policies.map((p) => p.name);
  const some = { ...looked, policies: looked.policies.filter((p) => names.includes(p.policy)) };
  const { usual, told } = await ask(
    services.reading,
    { usual: USUAL, told: toldOf(services.clock(), names) },
    LIMITS,
  );
  return {
    at: looked.at,
    ...together(some, services.clock(), new Map(usual.map((u) => [u.policy, u.median])), told),
  };
}

/** All of them, or the one that is named. Throws RequestError 404. */
function policiesOf({ policies }: Services, name: string | undefined): readonly Policy[] {
  if (name === undefined) return policies;
  const found = policies.filter((p) => p.name === name);
  if (found.length === 0)
    throw new RequestError(404, 'unknown_policy', `no policy is called ${name}`, 'policy');
  return found;
}

async function look(
  services: Services,
  policies: readonly Policy[],
  organization: string | undefined,
): Promise<Looked> {
  const now = services.clock();
  const found = await searched(services, { policies, days: DAYS, organization }, now);
  return {
    at: now.toISOString(),
    policies: found.map(({ policy, days, complete }) => ({
      ...{ policy, complete },
      days: days.map(({ date, at, rows: n, more, kept }) => ({ date, at, rows: n, more, kept })),
    })),
  };
}

/** An id that is none of the column's type. */
const NO_VALUE = /^22/;

/** Throws RequestError 422 for an organization that there cannot be. */
async function searched(
  services: Services,
  asked: Omit<Parameters<typeof calendar>[1], 'inTime'>,
  now: Date,
): Promise<PolicyCalendar[]> {
  try {
    return await calendar(services, {
      ...asked,
      inTime: () => services.clock().getTime() - now.getTime() < WORK_MS,
    });
  } catch (error) {
    const isNone = error instanceof DatabaseError && NO_VALUE.test(error.sqlState ?? '');
    if (!isNone || asked.organization === undefined) throw error;
    throw new RequestError(422, 'bad_parameter', 'no organization can have this id', 'organization');
  }
}

const keyOf = ({ redis }: Services): string => `${redis.prefix}calendar`;

/** Null: nobody has looked lately, or Redis does not say. */
async function knownOf(services: Services): Promise<Looked | null> {
  const text = await services.redis.get(keyOf(services)).catch(() => null);
  if (text === null) return null;
  try {
    const known = Looked.parse(JSON.parse(text));
    const names = services.policies.map((p) => p.name).join();
    const age = services.clock().getTime() - Date.parse(known.at);
    return age >= 0 && age < FRESH_MS && known.policies.map((p) => p.policy).join() === names ? known : null;
  } catch {
    return null;
  }
}

async function keep(services: Services, looked: Looked): Promise<void> {
  const set = `return redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])`;
  await services.redis
    .eval(set, [keyOf(services)], [JSON.stringify(looked), String(FRESH_MS)])
    .catch(() => undefined);
}

const Usual = z.object({ policy: z.string(), median: z.number().nullable() });
const USUAL: Query<z.infer<typeof Usual>[]> = query(
  sql`select s.policy, (select percentile_cont(0.5) within group (order by x.deleted)::float8 from (
      select r.deleted from ${newestRuns(sql`s.policy`, 500)} r where r.mode = 'delete' and r.deleted > 0
      order by r.policy, r.started_at desc limit 20) x) as median
    from retention.policy_state s`,
  rows(Usual),
);

const Told = z.object({ date: z.string(), days: z.number(), messages: z.number() });

const toldOf = (now: Date, policies: readonly string[]): Query<z.infer<typeof Told>[]> => {
  const until = new Date(now.getTime() + (DAYS + 1) * DAY_MS).toISOString();
  return query(
    sql`select to_char(n.goes_at at time zone 'UTC', 'YYYY-MM-DD') as date, n.threshold_days as days, count(distinct n.notice)::int as messages
      from retention.notice_part n where n.announced_at is not null and n.delivered_at is not null and n.policy = any(${policies}::text[])
        and n.goes_at >= ${now.toISOString()}::timestamptz and n.goes_at < ${until}::timestamptz
      group by 1, 2 order by 1, 2 desc`,
    rows(Told),
  );
};

function together(
  looked: Looked,
  now: Date,
  usual: ReadonlyMap<string, number | null>,
  told: readonly z.infer<typeof Told>[],
): Pick<Month, 'days' | 'incomplete'> {
  const midnight = Math.floor(now.getTime() / DAY_MS) * DAY_MS;
  const days = Array.from({ length: DAYS }, (_, i) =>
    new Date(midnight + i * DAY_MS).toISOString().slice(0, 10),
  );
  return {
    days: days.map((date): MonthDay => {
      const policies = looked.policies.flatMap(({ policy, days: all }): OfDay[] => {
        const day = all.find((d) => d.date === date);
        if (!day || (day.rows === 0 && !day.more && Object.keys(day.kept).length === 0)) return [];
        const unusual = day.rows > Math.max(FROM, TIMES * (usual.get(policy) ?? Number.POSITIVE_INFINITY));
        return [{ policy, rows: day.rows, more: day.more, kept: day.kept, unusual }];
      });
      return {
        ...{ date, policies },
        rows: policies.reduce((n, p) => n + p.rows, 0),
        more: policies.some((p) => p.more),
        extended: policies.reduce((n, p) => n + (p.kept.extended ?? 0), 0),
        unusual: policies.some((p) => p.unusual),
        told: told.filter((t) => t.date === date),
      };
    }),
    incomplete: looked.policies.filter((p) => !p.complete).map((p) => p.policy),
  };
}

export interface DayAsk extends MonthAsk {
  readonly day: string;
}

export interface PolicyDay extends CalendarDay {
  readonly policy: string;
  readonly complete: boolean;
  /** The policy tells organizations apart, so that each can be asked for by itself. */
  readonly byOrganization: boolean;
  /** When each named organization was last told of rows that go by this day. */
  readonly told: Readonly<Record<string, string>>;
}

/** One day by policy and organization. Throws RequestError 404 for a day that is not ahead. */
export async function dayOf(services: Services, asked: DayAsk): Promise<PolicyDay[]> {
  const now = services.clock();
  const policies = policiesOf(services, asked.policy);
  const ahead = Math.floor(Date.parse(asked.day) / DAY_MS) - Math.floor(now.getTime() / DAY_MS) + 1;
  if (Number.isNaN(ahead) || ahead < 1 || ahead > 92)
    throw new RequestError(404, 'unknown_day', 'the calendar shows today and the 91 days after it', 'day');
  const found = await searched(
    services,
    { policies, days: ahead, organization: asked.organization, on: asked.day },
    now,
  );
  const days = found.flatMap(({ policy, days: all, complete }) => {
    const day = all.find((d) => d.date === asked.day);
    return day ? [{ ...day, policy, complete }] : [];
  });
  const told = await toldByOrganization(services, asked.day, days);
  return days.map((day) => ({
    ...day,
    byOrganization: policies.some((p) => p.name === day.policy && p.tenants !== undefined),
    told: Object.fromEntries(told.filter((t) => t.policy === day.policy).map((t) => [t.tenant, t.at])),
  }));
}

const ToldOne = z.object({ policy: z.string(), tenant: z.string(), at: z.string() });

async function toldByOrganization(
  { reading }: Services,
  day: string,
  days: readonly (CalendarDay & { policy: string })[],
): Promise<z.infer<typeof ToldOne>[]> {
  const pairs = days.flatMap((d) =>
    d.organizations.map((o) => ({ policy: d.policy, tenant: o.organization })),
  );
  if (pairs.length === 0) return [];
  const { told } = await ask(
    reading,
    {
      told: query(
        sql`select p.policy, p.tenant, to_char(n.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
          from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb) p(policy text, tenant text)
          cross join lateral (select max(x.delivered_at) as at from retention.notice_part x where x.policy = p.policy and x.tenant = p.tenant
            and x.announced_at is not null and x.goes_at < (${day}::date + 1)::timestamp at time zone 'UTC') n
          where n.at is not null`,
        rows(ToldOne),
      ),
    },
    LIMITS,
  );
  return told;
}

/** GET with `policy`, `org`, and `day` where one is meant: a line a day, policy and organization. */
export const calendarFileRoute = (provide?: () => Services) =>
  fileRoute(
    'look',
    async (s, asked) => {
      const given = (name: string) => asked.get(name) || undefined;
      const about = { policy: given('policy'), organization: given('org') };
      const day = given('day');
      const text =
        day === undefined ? monthCsv(await monthOf(s, about)) : dayCsv(await dayOf(s, { ...about, day }));
      return answerFile(
        text,
        'text/csv; charset=utf-8; header=present',
        `calendar${day ? `-${day}` : ''}.csv`,
      );
    },
    provide,
  );

const monthCsv = ({ days }: Month): string =>
  csv(
    ['date', 'policy', 'rows', 'more', 'extended', 'held'],
    days.flatMap((d) =>
      d.policies.map((p) => [d.date, p.policy, p.rows, p.more, p.kept.extended ?? 0, p.kept.held ?? 0]),
    ),
  );

const dayCsv = (days: readonly PolicyDay[]): string =>
  csv(
    ['date', 'policy', 'organization', 'rows', 'more', 'told'],
    days.flatMap((d) => [
      [d.date, d.policy, '', d.rows, d.more, ''],
      ...d.organizations.map((o) => [
        d.date,
        d.policy,
        o.organization,
        o.rows,
        '',
        d.told[o.organization] ?? '',
      ]),
    ]),
  );
