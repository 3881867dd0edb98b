/**
 * What this branch changes against what production last ran: each policy beside its recorded version, and exactly how many
 * rows and files become deletable because of it. Reads only, in READ ONLY transactions, and no further than its bounds.
 */

import type { Database } from '../../platform/database';
import { DatabaseError, LapseError } from '../../platform/errors';
import { query } from '../../platform/query';
import { ask, asking, readingOnly } from '../../platform/session';
import type { Settings } from '../../platform/settings';
import { sql, utc } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { versionOf } from '../../policies/fingerprint';
import { type Environment, inEnvironment, readRecord } from '../../policies/recorded';
import { besideEachOther, type Side } from './beside';
import { type Effect, effectOf } from './effect';
import type { Counting } from './except';
import { declarationIn, type Line, lastRun, ownerRights } from './record';

/** A few look-ups in Lapse's own tables. */
const STATEMENT_MS = 10_000;
/** Rows looked at a count, at most: some twenty seconds of an index. */
const MOST_ROWS = 1_000_000;
const DAY_MS = 86_400_000;
/** A policy that production has not run for as long is gone already, and no change of this branch. */
const REMEMBERED_DAYS = 30;

export interface PlanContext {
  readonly database: Database;
  readonly policies: readonly Policy[];
  readonly guards: Settings['guards'];
  readonly clock: () => Date;
}

export interface PlanRequest {
  /** Finished by then; what has not been counted is said to be more. */
  readonly deadline: Date;
  /** How far to look ahead. */
  readonly days: number;
  readonly mostRows?: number;
}

export interface PolicyPlan {
  readonly policy: string;
  readonly change: 'new' | 'changed' | 'removed' | 'unchanged';
  readonly production: { readonly version: string; readonly since: string; readonly by: string } | null;
  readonly branch: { readonly version: string } | null;
  readonly sides: readonly Side[];
  /** Null where nothing about what may go has changed. */
  readonly effect: Effect | null;
  /** What could not be counted or compared, and what to do about it. */
  readonly problems: readonly string[];
}

export interface Plan {
  readonly asOf: string;
  readonly days: number;
  readonly policies: readonly PolicyPlan[];
}

export async function makePlan(context: PlanContext, request: PlanRequest): Promise<Plan> {
  const { record, owner, now } = await ask(
    context.database,
    { record: lastRun, owner: ownerRights, now: nowOf(context.clock()) },
    { statementMs: STATEMENT_MS, readOnly: true },
  );
  const environment: Environment = Object.assign(
    {},
    ...record.map((line) => readRecord(line.declaration)?.environment ?? {}),
  );
  const job: Job = { context, request, now, owner: owner !== false, counting: countingOf(context, request) };
  const plans: PolicyPlan[] = [];
  for (const declared of context.policies) {
    const branch = inEnvironment(declared, environment);
    plans.push(await planOf(job, record.find((line) => line.policy === branch.name) ?? null, branch));
  }
  const since = new Date(now.getTime() - REMEMBERED_DAYS * DAY_MS);
  for (const line of record) {
    const isDeclared = context.policies.some((p) => p.name === line.policy);
    if (isDeclared || line.last_run === null || new Date(line.last_run) < since) continue;
    plans.push(await planOf(job, line, null));
  }
  return { asOf: now.toISOString(), days: request.days, policies: plans };
}

interface Job {
  readonly context: PlanContext;
  readonly request: PlanRequest;
  readonly now: Date;
  readonly owner: boolean;
  readonly counting: Counting;
}

const countingOf = ({ database, guards, clock }: PlanContext, request: PlanRequest): Counting => ({
  reading: readingOnly(asking(database)),
  inTime: () => clock() < request.deadline,
  coolingSeconds: guards.coolingOffSeconds,
  mostRows: request.mostRows ?? MOST_ROWS,
});

/** As a run would take it: never later than the database's own clock. */
const nowOf = (at: Date) =>
  query(
    sql`select ${utc(sql`least(${at.toISOString()}::timestamptz, retention.clock())`, 'ms')} as now`,
    (answer) => new Date(String(answer[0]?.now)),
  );

/** One of the two is there. */
async function planOf(job: Job, line: Line | null, branch: Policy | null): Promise<PolicyPlan> {
  const version = branch && versionOf(branch);
  const production = line && { version: line.version, since: line.since, by: line.by };
  const before = line && declarationIn(line, branch);
  const sides = besideEachOther(before, branch);
  const about = {
    policy: branch?.name ?? line?.policy ?? '',
    production,
    branch: version === null ? null : { version },
    sides,
  };
  if (line && version === line.version) {
    const differs = before !== null && sides.some((s) => s.production !== s.branch);
    return { ...about, change: differs ? 'changed' : 'unchanged', effect: null, problems: [] };
  }
  const change = line === null ? 'new' : branch === null ? 'removed' : 'changed';
  const problems = line && before === null ? [UNRECORDED] : [];
  try {
    const effect = await effectOf({
      ...job.counting,
      database: job.context.database,
      guards: job.context.guards,
      now: job.now,
      days: job.request.days,
      isOwner: job.owner,
      before,
      branch,
    });
    return { ...about, change, effect, problems };
  } catch (error) {
    if (!(error instanceof LapseError)) throw error;
    return { ...about, change, effect: null, problems: [...problems, uncounted(error)] };
  }
}

const UNRECORDED =
  'the record does not hold what production last ran (its last run was before records did): every row the branch may delete is counted as new; after production has run once, the difference is exact';

const uncounted = (error: LapseError): string =>
  error instanceof DatabaseError && /^42/.test(error.sqlState ?? '')
    ? `not counted: ${error.message}. This database is not yet as the branch needs it, or the login may not read it; npm run policy:check names the statement`
    : `not counted: ${error.message}`;
