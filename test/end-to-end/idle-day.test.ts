/**
 * A database of somebody else's with nothing in it but Lapse's own schema, through the routes that are deployed: every
 * cron once, and what a person or a scrape asks meanwhile.
 */
import { resolve } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { migrate } from '@/lib/dev/migrate';
import { policiesNow } from '@/lib/http/console/policies';
import { cronRoute } from '@/lib/http/cron-route';
import { createLog } from '@/lib/platform/log';
import type { Policy } from '@/lib/policies/contract';
import { crons } from '@/lib/policies/crons';
import { defineDataMap } from '@/lib/policies/data-map-contract';
import { createServices, type Services } from '@/lib/services';
import { type TestDatabase, testDatabase } from '../support/database';
import { NOW, thingsPolicy } from '../support/engine';
import { OPERATORS, TOKENS } from '../support/operators';
import { problemsIn } from '../support/own-database';

const here = vi.hoisted(() => ({ services: null as unknown }));
vi.mock('@/lib/services', async (original) => ({
  ...(await original<typeof import('@/lib/services')>()),
  services: () => here.services,
}));
vi.mock('next/server', async (original) => ({
  ...(await original<typeof import('next/server')>()),
  connection: async () => undefined,
}));

const SECRET = 'a-secret-of-the-tests';
const SCRAPER = 'a-token-of-the-scraper';

let db: TestDatabase;
afterEach(async () => {
  vi.unstubAllEnvs();
  await db.stop();
});

interface Installation {
  readonly services: Services;
  /** Lines of the log above info. */
  readonly complaints: string[];
}

async function install(): Promise<Installation> {
  vi.stubEnv('CRON_SECRET', SECRET);
  vi.stubEnv('METRICS_TOKEN', SCRAPER);
  db = await testDatabase({ empty: true });
  await migrate(db.ownerUrl, { sets: ['retention'], direction: 'up' });
  const { BLOB_READ_WRITE_TOKEN: _, ...addresses } = db.env;
  const complaints: string[] = [];
  const services: Services = {
    ...createServices({
      ...addresses,
      CRON_SECRET: SECRET,
      VERCEL_ENV: 'production',
      LAPSE_OPERATORS: OPERATORS,
      LAPSE_NAMESPACE: db.name.replaceAll('_', '-'),
    }),
    policies: [],
    dataMap: [],
    orderReview: undefined,
    clock: () => NOW,
    log: createLog({ level: 'warn', destination: { write: (line) => void complaints.push(line) } }),
  };
  return { services, complaints };
}

const ask = (path: string, token: string, schedule?: string) =>
  new Request(`http://localhost${path}`, {
    headers: {
      authorization: `Bearer ${token}`,
      'user-agent': 'vercel-cron/1.0',
      ...(schedule ? { 'x-vercel-cron-schedule': schedule } : {}),
    },
  });

type Route = { GET(request: Request, context?: unknown): Promise<Response> };

const deployed = async (path: string): Promise<Route> =>
  (await import(/* @vite-ignore */ resolve(`app${path}/route.ts`))) as Route;

async function routeOf(path: string, policies: readonly Policy[]): Promise<Route> {
  const policy = policies.find((p) => path === `/api/cron/${p.name}`);
  if (policy) return cronRoute(policy.name);
  return deployed(path);
}

/** What a person or a scrape asks, each with its status. */
async function look(): Promise<Record<string, number>> {
  const asked: [string, string][] = [
    ['/api/metrics', SCRAPER],
    ['/api/health', SCRAPER],
    ['/api/orders', TOKENS.alice],
    ['/api/control?list=holds', TOKENS.alice],
    ['/api/reports/cleanup?from=2026-02-01&to=2026-03-01', TOKENS.alice],
    ['/api/reports/quality?from=2026-02-01&to=2026-03-01', TOKENS.alice],
    ['/api/reports/drift', TOKENS.alice],
    ['/api/plan', TOKENS.alice],
    ['/api/calendar', TOKENS.alice],
  ];
  const statuses: Record<string, number> = {};
  for (const [path, token] of asked) {
    const route = await deployed(path.split('?')[0]!);
    const response = await route.GET(ask(path, token));
    statuses[path] = response.status;
  }
  return statuses;
}

const foreign = async (): Promise<Policy> => {
  await db.sql('create schema crm');
  await db.sql('create table crm."Visits" (id bigint generated always as identity primary key, seen date)');
  await db.sql(`insert into crm."Visits" (seen) select date '2026-03-01' - d from generate_series(1, 36) d`);
  const policy = thingsPolicy({
    name: 'visits',
    table: { schema: 'crm', name: 'Visits' },
    key: [{ column: 'id', type: 'bigint' }],
    clock: { column: 'seen', type: 'date' },
    scope: {},
  });
  // What the preflight asks for is all that it takes, as it prints it.
  for (const { remedy } of await problemsIn(db.ownerUrl, policy)) await db.sql(remedy);
  return policy;
};

/** Every cron of vercel.json once; each answers 200. Gives their outcomes by path. */
async function playTheDay(services: Services): Promise<Record<string, string>> {
  here.services = services;
  const outcomes: Record<string, string> = {};
  for (const { path, schedule } of crons(services, 'pro')) {
    const response = await (await routeOf(path, services.policies)).GET(ask(path, SECRET, schedule));
    const { outcome, message } = (await response.json()) as { outcome?: string; message?: string };
    expect(response.status, `${path}: ${message}`).toBe(200);
    outcomes[path] = String(outcome);
  }
  return outcomes;
}

it('an idle day of all crons without a policy: every answer is a 200, and nothing is in the log above info', async () => {
  const i = await install();
  const outcomes = await playTheDay(i.services);
  expect(Object.keys(outcomes)).not.toContain('/api/cron/order-review-sla');
  expect(Object.entries(await look()).filter(([, status]) => status !== 200)).toEqual([['/api/orders', 404]]);
  expect((await policiesNow(i.services, [])).stopped).toBeNull();
  expect(i.complaints).toEqual([]);
});

it("a day of all crons with one policy over a stranger's table: what has expired is gone, and nothing is in the log above info", async () => {
  const i = await install();
  const policy = await foreign();
  const dataMap = defineDataMap({ 'crm.Visits': { policy: 'visits' } });
  const outcomes = await playTheDay({ ...i.services, policies: [policy], dataMap });
  expect(outcomes['/api/cron/visits']).toBe('succeeded');
  expect(await db.sql('select count(*)::int as n from crm."Visits"')).toEqual([{ n: 30 }]);
  expect(Object.entries(await look()).filter(([, status]) => status !== 200)).toEqual([['/api/orders', 404]]);
  expect((await policiesNow(i.services, [policy])).policies[0]).toMatchObject({
    nights: [6],
    state: { word: 'Drained' },
  });
  expect(i.complaints).toEqual([]);
});
