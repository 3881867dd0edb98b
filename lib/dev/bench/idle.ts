/**
 * Days of an installation in which nothing is to be done, by its own crons: the real handlers, called at each instant of a
 * clock that is passed in, on the real local cloud. What leaves this process for PostgreSQL and Redis is counted on its way.
 */
import { cronRoute } from '../../http/cron-route';
import { jobRoute } from '../../http/job-route';
import { OWN_WORK, type Work } from '../../http/own-jobs';
import { cronPath, WATCH_JOB } from '../../platform/jobs';
import type { Cron } from '../../policies/crons';
import { nextRun } from '../../policies/next-run';
import type { Services } from '../../services';
import { watchRuns } from '../../watch/run-watch';

const DAY_MS = 86_400_000;
/** Neon suspends after five minutes without a request: its default (neon.com/docs, Scale to Zero). */
const SUSPENDS_AFTER_MS = 5 * 60_000;

export interface Called {
  readonly at: Date;
  readonly path: string;
  readonly status: number;
  readonly outcome: string;
  readonly reason: string | null;
  readonly postgres: number;
  readonly redis: number;
}

export interface Play {
  /** Its clock is the play's. */
  services(clock: () => Date): Services;
  readonly crons: readonly Cron[];
  readonly from: Date;
  readonly days: number;
  /** Called before each call, to make work or to break something. */
  before?(at: Date): Promise<void> | void;
  after?(called: Called): void;
  /** False: this call never comes. */
  comes?(at: Date, path: string): boolean;
}

/** Every call of the crons in that time, each at a second of its own within its minute, as Vercel calls them. */
export async function play({ services: make, crons, from, days, ...on }: Play): Promise<Called[]> {
  let now = from;
  const services = make(() => now);
  const routes = new Map(crons.map(({ path }) => [path, routeOf(path, services)]));
  const traffic = watchTraffic();
  const all: Called[] = [];
  try {
    for (const { at, path, schedule } of callsOf(crons, from, days)) {
      now = at;
      await on.before?.(at);
      if (on.comes && !on.comes(at, path)) continue;
      traffic.reset();
      const response = await routes.get(path)!.GET(requestOf(path, schedule, services));
      const { outcome = '', reason = null } = (await response.json()) as {
        outcome?: string;
        reason?: string;
      };
      const called = { at, path, status: response.status, outcome, reason, ...traffic.seen() };
      all.push(called);
      on.after?.(called);
    }
  } finally {
    traffic.stop();
  }
  return all;
}

function routeOf(path: string, services: Services) {
  const name = path.slice(cronPath('').length);
  if (services.policies.some((p) => p.name === name)) return cronRoute(name, () => services);
  const works: Readonly<Record<string, Work>> = { ...OWN_WORK, [WATCH_JOB]: watchRuns };
  const work = works[name];
  if (!work) throw new TypeError(`"${name}" has no work in lib/http/own-jobs.ts: add it there`);
  return jobRoute(name, work, () => services);
}

const requestOf = (path: string, schedule: string, { settings }: Services): Request =>
  new Request(`http://localhost${path}`, {
    headers: {
      authorization: `Bearer ${settings.cronSecret}`,
      'user-agent': 'vercel-cron/1.0',
      'x-vercel-cron-schedule': schedule,
    },
  });

/** In order of time. A cron's second is its own, and the same each time, but for one more or less. */
function callsOf(crons: readonly Cron[], from: Date, days: number): (Cron & { readonly at: Date })[] {
  const until = from.getTime() + days * DAY_MS;
  const justBefore = new Date(from.getTime() - 1);
  const calls: (Cron & { readonly at: Date })[] = [];
  for (const [i, cron] of crons.entries()) {
    let n = 0;
    for (
      let due = nextRun(cron.schedule, justBefore);
      due && due.getTime() < until;
      due = nextRun(cron.schedule, due)
    ) {
      n += 1;
      calls.push({ ...cron, at: new Date(due.getTime() + ((i * 17) % 50) * 1000 + (n % 3) * 1000) });
    }
  }
  return calls.sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** Requests to PostgreSQL and commands of Redis that leave this process. */
function watchTraffic() {
  const original = globalThis.fetch;
  let seen = { postgres: 0, redis: 0 };
  globalThis.fetch = (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    if (pathname.startsWith('/sql')) seen.postgres += 1;
    if (pathname.startsWith('/redis')) seen.redis += commandsIn(String(init?.body));
    return original(input, init);
  };
  return {
    reset: () => {
      seen = { postgres: 0, redis: 0 };
    },
    seen: () => seen,
    stop: () => {
      globalThis.fetch = original;
    },
  };
}

/** As Upstash counts them, those of a script too (upstash.com/docs/redis/sdks/ratelimit-ts/costs); here also those not reached. */
function commandsIn(body: string): number {
  const [name, script] = JSON.parse(body) as [string, string?];
  return name.toLowerCase() === 'eval' ? 1 + (script?.match(/redis\.p?call\(/g)?.length ?? 0) : 1;
}

export interface Figures {
  readonly invocations: number;
  readonly postgresRequests: number;
  readonly redisCommands: number;
  readonly wakeUps: number;
  readonly minutesAwake: number;
}

/** Of a day, on the average of those played. */
export function aDay(calls: readonly Called[], days: number): Figures {
  const sum = (of: (c: Called) => number) => calls.reduce((n, c) => n + of(c), 0) / days;
  const asked = calls.filter((c) => c.postgres > 0).map((c) => c.at.getTime());
  let wakeUps = 0;
  let awakeMs = 0;
  for (const [i, at] of asked.entries()) {
    const idleMs = i === 0 ? Number.POSITIVE_INFINITY : at - asked[i - 1]!;
    if (idleMs > SUSPENDS_AFTER_MS) wakeUps += 1;
    awakeMs += Math.min(idleMs, SUSPENDS_AFTER_MS);
  }
  return {
    invocations: calls.length / days,
    postgresRequests: sum((c) => c.postgres),
    redisCommands: sum((c) => c.redis),
    wakeUps: wakeUps / days,
    minutesAwake: awakeMs / 60_000 / days,
  };
}

/** List prices in US dollars, with their sources as read on 2026-11-22. */
export const PRICES = {
  /** Launch plan; neon.com/faqs/managed-postgres-services-pay-active-compute. */
  neonComputeUnitHour: 0.106,
  /** The smallest compute. */
  neonComputeUnits: 0.25,
  /** Pay as you go; upstash.com/pricing. 500,000 a month are free on the free plan. */
  upstash100kCommands: 0.2,
  /** Beyond those included; vercel.com/docs/functions/usage-and-pricing. Without the time they run. */
  vercelMillionInvocations: 0.6,
};

/** Dollars a month of thirty days. */
export function monthly(day: Figures) {
  const neon = ((day.minutesAwake * 30) / 60) * PRICES.neonComputeUnits * PRICES.neonComputeUnitHour;
  const upstash = ((day.redisCommands * 30) / 100_000) * PRICES.upstash100kCommands;
  const vercel = ((day.invocations * 30) / 1_000_000) * PRICES.vercelMillionInvocations;
  return { neon, upstash, vercel, all: neon + upstash + vercel };
}
