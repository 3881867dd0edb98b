/**
 * One policy: its versions, its runs newest first by a keyset, what its newest dry run would delete by rule, and what would go if
 * rows were kept another time. Each read has its bound; none counts history.
 */
import { z } from 'zod';
import { newestRuns } from '../../engine/run/newest';
import { type Leg, legsOf } from '../../engine/statement/leg';
import { tenantsOwing } from '../../engine/statement/spans';
import { RequestError } from '../../platform/errors';
import { maybeRow, type Query, query, rows } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import { constant, type Sql, sql, utc } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { periodsOf, withPeriods } from '../../policies/effective';
import type { Services } from '../../services';
import { COUNT_CAP, measure } from '../../watch/backlog/measure';
import { KeptBelowRecord } from './kept';
import { NIGHTS } from './policies';

const RUNS_A_PAGE = 20;
const VERSIONS = 20;
/** Of the chart: a quarter of a year of nights. */
const CHART = 90;
const LIMITS = { statementMs: 5_000, readOnly: true } as const;
const DAY = 86_400;

const at = z.coerce.date();
const count = z.coerce.number();

const Run = z.object({
  id: z.string(),
  mode: z.enum(['delete', 'dry_run']),
  outcome: z.enum(['succeeded', 'interrupted', 'skipped', 'errored']).nullable(),
  reason: z.string().nullable(),
  actor: z.string(),
  started: z.string(),
  started_at: at,
  finished_at: at.nullable(),
  deleted: count,
  batches: count,
  kept: z.record(z.string(), count),
  kept_below: KeptBelowRecord,
  expired: count.nullable(),
  runs: count.nullable(),
});
export type ListedRun = z.output<typeof Run>;

/** Where a page begins: the instant and id of the last run of the page before, `2026-…Z.<uuid>`. */
const Key = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\.[0-9a-f-]{36}$/)
  .transform((key) => ({ at: key.slice(0, 27), id: key.slice(28) }));

const olderThan = (before: z.output<typeof Key> | null): Sql =>
  before === null
    ? sql`true`
    : sql`(started_at, id) < (${before.at}::timestamptz, ${before.id}::uuid) and started_at <= ${before.at}::timestamptz`;

const page = (policy: string, before: z.output<typeof Key> | null): Query<ListedRun[]> =>
  query(
    sql`select id::text, mode, outcome, reason, actor, ${utc(sql`started_at`)} as started, ${utc(sql`started_at`, 'ms')} as started_at,
        ${utc(sql`finished_at`, 'ms')} as finished_at, deleted::text, batches, kept, kept_below, preview ->> 'expired' as expired, preview ->> 'estimatedRuns' as runs
      from retention.run r where policy = ${policy} and ${olderThan(before)}
      -- By the columns, which an index has in this order: a plain name would mean the texts that are answered.
      order by r.started_at desc, r.id desc limit ${constant(RUNS_A_PAGE + 1)}`,
    rows(Run),
  );

const Version = z.object({
  version: z.string(),
  declared_by: z.string(),
  declared_at: at,
  superseded_at: at.nullable(),
  in_force_at: at.nullable(),
  clean_runs: count,
  periods: z.record(z.string(), z.number().nullable()),
});
export type DeclaredVersion = z.output<typeof Version>;

const versions = (policy: string): Query<DeclaredVersion[]> =>
  query(
    sql`select version, declared_by, ${utc(sql`declared_at`, 'ms')} as declared_at, ${utc(sql`superseded_at`, 'ms')} as superseded_at,
        ${utc(sql`in_force_at`, 'ms')} as in_force_at, clean_runs, periods
      from retention.policy_version where policy = ${policy} order by declared_at desc limit ${constant(VERSIONS)}`,
    rows(Version),
  );

const Rules = z.record(z.string(), z.object({ expired: count, bytes: count, files: count }));
const Preview = z.object({
  id: z.string(),
  started_at: at,
  version: z.string(),
  expired: count,
  complete: z.coerce.boolean(),
  by_rule: Rules.nullable(),
});
export type NewestPreview = z.output<typeof Preview>;

const preview = (policy: string): Query<NewestPreview | null> =>
  query(
    sql`select id::text, ${utc(sql`started_at`, 'ms')} as started_at, policy_version as version, preview ->> 'expired' as expired,
        (preview ->> 'complete')::boolean as complete, preview -> 'byRule' as by_rule
      from ${newestRuns(sql`${policy}`, NIGHTS)} r
      where mode = 'dry_run' and preview is not null order by r.started_at desc limit 1`,
    maybeRow(Preview),
  );

const Night = z.object({ started_at: at, deleted: count });
const chart = (policy: string): Query<z.output<typeof Night>[]> =>
  query(
    sql`select ${utc(sql`started_at`, 'ms')} as started_at, deleted::text from (
        select started_at, deleted, mode from ${newestRuns(sql`${policy}`, CHART)} r
      ) r where mode = 'delete' order by r.started_at`,
    rows(Night),
  );

export interface PolicyHistory {
  readonly runs: readonly ListedRun[];
  /** Of the next page; null at the end. */
  readonly older: string | null;
  readonly versions: readonly DeclaredVersion[];
  readonly preview: NewestPreview | null;
  readonly nights: readonly { readonly started_at: Date; readonly deleted: number }[];
}

/** `before` as `older` says; what cannot be read as one begins with the newest. */
export async function historyOf(
  { reading }: Services,
  policy: string,
  before?: string,
): Promise<PolicyHistory> {
  const key = Key.safeParse(before);
  const found = await ask(
    reading,
    {
      runs: page(policy, key.data ?? null),
      versions: versions(policy),
      preview: preview(policy),
      nights: chart(policy),
    },
    LIMITS,
  );
  const runs = found.runs.slice(0, RUNS_A_PAGE);
  const last = runs.at(-1);
  return {
    ...found,
    runs,
    older: found.runs.length > RUNS_A_PAGE && last ? `${last.started}.${last.id}` : null,
  };
}

export interface WhatIf {
  readonly days: number;
  /** Rows past the date then, held or not; each counted up to `most` a rule. */
  readonly now: number;
  readonly inAMonth: number;
  readonly most: number;
}

/** Named one by one: behind so many all are asked. */
const MOST_TENANTS = 5_000;
/** Longer than any law asks for. */
const MOST_DAYS = 36_500;

/** Throws RequestError for a number of days that cannot be meant. */
export function daysIn(text: string): number {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= MOST_DAYS) return days;
  throw new RequestError(400, 'bad_parameter', `days must be a whole number from 1 to ${MOST_DAYS}`, 'days');
}

/**
 * What would be past its date if the rows of every rule that ends were kept so many days: now, and of the rows there are, in 30
 * days. Counted by the policy's own index, up to a bound; reads only.
 */
export async function whatIf(
  { database, clock, settings }: Services,
  policy: Policy,
  days: number,
): Promise<WhatIf> {
  const periods = Object.fromEntries(
    Object.entries(periodsOf(policy)).map(([label, seconds]) => [
      label,
      seconds === null ? null : days * DAY,
    ]),
  );
  const other = withPeriods(policy, periods);
  const then = new Date(clock().getTime() + 30 * DAY * 1000);
  const those = await owing(database, other, legsOf(other, then, settings.guards.coolingOffSeconds), then);
  const [now, inAMonth] = await Promise.all(
    [clock(), then].map(async (instant) => {
      const legs = legsOf(other, instant, settings.guards.coolingOffSeconds);
      const counting = measure(other, legs, instant.toISOString(), those);
      if (counting === null) return 0;
      const found = await askOne(database, counting, { ...LIMITS, indexesOnly: true });
      return found.reduce((n, m) => n + m.waiting, 0);
    }),
  );
  return { days, now: now!, inAMonth: inAMonth!, most: COUNT_CAP };
}

/** The tenants that have a row old enough by then; undefined: any may have one, or the policy knows none. */
async function owing(
  database: Services['database'],
  policy: Policy,
  [leg]: readonly Leg[],
  at: Date,
): Promise<readonly string[] | undefined> {
  if (leg?.kind !== 'tenants' || policy.clock.in || policy.partitioned) return undefined;
  const moment = { policy, leg, asOf: at.toISOString() };
  const { those, ended } = await askOne(database, tenantsOwing([moment], null, MOST_TENANTS), {
    ...LIMITS,
    indexesOnly: true,
  });
  return ended ? those : undefined;
}

/** Throws RequestError 404 that names the policies there are. */
export function policyNamed({ policies }: Services, name: string): Policy {
  const found = policies.find((p) => p.name === name);
  if (found) return found;
  const list = policies.map((p) => p.name).join(', ');
  throw new RequestError(
    404,
    'unknown_policy',
    `there is no policy "${name}"; the policies are ${list}`,
    'policy',
  );
}
