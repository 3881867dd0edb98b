/**
 * What waits for a person, in one list, the most urgent first: by the share of its time that has passed. One read for the page and
 * for the number in the bar. Each kind is read to a bound by its index; what could not be read is named, never counted as nothing.
 */
import { z } from 'zod';
import { openBreakers } from '../../engine/guard/breaker';
import { newestRuns } from '../../engine/run/newest';
import { type ListedOrder, ordersWaiting } from '../../orders/list';
import { RedisError } from '../../platform/errors';
import { type Query, query, rows } from '../../platform/query';
import { ask } from '../../platform/session';
import type { Permission } from '../../platform/settings/roles';
import { constant, sql, utc } from '../../platform/sql';
import { policyInWords } from '../../policies/step-names';
import type { Services } from '../../services';
import { OF_ITS_OWN } from './own-runs';
import { manyOf } from './words';

/** Of each kind; more than a person works off before looking again. */
const MOST = 100;
/** Of the newest runs of a policy: more than a year of nights. */
const LOOKED_THROUGH = 500;
const LIMITS = { statementMs: 5_000, readOnly: true };
const HOUR = 3_600;
const DAY = 24 * HOUR;
/** The next night's run meets it again. */
const GUARD_SECONDS = DAY;
/** A second person is asked the same day. */
const SECOND_PERSON_SECONDS = DAY;
/** As lib/operators/overdue.ts has it: then it is an incident. */
const LETTER_SECONDS = 3 * DAY;
/** The longest that a breaker stays open before it is tried again. */
const BREAKER_SECONDS = 12 * HOUR;
/** As lib/rights/clock.ts warns: from then on a request that is still open waits for a person. */
const ERASURE_SHARE = 0.8;

type WaitingKind = 'guard' | 'order' | 'refund' | 'erasure' | 'restore' | 'letter' | 'breaker' | 'hold';

export interface Waiting {
  readonly kind: WaitingKind;
  /** The policy, the order, the request. */
  readonly id: string;
  /** One sentence. */
  readonly what: string;
  readonly since: Date;
  /** When its time is over. */
  readonly limit: Date;
  /** The role that may act, and whom it may not be: `not` asked for it. */
  readonly needs: Permission;
  readonly not: string | null;
  /** Where one acts. */
  readonly path: string;
  /** What the link says. */
  readonly act: string;
}

export interface Attention {
  readonly waiting: readonly Waiting[];
  /** What could not be read now, in words; empty when all was. */
  readonly unread: readonly string[];
}

/** The share of its time that has passed; above 1 it is late. */
export const urgency = ({ since, limit }: Pick<Waiting, 'since' | 'limit'>, now: Date): number =>
  (now.getTime() - since.getTime()) / Math.max(1, limit.getTime() - since.getTime());

export async function attention(s: Services): Promise<Attention> {
  const now = s.clock();
  const [own, orders, breakers] = await Promise.all([ofOwnTables(s, now), ofOrders(s), ofBreakers(s)]);
  const waiting = [...own, ...orders, ...(breakers ?? [])];
  const shown = waiting.sort(
    (a, b) => urgency(b, now) - urgency(a, now) || a.since.getTime() - b.since.getTime(),
  );
  return {
    waiting: shown,
    unread: breakers === null ? ['breakers: Redis does not answer; while it is away no run begins'] : [],
  };
}

const after = (since: Date, seconds: number): Date => new Date(since.getTime() + seconds * 1000);
const at = z.coerce.date();

const Guard = z.object({ policy: z.string(), since: at });
/**
 * Policies whose latest deleting run was stopped by the guard, since the first of such runs on end; not those with an approval
 * that the next run can use.
 */
const guards = (policies: readonly string[]): Query<z.output<typeof Guard>[]> =>
  query(
    sql`select p.policy, (select min(g.started_at) from (
          select y.started_at, sum(case when y.reason = 'guarded' then 0 else 1 end) over (order by y.started_at desc) as others
          from (select r.started_at, r.reason from ${newestRuns(sql`p.policy`, LOOKED_THROUGH)} r where r.mode = 'delete' and ${OF_ITS_OWN}
            order by r.policy, r.started_at desc limit ${constant(MOST)}) y) g where g.others = 0) as since
      from jsonb_array_elements_text(${JSON.stringify(policies)}::jsonb) p(policy)
      cross join lateral (select r.reason from ${newestRuns(sql`p.policy`, LOOKED_THROUGH)} r where r.mode = 'delete' and ${OF_ITS_OWN}
        order by r.policy, r.started_at desc limit 1) last
      where last.reason = 'guarded' and not exists (select from retention.approval a where a.policy = p.policy
        and a.done_at is null and a.voided_at is null and (a.used_at is not null or a.expires_at > retention.clock()))`,
    rows(Guard),
  );

const Second = z.object({
  id: z.string(),
  scope: z.string(),
  requested_by: z.string(),
  since: at,
  rows: z.coerce.number().nullable(),
});
const restores: Query<z.output<typeof Second>[]> = query(
  sql`select id::text, scope, requested_by, ${utc(sql`requested_at`, 'ms')} as since, rows_found::text as rows from retention.restore
    where state = 'requested' order by requested_at limit ${constant(MOST)}`,
  rows(Second),
);

const Erasure = Second.extend({ state: z.string(), due: at });
const erasures = (now: string): Query<z.output<typeof Erasure>[]> =>
  query(
    sql`select id::text, scope, state, requested_by, ${utc(sql`requested_at`, 'ms')} as since, ${utc(sql`due_at`, 'ms')} as due,
        rows_found::text as rows from retention.erasure
      where state in ('requested', 'confirmed', 'open')
        and (state = 'requested' or requested_at + ${constant(ERASURE_SHARE)} * (due_at - requested_at) <= ${now}::timestamptz)
      order by due_at limit ${constant(MOST)}`,
    rows(Erasure),
  );

const Letters = z.object({
  kind: z.enum(['row', 'file']),
  policy: z.string(),
  n: z.coerce.number(),
  since: at,
});
/** By policy; counted to a bound from the oldest on. */
const letters: Query<z.output<typeof Letters>[]> = query(
  sql`select 'row' as kind, policy, count(*)::text as n, ${utc(sql`min(created_at)`, 'ms')} as since from (
        select policy, created_at from retention.dead_letter where state = 'open' order by created_at limit ${constant(1_000)}) x group by policy
    union all select 'file', policy, count(*)::text, ${utc(sql`min(created_at)`, 'ms')} from (
        select policy, created_at from retention.outbox where state = 'dead' order by updated_at limit ${constant(1_000)}) x group by policy`,
  rows(Letters),
);

const Hold = z.object({ id: z.string(), reason: z.string(), placed_by: z.string(), since: at, review: at });
const holds = (now: string): Query<z.output<typeof Hold>[]> =>
  query(
    sql`select id::text, reason, placed_by, ${utc(sql`placed_at`, 'ms')} as since, ${utc(sql`review_at`, 'ms')} as review from retention.hold
      where released_at is null and review_at <= ${now}::timestamptz order by review_at limit ${constant(MOST)}`,
    rows(Hold),
  );

async function ofOwnTables({ reading, policies }: Services, now: Date): Promise<Waiting[]> {
  const asked = now.toISOString();
  const found = await ask(
    reading,
    {
      guards: guards(policies.map((p) => p.name)),
      erasures: erasures(asked),
      holds: holds(asked),
      ...{ restores, letters },
    },
    LIMITS,
  );
  return [
    ...found.guards.map(ofGuard),
    ...found.erasures.map(ofErasure),
    ...found.restores.map(ofRestore),
    ...found.letters.map(ofLetters),
    ...found.holds.map(ofHold),
  ];
}

const ofGuard = ({ policy, since }: z.output<typeof Guard>): Waiting => ({
  ...{ kind: 'guard', id: policy, since, limit: after(since, GUARD_SECONDS), needs: 'approve', not: null },
  what: `${policy} stopped before deleting: more rows would go than its limit allows. Nothing was deleted.`,
  path: `/policies/${policy}/approve`,
  act: 'Review',
});

const reach = ({ rows: n, scope }: { rows: number | null; scope: string }): string =>
  `${n === null ? 'more rows than could be counted' : manyOf(n, 'row')} of ${scope === 'user' ? 'a person' : 'an organization'}`;

const ofErasure = (e: z.output<typeof Erasure>): Waiting => {
  const isAsked = e.state === 'requested';
  return {
    ...{ kind: 'erasure', id: e.id, since: e.since, limit: e.due },
    ...{ needs: isAsked ? 'approve' : 'operate', not: isAsked ? e.requested_by : null },
    what: isAsked
      ? `Erasure of ${reach(e)} waits for a second person.`
      : `Erasure of ${e.scope === 'user' ? 'a person' : 'an organization'} is not finished, and its month is nearly over.`,
    path: `/erasures/${e.id}`,
    act: isAsked ? 'Confirm' : 'Open',
  };
};

const ofRestore = (r: z.output<typeof Second>): Waiting => ({
  ...{
    kind: 'restore',
    id: r.id,
    since: r.since,
    limit: after(r.since, SECOND_PERSON_SECONDS),
    needs: 'approve',
  },
  not: r.requested_by,
  what: `Restore of ${manyOf(r.rows ?? 0, 'row')} waits for a second person.`,
  path: `/restores/${r.id}`,
  act: 'Confirm',
});

const ofLetters = ({ kind, policy, n, since }: z.output<typeof Letters>): Waiting => ({
  ...{
    kind: 'letter',
    id: `${kind}:${policy}`,
    since,
    limit: after(since, LETTER_SECONDS),
    needs: 'operate',
    not: null,
  },
  what: `${manyOf(n, kind)} of ${policyInWords(policy)} could not go.`,
  path: `/letters?kind=${kind}&policy=${encodeURIComponent(policy)}`,
  act: 'Open',
});

const ofHold = (h: z.output<typeof Hold>): Waiting => ({
  ...{ kind: 'hold', id: h.id, since: h.since, limit: h.review, needs: 'operate', not: null },
  what: `Hold "${h.reason}" is past its day of review.`,
  path: `/holds/${h.id}`,
  act: 'Look',
});

/** Reviews near their breach, refunds that a person has to decide, and reviews without a start, which never breach. */
async function ofOrders(s: Services): Promise<Waiting[]> {
  if (!s.orderReview) return [];
  const { 'in-review': inReview, manual, 'without-start': lost } = await ordersWaiting(s);
  const near = inReview.filter((o) => o.sla_status !== 'within_sla');
  return [...near.map(ofReview), ...manual.map(ofRefund), ...lost.map(ofLost(s.clock()))];
}

const pathOf = ({ order }: ListedOrder): string => `/orders/${encodeURIComponent(order)}`;

const ofReview = (o: ListedOrder): Waiting => ({
  ...{ kind: 'order', id: o.order, needs: 'operate', not: null, path: pathOf(o), act: 'Decide' },
  since: new Date(o.review_started_at!),
  limit: new Date(o.due_at!),
  what: `Order ${o.order} refunds itself unless somebody decides: ${money(o)}.`,
});

const ofRefund = (o: ListedOrder): Waiting => {
  const since = new Date(o.claimed_at!);
  const isSecond = o.refused_because === 'second_operator';
  return {
    ...{ kind: 'refund', id: o.order, since, limit: after(since, SECOND_PERSON_SECONDS), path: pathOf(o) },
    ...{ needs: isSecond ? 'approve' : 'operate', not: isSecond ? (o.requested_by ?? null) : null },
    what: isSecond
      ? `Refund of order ${o.order}, ${money(o)}, waits for a second person: it is above the caps.`
      : `Refund of order ${o.order}, ${money(o)}, was not made (${(o.refused_because ?? o.error_class ?? 'refused').replaceAll('_', ' ')}): somebody decides.`,
    act: isSecond ? 'Confirm' : 'Decide',
  };
};

/** Late from the beginning: no clock will bring it up again. */
const ofLost =
  (now: Date) =>
  (o: ListedOrder): Waiting => ({
    ...{ kind: 'order', id: o.order, needs: 'operate', not: null, path: pathOf(o), act: 'Decide' },
    since: after(now, -1),
    limit: now,
    what: `Order ${o.order} is in review and has no start, so that it never refunds itself: ${money(o)}.`,
  });

/** In the currency's own digits: 4900 is 49.00 EUR, and 4900 JPY. */
export function money({ amount, currency }: Pick<ListedOrder, 'amount' | 'currency'>): string {
  if (amount === null || currency === null) return 'of an unknown amount';
  const code = currency.toUpperCase();
  const format = new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency: code,
    currencyDisplay: 'code',
  });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  const number = new Intl.NumberFormat('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${number.format(amount / 10 ** digits)} ${code}`;
}

const LastFailed = z.object({ policy: z.string(), since: at });

/** Null: Redis did not answer. */
async function ofBreakers({ redis, reading, policies, clock }: Services): Promise<Waiting[] | null> {
  const left = await openBreakers(
    redis,
    policies.map((p) => p.name),
  ).catch((error: unknown) => {
    if (error instanceof RedisError) return null;
    throw error;
  });
  if (left === null) return null;
  const open = [...left].filter(([, seconds]) => seconds > 0);
  if (open.length === 0) return [];
  const failed = query(
    sql`select p.policy, ${utc(sql`r.started_at`, 'ms')} as since from jsonb_array_elements_text(${JSON.stringify(open.map(([p]) => p))}::jsonb) p(policy)
      cross join lateral (select x.started_at from ${newestRuns(sql`p.policy`, LOOKED_THROUGH)} x where x.mode = 'delete' and x.outcome = 'errored'
        order by x.policy, x.started_at desc limit 1) r`,
    rows(LastFailed),
  );
  const { since } = await ask(reading, { since: failed }, LIMITS);
  return open.map(([policy, seconds]): Waiting => {
    const last = since.find((x) => x.policy === policy)?.since ?? clock();
    return {
      ...{
        kind: 'breaker',
        id: policy,
        since: last,
        limit: after(last, BREAKER_SECONDS),
        needs: 'operate',
        not: null,
      },
      what: `${policyInWords(policy)} failed three times or more; its next try is in ${Math.ceil(seconds / 60)} min.`,
      path: `/policies/${policy}/breaker`,
      act: 'Open',
    };
  });
}
