import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { acquire } from '@/lib/engine/run/checkpoint';
import { cronRoute } from '@/lib/http/cron-route';
import { DAY, type Engine, engine, govern, left, things } from '../support/engine';

const SECRET = 'a-secret-of-the-tests';
const OWN_ID = '0b1c7a52-7f0e-4c8e-9f4e-2a1d3c5b7e90';
let e: Engine;
beforeEach(async () => {
  vi.stubEnv('CRON_SECRET', SECRET);
  e = await engine();
  const policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
  await things(e.db, [40 * DAY, 41 * DAY, DAY]);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await e.stop();
});

const route = (name = 'things') => cronRoute(name, () => e.services);
const request = (
  query = '',
  headers: Record<string, string> = { authorization: `Bearer ${SECRET}` },
  method = 'GET',
) => new Request(`http://localhost/api/cron/things${query}`, { method, headers });
const body = async (r: Response) =>
  (await r.json()) as Record<string, never> & { error: { code: string; field?: string } };

describe('who may call', () => {
  it.each([
    ['no header', {}],
    ['another secret', { authorization: 'Bearer another-secret-of-them' }],
    ['the secret without its scheme', { authorization: SECRET }],
    ['an empty bearer', { authorization: 'Bearer ' }],
    ['the word undefined', { authorization: 'Bearer undefined' }],
    [
      'only the user agent of Vercel',
      { 'user-agent': 'vercel-cron/1.0', 'x-vercel-cron-schedule': '0 2 * * *' },
    ],
  ])('refuses %s with 401 and touches nothing', async (_, headers) => {
    const response = await route().GET(request('', headers));
    expect(response.status).toBe(401);
    expect((await body(response)).error.code).toBe('unauthorized');
    expect(await left(e.db)).toBe(3);
    expect(await e.db.sql('select 1 from retention.run')).toEqual([]);
  });

  it.each(['', 'short'])('admits no caller while the secret is "%s"', async (secret) => {
    vi.stubEnv('CRON_SECRET', secret);
    const response = await route().GET(request('', { authorization: `Bearer ${secret}` }));
    expect(response.status).toBe(401);
  });

  it('checks the secret before it looks at anything else', async () => {
    const response = await cronRoute('things', () => {
      throw new Error('services were made for a stranger');
    }).GET(request('?nonsense=1', {}));
    expect(response.status).toBe(401);
  });

  it('never runs for HEAD', async () => {
    expect(route().HEAD().status).toBe(405);
    expect(await left(e.db)).toBe(3);
  });
});

describe('what it answers', () => {
  it('deletes for GET as Vercel Cron sends it, and says what it did', async () => {
    const response = await route().GET(
      request('', {
        authorization: `Bearer ${SECRET}`,
        'user-agent': 'vercel-cron/1.0',
        'x-vercel-cron-schedule': '0 2 * * *',
        'x-correlation-id': OWN_ID,
      }),
    );
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await body(response)).toMatchObject({
      outcome: 'succeeded',
      deleted: 2,
      correlationId: OWN_ID,
    });
    expect(await e.db.sql('select trigger, actor, correlation_id from retention.run')).toEqual([
      { trigger: 'cron', actor: 'cron', correlation_id: OWN_ID },
    ]);
  });

  it('deletes for POST, as Vercel Schedules sends it', async () => {
    const response = await route().POST(request('', undefined, 'POST'));
    expect(await body(response)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  });

  it('answers 200 and skipped while another run holds the lease', async () => {
    await acquire(e.services.redis, 'things', 'somebody');
    const response = await route().GET(request());
    expect(response.status).toBe(200);
    expect(await body(response)).toMatchObject({ outcome: 'skipped', reason: 'locked' });
  });

  it('answers 500 for a run that errored, with what to do', async () => {
    await e.db.sql('drop index things_at_id_idx');
    const response = await route().GET(request());
    expect(response.status).toBe(500);
    expect(await body(response)).toMatchObject({ outcome: 'errored', reason: 'preflight' });
  });

  it('answers 404 for a policy that does not exist', async () => {
    expect((await route('nothing').GET(request())).status).toBe(404);
  });

  it('says no more about a wrong setting than that there is one', async () => {
    const broken = cronRoute('things', () => {
      throw new (class extends Error {})('postgresql://app:password@host/db');
    });
    const response = await broken.GET(request());
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('password');
  });
});

describe('parameters', () => {
  it.each([
    ['?limit=0', 'limit'],
    ['?limit=-5', 'limit'],
    ['?limit=ten', 'limit'],
    ['?limit=1e3', 'limit'],
    ['?limit=', 'limit'],
    ['?batchSize=10001', 'batchSize'],
    ['?batchSize=1.5', 'batchSize'],
    ['?maxSeconds=0', 'maxSeconds'],
    ['?dryRun=maybe', 'dryRun'],
    ['?dryrun=1', 'dryrun'],
    ['?limit=1&limit=2', 'limit'],
    ['?days=1', 'days'],
    ['?__proto__=1', '__proto__'],
    ['?constructor=1', 'constructor'],
  ])('refuses %s with 400, naming the field, and changes nothing', async (query, field) => {
    const response = await route().GET(request(query));
    expect(response.status).toBe(400);
    expect((await body(response)).error.field).toBe(field);
    expect(await left(e.db)).toBe(3);
  });

  it('takes a limit, a batch size and a dry run', async () => {
    expect(await body(await route().GET(request('?dryRun=yes')))).toMatchObject({
      mode: 'dry_run',
      deleted: 0,
    });
    expect(await body(await route().GET(request('?limit=1&batchSize=1')))).toMatchObject({
      deleted: 1,
      reason: 'limit',
    });
  });

  it('cannot turn off a dry run that the settings require', async () => {
    const dry = {
      ...e.services,
      settings: { ...e.services.settings, dryRun: true, dryRunBecause: 'CLEANUP_DRY_RUN' },
    };
    const response = await cronRoute('things', () => dry).GET(request('?dryRun=0'));
    expect(await body(response)).toMatchObject({ mode: 'dry_run', deleted: 0 });
    expect(await left(e.db)).toBe(3);
  });
});
