import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type CronRoute, door, type Visit } from '@/lib/http/door';
import { createLog } from '@/lib/platform/log';
import { createServices } from '@/lib/services';
import { OPERATORS, TOKENS } from '@/test/support/operators';

const [SECRET, BEFORE] = ['a-secret-of-the-tests', 'the-secret-of-before'];
let visits: Visit[];
let lines: string[];
let route: CronRoute;

beforeEach(() => {
  vi.stubEnv('CRON_SECRET', SECRET);
  vi.stubEnv('CRON_SECRET_PREVIOUS', BEFORE);
  [visits, lines] = [[], []];
  const services = {
    ...createServices({
      DATABASE_URL: 'postgresql://a:b@host.example/db',
      UPSTASH_REDIS_REST_URL: 'https://redis.example',
      UPSTASH_REDIS_REST_TOKEN: 'token',
      CRON_SECRET: SECRET,
      LAPSE_OPERATORS: OPERATORS,
    }),
    log: createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } }),
  };
  route = door(
    'things',
    () => services,
    async (visit) => {
      visits.push(visit);
      return new Response('ok');
    },
  );
});
afterEach(() => vi.unstubAllEnvs());

const call = async (token: string, query = '', headers: Record<string, string> = {}) =>
  (
    await route.GET(
      new Request(`https://lapse.test/x${query}`, {
        headers: { authorization: `Bearer ${token}`, ...headers },
      }),
    )
  ).status;

describe('an operator’s own token', () => {
  it('makes dry runs, under the operator’s name', async () => {
    expect(await call(TOKENS.alice, '?dryRun=1')).toBe(200);
    expect(visits[0]).toMatchObject({ actor: 'alice', trigger: 'manual', schedule: null });
    expect(visits[0]?.parameters.dryRun).toBe(true);
  });

  it.each(['', '?dryRun=0', '?limit=1'])('runs nothing for real: %s', async (query) => {
    expect(await call(TOKENS.alice, query)).toBe(403);
    expect(visits).toEqual([]);
  });

  it('cannot pose as the schedule', async () => {
    const headers = { 'user-agent': 'vercel-cron/1.0', 'x-vercel-cron-schedule': '0 2 * * *' };
    await call(TOKENS.bob, '?dryRun=1', headers);
    expect(visits[0]).toMatchObject({ actor: 'bob', trigger: 'manual', schedule: null });
  });
});

describe('the trigger', () => {
  it.each([
    [{ 'user-agent': 'vercel-cron/1.0', 'x-vercel-cron-schedule': '0 2 * * *' }, 'cron'],
    [{ 'user-agent': 'curl/8', 'x-vercel-cron-schedule': '0 2 * * *' }, 'manual'],
    [{ 'user-agent': 'vercel-cron/1.0' }, 'manual'],
    [{}, 'manual'],
  ])('of a call with %j is %s', async (headers, trigger) => {
    await call(SECRET, '', headers as Record<string, string>);
    expect(visits[0]).toMatchObject({ trigger, actor: trigger });
  });
});

describe('while the secret is being changed', () => {
  it('the previous one is accepted too, and its use is logged', async () => {
    expect(await call(BEFORE)).toBe(200);
    expect(lines.join('')).toContain('CRON_SECRET_PREVIOUS');
    expect(lines.join('')).not.toContain(BEFORE);
  });

  it('the current one is accepted without a log line', async () => {
    expect(await call(SECRET)).toBe(200);
    expect(lines).toEqual([]);
  });

  it('nothing counts that is empty or short', async () => {
    for (const previous of ['', 'short']) {
      vi.stubEnv('CRON_SECRET_PREVIOUS', previous);
      expect(await call(previous)).toBe(401);
    }
  });
});
