/**
 * What this branch changes, for the start page of a preview deployment: the plan of `npm run plan`, within what a person waits for. It is
 * made once in a few minutes for everyone who looks; what could not be counted by then is said to be more, or not to be finished.
 */
import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { inTurn } from '../../platform/turn';
import { versionOf } from '../../policies/fingerprint';
import type { Services } from '../../services';
import type { Moments } from '../../watch/plan/effect';
import { makePlan, type Plan, type PolicyPlan } from '../../watch/plan/plan';
import { failed } from '../answered';

/** A person looks at an empty section so long. */
const MOST_MS = 15_000;
/** No count begins behind it: each may take seconds by itself. */
const COUNTING_MS = 10_000;
/** A fraction of what a plan takes. */
const LOOK_AGAIN_MS = 250;
/** Rows looked at a count: below it a plan is exact, above it one reads that it is many. */
const MOST_ROWS = 20_000;
const DAYS = 30;
/** What was made for everyone is shown so long. */
const FRESH_MS = 300_000;

/** Rows and files, `more` where the count was not finished. */
interface Figure {
  readonly rows: number;
  readonly files: number;
  readonly more: boolean;
}

export interface Changed {
  readonly policy: string;
  readonly change: Exclude<PolicyPlan['change'], 'unchanged'>;
  /** What it was and what it is, only where they differ; null: nothing. */
  readonly sides: readonly {
    readonly field: string;
    readonly was: string | null;
    readonly is: string | null;
  }[];
  /** What only the branch may delete; null: no row's fate changes, or it was not counted. */
  readonly now: Figure | null;
  readonly ahead: Figure | null;
  /** Rows that could go and now stay. */
  readonly spared: Figure | null;
  readonly guard: string | null;
  readonly problems: readonly string[];
}

export interface BranchPlan {
  /** When it was made. */
  readonly at: string;
  readonly days: number;
  readonly policies: number;
  readonly changes: readonly Changed[];
}

/** Null: it could not be finished in time. Reads only. `mostMs`: over by then, whatever a statement still does. */
export async function branchPlan(services: Services, mostMs = MOST_MS): Promise<BranchPlan | null> {
  const planned = madeOrFound(services, mostMs);
  const inTime = await Promise.race([planned, afterMs(mostMs)]);
  if (inTime === null) {
    // It continues, and who looks next finds it; its failure has no one left to read it.
    planned.catch((error: unknown) =>
      failed(error, { script: 'console', correlationId: randomUUID() }, services.log, 'plan.failed'),
    );
  }
  return inTime;
}

/** One at a time: who looks meanwhile waits for what the first one finds. */
async function madeOrFound(services: Services, mostMs: number): Promise<BranchPlan | null> {
  const until = Date.now() + mostMs;
  while (Date.now() < until) {
    const known = await knownOf(services);
    if (known !== null) return known;
    const turn = await inTurn(services.redis, 'plan', MOST_MS, () => make(services, mostMs));
    if (turn.mine) return turn.result;
    await afterMs(LOOK_AGAIN_MS);
  }
  return null;
}

async function make(services: Services, mostMs: number): Promise<BranchPlan> {
  const deadline = new Date(services.clock().getTime() + Math.min(COUNTING_MS, mostMs));
  const context = { ...services, guards: services.settings.guards };
  const plan = shown(await makePlan(context, { deadline, days: DAYS, mostRows: MOST_ROWS }));
  await keep(services, plan);
  return plan;
}

const afterMs = (ms: number): Promise<null> =>
  new Promise((done) => {
    setTimeout(() => done(null), ms).unref();
  });

const shown = ({ asOf, days, policies }: Plan): BranchPlan => ({
  ...{ at: asOf, days, policies: policies.length },
  changes: policies.flatMap((p) => (p.change === 'unchanged' ? [] : [changedOf(p, p.change)])),
});

const changedOf = (p: PolicyPlan, change: Changed['change']): Changed => ({
  ...{ policy: p.policy, change, problems: p.problems },
  sides: p.sides
    .filter((s) => s.production !== s.branch)
    .map(({ field, production: was, branch: is }) => ({ field, was, is })),
  now: figureOf(p.effect?.becomes ?? null, 'now'),
  ahead: figureOf(p.effect?.becomes ?? null, 'ahead'),
  spared: figureOf(p.effect?.spared ?? null, 'ahead'),
  guard: p.effect?.stays?.guard ?? null,
});

function figureOf(moments: Moments | null, at: keyof Moments): Figure | null {
  if (moments === null) return null;
  const { rows, files, complete, dependants } = moments[at];
  const along = Object.values(dependants).reduce((sum, n) => sum + n, 0);
  return { rows: rows + along, files, more: !complete };
}

const Figured = z.object({ rows: z.number(), files: z.number(), more: z.boolean() }).nullable();
const Kept = z.object({
  ...{ at: z.string(), days: z.number(), policies: z.number() },
  changes: z.array(
    z.object({
      policy: z.string(),
      change: z.enum(['new', 'changed', 'removed']),
      sides: z.array(z.object({ field: z.string(), was: z.string().nullable(), is: z.string().nullable() })),
      ...{ now: Figured, ahead: Figured, spared: Figured },
      guard: z.string().nullable(),
      problems: z.array(z.string()),
    }),
  ),
});

/** Of these declarations: another branch's preview may share the store. */
const keyOf = ({ redis, policies }: Services): string =>
  `${redis.prefix}plan:${createHash('sha256')
    .update(policies.map((p) => `${p.name} ${versionOf(p)}`).join('\n'))
    .digest('hex')
    .slice(0, 16)}`;

/** Null: nobody has looked lately, or Redis does not say. */
async function knownOf(services: Services): Promise<BranchPlan | null> {
  const text = await services.redis.get(keyOf(services)).catch(() => null);
  if (text === null) return null;
  try {
    const known = Kept.parse(JSON.parse(text));
    const age = services.clock().getTime() - Date.parse(known.at);
    return age >= 0 && age < FRESH_MS ? known : null;
  } catch {
    return null;
  }
}

async function keep(services: Services, plan: BranchPlan): Promise<void> {
  const set = `return redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])`;
  await services.redis
    .eval(set, [keyOf(services)], [JSON.stringify(plan), String(FRESH_MS)])
    .catch(() => undefined);
}
