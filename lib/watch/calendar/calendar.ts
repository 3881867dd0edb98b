/**
 * What will be deleted on which day, by policy and organization, if nothing changes until then: what a dry run at the hour of that
 * day's last run would find, less what the runs before it take. Counted in ranges of the index, never by reading a table: exact up to
 * a bound, "more than" behind it. Periods, overrides, holds, extensions and cooling-off count as they will stand then. A row
 * that still waits for a required notice counts where there is time to send it, and is told apart where there is none.
 */
import { periodsAt } from '../../engine/guard/ahead';
import { atRoots } from '../../engine/statement/leaves';
import { hasOneCutoff, type Leg, legsOf } from '../../engine/statement/leg';
import {
  behindTenant,
  type ComingUp,
  comingUp,
  type Moment,
  onlyTenant,
  windowOf,
} from '../../engine/statement/spans';
import type { Kept } from '../../platform/outcome';
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

export async function calendar(services: Services, ask: CalendarAsk): Promise<PolicyCalendar[]> {
  const all: PolicyCalendar[] = [];
  for (const policy of await atRoots(services.database, ask.policies)) {
    all.push(await calendarOf(services, policy, ask));
  }
  return all;
}

async function calendarOf(services: Services, policy: Policy, ask: CalendarAsk): Promise<PolicyCalendar> {
  const now = services.clock();
  const runs = runsAhead(policy, now, ask.days);
  const days = runs.map(
    (at): CalendarDay => ({
      date: at.toISOString().slice(0, 10),
      at: at.toISOString(),
      rows: 0,
      more: false,
      kept: {},
      organizations: [],
    }),
  );
  const found: PolicyCalendar = { policy: policy.name, days, complete: true };
  for (const legs of await momentsOf(services, policy, runs)) await addLeg(services, legs, found, ask);
  for (const day of days) day.organizations.splice(MOST_NAMED);
  return found;
}

/** Each leg once, with what it is at each run; null where there is none or nothing may go yet. */
export async function momentsOf(
  services: Services,
  policy: Policy,
  runs: readonly Date[],
): Promise<(Moment | null)[][]> {
  const cooling = services.settings.guards.coolingOffSeconds;
  const ahead = await askOne(services.database, periodsAt(policy, runs, cooling), LIMITS);
  const at = ahead.map(({ periods, waits }, i) => {
    const then = withPeriods(policy, periods);
    return { policy: then, asOf: runs[i]!.toISOString(), legs: waits ? [] : legsOf(then, runs[i]!, cooling) };
  });
  const names = [...new Set(at.flatMap(({ legs }) => legs.map(nameOf)))];
  return names.map((name) =>
    at.map(({ legs, ...moment }) => {
      const leg = legs.find((l) => nameOf(l) === name);
      return leg === undefined ? null : { ...moment, leg };
    }),
  );
}

const nameOf = (leg: Leg): string => (hasOneCutoff(leg) ? leg.rule.label : leg.kind);

/** Of tenants window after window, or the one that was asked for. */
async function addLeg(
  services: Services,
  moments: readonly (Moment | null)[],
  found: PolicyCalendar,
  { organization, on, inTime }: CalendarAsk,
): Promise<void> {
  const policy = moments.find((m) => m !== null)!.policy;
  if (!policy.tenants || organization !== undefined) {
    const only = policy.tenants ? { from: onlyTenant(organization!), tenants: 1 } : {};
    return addSpans(services, moments, { ...only, on }, found, organization);
  }
  let behind: string | null = null;
  for (;;) {
    if (!inTime()) {
      found.complete = false;
      return;
    }
    const { last, n }: { last: string | null; n: number } = await askOne(
      services.database,
      windowOf(policy, behind, TENANTS),
      LIMITS,
    );
    if (last === null) return;
    const from = behind === null ? undefined : behindTenant(behind);
    await addSpans(services, moments, { from, tenants: TENANTS, on }, found);
    if (n < TENANTS) return;
    behind = last;
  }
}

/** A request: so many organizations times days are probes of an index. */
const TENANTS = 100;

async function addSpans(
  { database, clock }: Services,
  moments: readonly (Moment | null)[],
  {
    on,
    ...range
  }: { from?: ReturnType<typeof onlyTenant> | undefined; tenants?: number; on?: string | undefined },
  found: PolicyCalendar,
  only?: string,
): Promise<void> {
  const spans = moments.flatMap((at, i) =>
    at === null || (on !== undefined && found.days[i]!.date !== on)
      ? []
      : [
          {
            day: found.days[i]!,
            query: comingUp({ before: moments[i - 1] ?? null, at, most: RANGE_CAP, ...range }),
          },
        ],
  );
  const answers = await askEach(
    database,
    spans.map((s) => s.query),
    LIMITS,
  );
  for (const [i, rows] of answers.entries()) {
    const { day } = spans[i]!;
    const daysLeft = Math.floor(Date.parse(day.at) / DAY_MS) - Math.floor(clock().getTime() / DAY_MS);
    const policy = moments.find((m) => m !== null)!.policy;
    const canBeTold = daysLeft > (policy.notice?.requiredDays ?? Number.POSITIVE_INFINITY) + 1;
    for (const row of rows) {
      if (only === undefined || row.organization === only) addTo(day, row, canBeTold);
      else if (row.more) day.more = true;
    }
  }
}

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
