/**
 * What will be deleted on which day, by policy and organization, if nothing changes until then: what a dry run at the hour of that
 * day's last run would find, less what the runs before it take. Counted in ranges of the index, never by reading a table: exact up to
 * a bound, "more than" behind it. Periods, overrides, holds, extensions and cooling-off count as they will stand then. A row
 * that still waits for a required notice counts where there is time to send it, and is told apart where there is none.
 */
// By the author of p-retry: a list worked off by so many at once, in its order.
import pMap from 'p-map';
import { periodsAt } from '../../engine/guard/ahead';
import { atRoots } from '../../engine/statement/leaves';
import { hasOneCutoff, type Leg, legsOf } from '../../engine/statement/leg';
import {
  behindTenant,
  type ComingUp,
  comingUp,
  type Moment,
  type Span,
  tenantsOwing,
  windowOf,
} from '../../engine/statement/spans';
import type { Kept } from '../../platform/outcome';
import type { Query } from '../../platform/query';
import { askEach, askOne } from '../../platform/session';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import type { Services } from '../../services';
import { runsAhead } from './days';

/** Rows looked at in one range: a few milliseconds of an index. */
export const RANGE_CAP = 5_000;
/** Organizations named a day: those with most rows. */
const MOST_NAMED = 10;
const DAY_MS = 86_400_000;
const LIMITS = { statementMs: 10_000, readOnly: true, indexesOnly: true };

export interface CalendarDay {
  readonly date: string;
  /** The last run of the day. */
  readonly at: string;
  rows: number;
  /** There are more than `rows`. */
  more: boolean;
  /** Of the rows that come due that day, those that stay, by reason. */
  readonly kept: Partial<Kept>;
  readonly organizations: { organization: string; rows: number }[];
}

export interface PolicyCalendar {
  readonly policy: string;
  readonly days: readonly CalendarDay[];
  /** False: there was no time to look at every organization. */
  complete: boolean;
}

export interface CalendarAsk {
  readonly policies: readonly Policy[];
  readonly days: number;
  readonly organization?: string | undefined;
  /** Only this day of them is counted. */
  readonly on?: string | undefined;
  /** Asked before each page of organizations. */
  inTime(): boolean;
}

/** `today`: the number of the day. */
type Asked = CalendarAsk & { readonly today: number };

/** Statements of one request: a page of HTTP, and a few milliseconds each. */
const SPANS = 64;
/** Requests side by side: each has a connection. */
const AT_ONCE = 4;

export async function calendar(services: Services, ask: CalendarAsk): Promise<PolicyCalendar[]> {
  const now = services.clock();
  const policies = await atRoots(services.database, ask.policies);
  const runs = policies.map((policy) => runsAhead(policy, now, ask.days));
  const found = policies.map((policy, i): PolicyCalendar => emptyOf(policy, runs[i]!));
  const moments = await momentsOfEach(services, policies, runs);
  const legs = moments.flatMap((all, i) => all.map((at): OneLeg => ({ moments: at, found: found[i]! })));
  const isPaged = ({ moments: at }: OneLeg) =>
    ask.organization === undefined && policyOf(at).tenants !== undefined;
  const [paged, plain] = [legs.filter(isPaged), legs.filter((leg) => !isPaged(leg))];
  const { organization } = ask;
  const asked = { ...ask, today: Math.floor(now.getTime() / DAY_MS) };
  const spans = plain.flatMap((leg) =>
    spansOf(leg, asked, policyOf(leg.moments).tenants ? { those: [organization!] } : {}),
  );
  await Promise.all([
    look(services, spans, organization),
    ...paged.map((leg) => addTenants(services, leg, asked)),
  ]);
  for (const { days } of found) for (const day of days) day.organizations.splice(MOST_NAMED);
  return found;
}

const emptyOf = (policy: Policy, runs: readonly Date[]): PolicyCalendar => ({
  policy: policy.name,
  days: runs.map((at) => ({
    date: at.toISOString().slice(0, 10),
    at: at.toISOString(),
    rows: 0,
    more: false,
    kept: {},
    organizations: [],
  })),
  complete: true,
});

/** What one leg is at each run; null where there is none or nothing may go yet. */
type Moments = readonly (Moment | null)[];

interface OneLeg {
  readonly moments: Moments;
  readonly found: PolicyCalendar;
}

const isMoment = (m: Moment | null): m is Moment => m !== null;
const policyOf = (moments: Moments): Policy => moments.find(isMoment)!.policy;

/** Each leg once, with what it is at each run. */
export async function momentsOf(
  services: Services,
  policy: Policy,
  runs: readonly Date[],
): Promise<Moments[]> {
  const [moments] = await momentsOfEach(services, [policy], [runs]);
  return moments!;
}

/** The same of several policies, with one request. */
async function momentsOfEach(
  { settings, database }: Services,
  policies: readonly Policy[],
  runs: readonly (readonly Date[])[],
): Promise<Moments[][]> {
  const cooling = settings.guards.coolingOffSeconds;
  const asked = policies.map((policy, i) => periodsAt(policy, runs[i]!, cooling));
  const ahead = await askEach(database, asked, LIMITS);
  return policies.map((policy, p) => {
    const at = ahead[p]!.map(({ periods, waits }, i) => {
      const run = runs[p]![i]!;
      const then = withPeriods(policy, periods);
      return { policy: then, asOf: run.toISOString(), legs: waits ? [] : legsOf(then, run, cooling) };
    });
    const names = [...new Set(at.flatMap(({ legs }) => legs.map(nameOf)))];
    return names.map((name) =>
      at.map(({ legs, ...moment }) => {
        const leg = legs.find((l) => nameOf(l) === name);
        return leg === undefined ? null : { ...moment, leg };
      }),
    );
  });
}

const nameOf = (leg: Leg): string => (hasOneCutoff(leg) ? leg.rule.label : leg.kind);

/** Organizations times days in one request: probes of an index. */
const PROBES = 7_000;

/** Some organizations are looked at while the next are found: whoever waits for a month waits for the longest of both. */
const addTenants = (services: Services, leg: OneLeg, ask: Asked): Promise<unknown> =>
  pMap(tenantsOf(services, leg, ask), (some) => look(services, spansOf(leg, ask, some), undefined), {
    concurrency: AT_ONCE,
  });

/** Only organizations that have a row old enough: however many there are, the others take one probe together with the next. */
async function* tenantsOf(services: Services, leg: OneLeg, ask: Asked): AsyncGenerator<Some> {
  const days = ask.on === undefined ? leg.moments.length : 1;
  const most = Math.max(1, Math.floor(PROBES / days));
  let behind: string | null = null;
  for (;;) {
    if (!ask.inTime()) {
      leg.found.complete = false;
      return;
    }
    const { some, last, ended }: Next = await nextTenants(services, leg, behind, most);
    if (some !== null) yield some;
    if (ended || last === null) return;
    behind = last;
  }
}

/** Which tenants a span is about. */
type Some = Pick<Span, 'from' | 'tenants' | 'those'>;

interface Next {
  /** Null: none of those that were looked at. */
  readonly some: Some | null;
  readonly last: string | null;
  readonly ended: boolean;
}

async function nextTenants(
  { database }: Services,
  { moments }: OneLeg,
  behind: string | null,
  most: number,
): Promise<Next> {
  const policy = policyOf(moments);
  if (policy.clock.in || policy.partitioned) {
    // The clock is in another table, or each probe would ask every partition: no one index says which tenant has an old row.
    const { last, n } = await askOne(database, windowOf(policy, behind, most), LIMITS);
    const from = behind === null ? undefined : behindTenant(behind);
    return { some: n > 0 ? { from, tenants: most } : null, last, ended: n < most };
  }
  const asked = tenantsOwing(moments.filter(isMoment), behind, most);
  const { those, last, ended } = await askOne(database, asked, LIMITS);
  return { some: those.length > 0 ? { those } : null, last, ended };
}

/** What comes up on one day: the rows, and where they are added. */
interface DaySpan {
  readonly day: CalendarDay;
  readonly query: Query<ComingUp[]>;
  /** Whoever has to be told first still can be. */
  readonly canBeTold: boolean;
}

function spansOf({ moments, found }: OneLeg, { on, today }: Asked, some: Some): DaySpan[] {
  const requiredDays = policyOf(moments).notice?.requiredDays ?? Number.POSITIVE_INFINITY;
  return moments.flatMap((at, i) => {
    const day = found.days[i]!;
    if (at === null || (on !== undefined && day.date !== on)) return [];
    const daysLeft = Math.floor(Date.parse(day.at) / DAY_MS) - today;
    return [
      {
        day,
        query: comingUp({ before: moments[i - 1] ?? null, at, most: RANGE_CAP, ...some }),
        canBeTold: daysLeft > requiredDays + 1,
      },
    ];
  });
}

/** `only`: rows of others are no more than a sign that there are more. */
async function look(
  { database }: Services,
  spans: readonly DaySpan[],
  only: string | undefined,
): Promise<void> {
  await pMap(
    chunked(spans, SPANS),
    async (chunk) => {
      const queries = chunk.map((s) => s.query);
      for (const [i, rows] of (await askEach(database, queries, LIMITS)).entries()) {
        const { day, canBeTold } = chunk[i]!;
        for (const row of rows) {
          if (only === undefined || row.organization === only) addTo(day, row, canBeTold);
          else if (row.more) day.more = true;
        }
      }
    },
    { concurrency: AT_ONCE },
  );
}

const chunked = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));

function addTo(day: CalendarDay, { organization, stays, n, more }: ComingUp, canBeTold: boolean): void {
  if (more) day.more = true;
  if (stays !== null && !(stays === 'unnoticed' && canBeTold)) {
    day.kept[stays] = (day.kept[stays] ?? 0) + n;
    return;
  }
  day.rows += n;
  if (organization === null) return;
  const named = day.organizations.find((o) => o.organization === organization);
  if (named) named.rows += n;
  else day.organizations.push({ organization, rows: n });
  day.organizations.sort((a, b) => b.rows - a.rows || (a.organization < b.organization ? -1 : 1));
}
