import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Fault, Faults } from '@/lib/dev/local-cloud';
import { healthRoute } from '@/lib/http/health-route';
import type { Database } from '@/lib/platform/database';
import { createServices, type Services } from '@/lib/services';
import { check } from '@/lib/watch/health/probe';
import { allProbes } from '@/lib/watch/health/probes';
import { type PrivateCloud, privateCloud } from '@/test/support/cloud';
import { DAY, type Engine, engine, govern, NOW, things } from '@/test/support/engine';

const TOKEN = 'a-token-of-the-scraper';
let e: Engine;
let cloud: PrivateCloud;
let services: Services;

beforeEach(async () => {
  vi.stubEnv('CRON_SECRET', 'a-secret-of-the-tests');
  vi.stubEnv('METRICS_TOKEN', TOKEN);
  e = await engine();
  cloud = await privateCloud();
  cloud.useBlob();
  services = {
    ...createServices({
      ...e.db.env,
      ...cloud.env(e.db.name),
      CRON_SECRET: 'a-secret-of-the-tests',
      VERCEL_ENV: 'production',
      LOG_LEVEL: 'silent',
    }),
    policies: [await govern(e.db)],
    clock: () => NOW,
  };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await cloud.stop();
  await e.stop();
});

const ask = async (secret?: string, s = services): Promise<{ status: number; body: Answer }> => {
  const headers = secret === undefined ? undefined : { authorization: `Bearer ${secret}` };
  const answer = await healthRoute(() => s)(
    new Request('http://localhost/api/health', { ...(headers ? { headers } : {}) }),
  );
  return { status: answer.status, body: (await answer.json()) as Answer };
};
interface Answer {
  status: string;
  checks: { name: string; status: string; message: string; remedy: string | null; latencyMs: number }[];
}
const only =
  (service: 'sql' | 'redis' | 'blob', fault: Fault): Faults =>
  (request) =>
    request.service === service ? fault : undefined;
const named = (answer: Answer, name: string) => answer.checks.find((c) => c.name === name)!;

it('tells any caller that it is well, and nothing else', async () => {
  expect(await ask()).toEqual({ status: 200, body: { status: 'ok' } });
});

it('shows details to its own token and the previous one, and to no other, not even the cron secret', async () => {
  vi.stubEnv('METRICS_TOKEN_PREVIOUS', 'a-token-of-last-month');
  await e.run(services.policies[0]!);
  for (const secret of [TOKEN, 'a-token-of-last-month']) {
    const { status, body } = await ask(secret);
    expect(status).toBe(200);
    expect(body.checks.map((c) => [c.name, c.status])).toEqual([
      ['database', 'ok'],
      ['redis', 'ok'],
      ['blob', 'ok'],
      ['runs', 'ok'],
      ['audit', 'ok'],
      ['operators', 'ok'],
      ['logins', 'ok'],
    ]);
    expect(body.status).toBe('ok');
  }
  for (const secret of ['something-else-entirely', 'a-secret-of-the-tests', '']) {
    const refused = await ask(secret);
    expect(refused.status).toBe(401);
    expect(refused.body.checks).toBeUndefined();
  }
});

it.each([
  ['sql', 'database', 503],
  ['redis', 'redis', 503],
  ['blob', 'blob', 200],
] as const)(
  'a refusing %s is named with what to do, and only what runs depend on is a 503',
  async (service, name, status) => {
    await e.run(services.policies[0]!);
    cloud.setFaults(only(service, { kind: 'refuse', status: 503 }));
    expect((await ask()).status).toBe(status);
    const detailed = await ask(TOKEN);
    expect(detailed.status).toBe(status);
    expect(detailed.body.status).toBe(status === 503 ? 'unavailable' : 'degraded');
    expect(named(detailed.body, name)).toMatchObject({
      status: 'failed',
      remedy: expect.stringContaining('check '),
    });
    expect(JSON.stringify(detailed.body)).not.toMatch(/postgres(ql)?:\/\/|127\.0\.0\.1/);
  },
);

it('a dropped connection is an answer too', async () => {
  cloud.setFaults(() => ({ kind: 'drop-before' }));
  const { status, body } = await ask(TOKEN);
  expect(status).toBe(503);
  expect(body.checks.filter((c) => c.status === 'failed').map((c) => c.name)).toEqual([
    'database',
    'redis',
    'blob',
    'runs',
    'audit',
    'operators',
    'logins',
  ]);
});

it('a dependency that does not answer delays nothing: each check has a limit of its own', async () => {
  cloud.setFaults(() => ({ kind: 'delay', ms: 5_000 }));
  for (const probe of allProbes(services)) {
    const found = await check(probe, 20);
    expect(found).toMatchObject({
      status: 'failed',
      message: 'no answer within 20 ms',
      remedy: probe.remedy,
    });
    expect(found.latencyMs).toBeLessThan(5_000);
  }
});

it('asks each dependency once for all callers, until a few seconds have passed', async () => {
  let asked = 0;
  const database: Database = {
    transaction: (statements, options) => {
      asked += 1;
      return services.database.transaction(statements, options);
    },
  };
  let now = 0;
  const route = healthRoute(
    () => ({ ...services, database }),
    () => now,
  );
  const get = () => route(new Request('http://localhost/api/health'));
  await Promise.all(Array.from({ length: 50 }, get));
  now = 4_999;
  await get();
  expect(asked).toBe(1);
  now = 5_000;
  await get();
  expect(asked).toBe(2);
});

it('a wrong setting is a 503 that does not mention it', async () => {
  const route = healthRoute(() => {
    throw new Error('postgresql://app:password@host/db');
  });
  const answer = await route(new Request('http://localhost/api/health'));
  expect([answer.status, await answer.json()]).toEqual([503, { status: 'unavailable' }]);
});

it('names the policy that is furthest behind its schedule, and what its last run said', async () => {
  const policy = services.policies[0]!;
  const never = named((await ask(TOKEN)).body, 'runs');
  expect(never).toMatchObject({ status: 'failed', message: expect.stringContaining('never did its work') });

  await e.run(policy);
  const at = (hours: number) => ({ ...services, clock: () => new Date(NOW.getTime() + hours * 3_600_000) });
  // Due again 24 hours later; the run watch allows a nightly run two hours, and so does this.
  expect(named((await ask(TOKEN, at(26))).body, 'runs').status).toBe('ok');
  const late = await ask(TOKEN, at(27));
  expect(late.body.status).toBe('degraded');
  expect(named(late.body, 'runs')).toMatchObject({
    status: 'failed',
    message:
      '1 of 1 policies are behind, first things: its next run was due 180 minutes ago; its latest run: succeeded',
    remedy: expect.stringContaining('/api/cron/things'),
  });
});

it('expects no deleting run where only dry runs are allowed', async () => {
  const dry = {
    ...services,
    settings: { ...services.settings, dryRun: true, dryRunBecause: 'CLEANUP_DRY_RUN' },
  };
  expect(named((await ask(TOKEN, dry)).body, 'runs')).toMatchObject({
    status: 'ok',
    message: 'only dry runs here (CLEANUP_DRY_RUN)',
  });
});

it('shows an edited head of the audit chain, also behind the tenth entry', async () => {
  await things(e.db, [40 * DAY]);
  await e.run(services.policies[0]!);
  await e.db.sql(
    `select retention.record('otto', 'hold.placed', 'x', 'y', '{}') from generate_series(1, 11)`,
  );
  expect(named((await ask(TOKEN)).body, 'audit').status).toBe('ok');
  await e.db.sql('alter table retention.audit_entry disable trigger user');
  await e.db.sql(
    `update retention.audit_entry set reason = 'another' where n = (select max(n) from retention.audit_entry)`,
  );
  expect(named((await ask(TOKEN)).body, 'audit')).toMatchObject({
    status: 'failed',
    remedy: expect.stringContaining('audit:verify'),
  });
});

it('says that the schema is missing', async () => {
  await e.db.sql('alter table retention.run rename to run_away');
  expect(named((await ask(TOKEN)).body, 'database')).toMatchObject({
    status: 'failed',
    remedy: 'run npm run migrate',
  });
});

it('without a store says so, and still answers load balancers that it works', async () => {
  const { status, body } = await ask(TOKEN, { ...services, blob: undefined });
  expect(named(body, 'blob')).toMatchObject({
    status: 'absent',
    remedy: expect.stringContaining('BLOB_READ_WRITE_TOKEN'),
  });
  expect([status, body.status]).toEqual([200, 'degraded']);
});
