/**
 * What a person needs to see before letting a stopped run go: the frozen preview, the limit that stopped it, and what is different
 * from the runs before. An approval names the preview's digest; when rows, rule or time change, it is void.
 */
import { z } from 'zod';
import { type AdmissionFacts, admissionFacts } from '../../engine/guard/facts';
import { type Limit, limitOf } from '../../engine/guard/mass';
import { stepOf } from '../../engine/guard/rollout';
import { newestRuns } from '../../engine/run/newest';
import { RequestError } from '../../platform/errors';
import { maybeRow, type Query, query } from '../../platform/query';
import { ask, type Limits } from '../../platform/session';
import { type Sql, sql, utc } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { versionOf } from '../../policies/fingerprint';
import type { Services } from '../../services';
import { KeptBelowRecord } from './kept';
import { OF_ITS_OWN } from './own-runs';
import { policyNamed } from './policy';
import { countOf } from './words';

/** Of its newest runs: more than a year of nights, with a dry run beside each. */
const LOOKED_THROUGH = 500;
const LIMITS: Limits = { statementMs: 5_000, readOnly: true };
/** As the database has it (functions/approvals.sql): above it a preview is made by a named person, and approved by another. */
const MOST_ALONE = 100_000;
/** Services that call with CRON_SECRET: no person is behind them. */
const SERVICES: readonly string[] = ['cron', 'manual'];
/** Told apart from an ordinary night from here on, as lib/http/console words the numbers. */
const NOTICEABLE = 2;

const count = z.coerce.number();
const Rules = z.record(z.string(), z.object({ expired: count, bytes: count, files: count }));
const Preview = z.object({
  id: z.string(),
  made_by: z.string(),
  made_at: z.string(),
  version: z.string(),
  expired: count,
  bytes: count,
  files: count,
  by_rule: Rules,
  dependants: z.record(z.string(), count),
  kept: z.record(z.string(), count),
  /** A dry run of before says none. */
  kept_below: KeptBelowRecord.nullable(),
  samples: z.array(z.string()),
  oldest: z.string().nullable(),
  newest: z.string().nullable(),
  digest: z.string(),
  expires_at: z.string(),
  /** Approved already, by whom and what became of it. */
  approved_by: z.string().nullable(),
});
export type FrozenPreview = z.output<typeof Preview>;

/** The newest dry run that can be approved, or was, whatever the version. */
const newestPreview = (policy: string): Query<FrozenPreview | null> =>
  query(
    sql`select r.id::text, r.actor as made_by, ${utc(sql`r.started_at`, 'ms')} as made_at, r.policy_version as version,
        r.preview ->> 'expired' as expired, r.preview ->> 'bytes' as bytes, r.preview ->> 'files' as files, r.preview -> 'byRule' as by_rule,
        r.preview -> 'dependants' as dependants, r.preview -> 'kept' as kept, r.preview -> 'keptBelow' as kept_below, r.preview -> 'sampleKeys' as samples,
        r.preview ->> 'oldest' as oldest, r.preview ->> 'newest' as newest, r.preview #>> '{approvable,digest}' as digest,
        r.preview #>> '{approvable,expiresAt}' as expires_at,
        (select a.approved_by from retention.approval a where a.digest = r.preview #>> '{approvable,digest}') as approved_by
      from ${newestRuns(sql`${policy}`, LOOKED_THROUGH)} r
      where r.mode = 'dry_run' and r.preview #>> '{approvable,digest}' is not null
        and (r.preview #>> '{approvable,expiresAt}')::timestamptz > retention.clock()
      order by r.policy, r.started_at desc limit 1`,
    maybeRow(Preview),
  );

const Run = z.object({
  id: z.string(),
  started_at: z.string(),
  as_of: z.string(),
  version: z.string(),
  reason: z.string().nullable(),
  deleted: count,
  by_rule: z.record(z.string(), z.object({ deleted: count })),
});
type Run = z.output<typeof Run>;

const latestRun = (policy: string, which: Sql): Query<Run | null> =>
  query(
    sql`select id::text, ${utc(sql`started_at`, 'ms')} as started_at, ${utc(sql`as_of`, 'ms')} as as_of, policy_version as version, reason,
        deleted::text, by_rule from ${newestRuns(sql`${policy}`, LOOKED_THROUGH)} r
      where mode = 'delete' and finished_at is not null and ${OF_ITS_OWN} and ${which} order by r.policy, r.started_at desc limit 1`,
    maybeRow(Run),
  );

export interface GuardStop {
  readonly policy: Policy;
  readonly version: string;
  /** The run that was stopped; null when the latest was not. */
  readonly stopped: { readonly run: string; readonly at: string } | null;
  readonly limit: Limit;
  readonly preview: FrozenPreview | null;
  readonly differences: readonly string[];
  /** Why this reader may not approve it, or null. */
  readonly notYou: string | null;
  readonly cleanRuns: number;
  /** Rows the next run may delete by the rollout; null: all. */
  readonly step: number | null;
}

/** Throws RequestError 404 for a policy that is not declared. */
export async function guardStop(s: Services, name: string, reader: string): Promise<GuardStop> {
  const policy = policyNamed(s, name);
  const version = versionOf(policy);
  const { coolingOffSeconds, rollout } = s.settings.guards;
  const { facts, preview, last, drained } = await ask(
    s.database,
    {
      facts: admissionFacts(policy, version, s.clock(), coolingOffSeconds),
      preview: newestPreview(name),
      last: latestRun(name, sql`true`),
      drained: latestRun(name, sql`outcome = 'succeeded'`),
    },
    LIMITS,
  );
  const ofThis = preview?.version === version ? preview : null;
  return {
    ...{ policy, version, preview: ofThis, limit: limitOf(policy, facts) },
    stopped: last?.reason === 'guarded' ? { run: last.id, at: last.started_at } : null,
    differences: ofThis ? differencesOf(policy, version, ofThis, { facts, last: drained }) : [],
    notYou: ofThis ? notYou(ofThis, reader) : null,
    cleanRuns: facts.clean_runs,
    step: rollout && policy.rollout ? stepOf(facts.clean_runs) : null,
  };
}

function notYou(
  { made_by: maker, expired, approved_by: approved }: FrozenPreview,
  reader: string,
): string | null {
  if (approved !== null) return `${approved} has approved this preview; the next run uses it.`;
  if (maker.toLowerCase() === reader.toLowerCase())
    return 'You made this preview: another person approves it.';
  if (expired > MOST_ALONE && SERVICES.includes(maker.toLowerCase())) {
    return `More than ${countOf(MOST_ALONE)} rows take two people: one makes a preview by name, another approves it.`;
  }
  return null;
}

const day = (instant: string): string => instant.slice(0, 10);

/** What is not as in the runs before, one sentence each, the strongest reason to look first. */
function differencesOf(
  policy: Policy,
  version: string,
  preview: FrozenPreview,
  { facts, last }: { readonly facts: AdmissionFacts; readonly last: Run | null },
): string[] {
  const found: (string | false)[] = [];
  const { usual, periods } = facts;
  if (last === null)
    found.push('Nothing was ever deleted to the end by this policy: there is no night to compare with.');
  if (last && last.version !== version) {
    found.push(
      `The rule is another one than on ${day(last.started_at)}: version ${version.slice(0, 8)}, was ${last.version.slice(0, 8)}.`,
    );
  }
  found.push(last !== null && older(last, preview, Object.values(periods)));
  if (usual.median !== null && preview.expired > NOTICEABLE * usual.median) {
    found.push(`${countOf(preview.expired)} rows would go; usual is ${countOf(Math.round(usual.median))}.`);
  }
  for (const [rule, { expired }] of last ? Object.entries(preview.by_rule) : []) {
    const before = deletedBy(last!.by_rule[rule]);
    if (expired > NOTICEABLE * before)
      found.push(`Rule ${rule}: ${countOf(expired)} rows, ${countOf(before)} on ${day(last!.started_at)}.`);
  }
  for (const rule of policy.rules) {
    const went = last === null ? 0 : deletedBy(last.by_rule[rule.label]);
    if (went > 0 && preview.by_rule[rule.label] === undefined)
      found.push(`Rule ${rule.label}: no row, ${countOf(went)} on ${day(last!.started_at)}.`);
  }
  return found.filter((sentence) => sentence !== false);
}

/** A run that left nothing leaves nothing older than its cutoff: what is older came later, or had its date changed. */
function older(last: Run, { oldest }: FrozenPreview, periods: readonly (number | null)[]): string | false {
  const longest = Math.max(...periods.map((seconds) => seconds ?? Number.POSITIVE_INFINITY));
  if (oldest === null || !Number.isFinite(longest)) return false;
  const cutoff = new Date(Date.parse(last.as_of) - longest * 1000).toISOString();
  return (
    oldest < cutoff &&
    `The oldest is of ${day(oldest)}. The run of ${day(last.started_at)} left nothing older than ${day(cutoff)}: such rows came later, or their date was changed.`
  );
}

const deletedBy = (rule: { readonly deleted: number } | undefined): number => rule?.deleted ?? 0;

/** Throws RequestError unless `digest` is what one would see now; its words say what changed. */
export function refuseStale({ preview, policy }: GuardStop, digest: string): FrozenPreview {
  if (preview?.digest === digest) return preview;
  const now =
    preview === null
      ? 'it has expired, or the rule changed: make a new preview'
      : `a newer preview has ${countOf(preview.expired)} rows, made ${preview.made_at.slice(0, 16).replace('T', ' ')} UTC by ${preview.made_by}: look at that one`;
  throw new RequestError(
    409,
    'stale',
    `the preview of ${policy.name} is not the one you looked at; ${now}. Nothing was changed`,
  );
}
