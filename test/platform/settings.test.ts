import { afterEach, describe, expect, it, vi } from 'vitest';
import { SettingsError } from '@/lib/platform/errors';
import { guardSettings, readSettings } from '@/lib/platform/settings';
import { resolvePolicies } from '@/lib/policies';
import { days, forever } from '@/lib/policies/contract';
import { services } from '@/lib/services';
import { thingsPolicy } from '../support/engine';

const good = {
  DATABASE_URL: 'postgresql://app:pw@host.example/db',
  UPSTASH_REDIS_REST_URL: 'https://redis.example',
  UPSTASH_REDIS_REST_TOKEN: 'token',
  CRON_SECRET: 'sixteen-characters',
  VERCEL_ENV: 'production',
};
const problems = (env: Record<string, string | undefined>): string => {
  try {
    readSettings({ ...good, ...env });
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
};

describe('a wrong setting names itself', () => {
  it.each([
    ['DATABASE_URL', undefined],
    ['DATABASE_URL', ''],
    ['DATABASE_URL', 'mysql://a:b@c/d'],
    ['DATABASE_URL', 'postgresql://a:b@c:port/d'],
    ['DATABASE_URL_OPERATOR', ''],
    ['DATABASE_URL_OPERATOR', 'postgresql://op:pw@host.example/other'],
    ['DATABASE_URL_OPERATOR', 'postgresql://op:pw@elsewhere.example/db'],
    ['DATABASE_URL_OPERATOR', 'postgresql://app:other@host.example/db'],
    ['DATABASE_URL_READER', 'postgresql://look:pw@host.example:5433/db'],
    ['DATABASE_URL_READER', 'postgresql://app:pw@host.example/db'],
    ['NEON_HTTP_TOKEN', 'a-token-without-an-endpoint'],
    ['UPSTASH_REDIS_REST_URL', undefined],
    ['UPSTASH_REDIS_REST_URL', 'not a url'],
    ['UPSTASH_REDIS_REST_TOKEN', ''],
    ['CRON_SECRET', undefined],
    ['CRON_SECRET', 'short'],
    ['CRON_SECRET', 'has a space in the middle'],
    ['CLEANUP_BATCH_SIZE', '0'],
    ['CLEANUP_BATCH_SIZE', '-1'],
    ['CLEANUP_BATCH_SIZE', 'many'],
    ['CLEANUP_BATCH_SIZE', ''],
    ['CLEANUP_MAX_DURATION_SECONDS', 'NaN'],
    ['CLEANUP_DRY_RUN', 'perhaps'],
    ['CLEANUP_MAX_DURATION_SECONDS', '0'],
    ['LOG_LEVEL', 'loud'],
    ['CRON_SECRET_PREVIOUS', 'short'],
    ['NOTICE_SMTP_URL', 'https://mail.example'],
    ['NOTICE_SMTP_URL', 'smtps://mail.example'],
    ['NOTICE_FROM', 'nobody'],
    ['LAPSE_LINK_KEY', 'short'],
    ['LAPSE_LINK_KEY', 'a1'.repeat(32)],
    ['LAPSE_LINK_KEY_PREVIOUS', 'a1'.repeat(32)],
    ['LAPSE_URL', 'http://lapse.example'],
    ['LAPSE_SESSION_SECRET', 'a-secret-of-31-characters-01234'],
    ['LAPSE_OPERATORS', `alice:owner:${'a'.repeat(64)}`],
    ['LAPSE_OPERATORS', `alice:viewer:${'a'.repeat(64)},alice:${'b'.repeat(64)}`],
    ['METRICS_TOKEN', good.CRON_SECRET],
    ['UPSTASH_REDIS_REST_URL', 'http://redis.example'],
    ['UPSTASH_REDIS_REST_URL', 'http://127.0.0.1@redis.example'],
    ['NEON_HTTP_ENDPOINT', 'http://neon.example/sql'],
    ['STRIPE_API_BASE', 'http://stripe.example'],
    ['ALERT_WEBHOOK_URL', 'http://hooks.example'],
    ['ALERT_WEBHOOK_SECRET', 'whsec_this is no base64 of anything'],
  ])('%s = %s', (name, value) => expect(problems({ [name]: value })).toContain(`- ${name} `));

  it('all wrong settings are named at once', () => {
    const message = problems({ DATABASE_URL: undefined, CRON_SECRET: 'short', CLEANUP_BATCH_SIZE: '0' });
    for (const name of ['DATABASE_URL', 'CRON_SECRET', 'CLEANUP_BATCH_SIZE']) expect(message).toContain(name);
  });

  it('a value that may be a secret is not repeated', () => {
    expect(problems({ CRON_SECRET: 'hunter2' })).not.toContain('hunter2');
    expect(problems({ DATABASE_URL: 'mysql://a:hunter2@c/d' })).not.toContain('hunter2');
  });
});

describe('documented spellings are taken', () => {
  it.each([
    ['INFO', 'info'],
    ['Debug', 'debug'],
    ['WARNING', 'warn'],
    ['WARN', 'warn'],
    [' error ', 'error'],
    ['DEBUG', 'debug'],
  ])('LOG_LEVEL=%s', (value, level) => {
    expect(readSettings({ ...good, LOG_LEVEL: value }).logLevel).toBe(level);
  });

  it('CLEANUP_MAX_DURATION_SECONDS=3600 is lowered to what a function has, with a warning', () => {
    const settings = readSettings({ ...good, CLEANUP_MAX_DURATION_SECONDS: '3600' });
    expect(settings.maxDurationSeconds).toBe(300);
    expect(settings.warnings).toEqual([expect.stringContaining('CLEANUP_MAX_DURATION_SECONDS is 3600')]);
    const shorter = readSettings({ ...good, CLEANUP_MAX_DURATION_SECONDS: '60' });
    expect([shorter.maxDurationSeconds, shorter.warnings]).toEqual([60, []]);
  });

  it.each(['http://127.0.0.1:8079', 'http://localhost:8079', 'http://[::1]:8079', 'https://redis.example'])(
    'UPSTASH_REDIS_REST_URL=%s: plain text only where it stays on this machine',
    (url) => expect(readSettings({ ...good, UPSTASH_REDIS_REST_URL: url }).redisUrl).toBe(url),
  );
});

describe('dry runs', () => {
  it.each(['true', '1', 'yes', 'TRUE', ' Yes '])('are on for CLEANUP_DRY_RUN=%s', (v) =>
    expect(readSettings({ ...good, CLEANUP_DRY_RUN: v }).dryRun).toBe(true),
  );
  it('are on for RETENTION_DRY_RUN', () =>
    expect(readSettings({ ...good, RETENTION_DRY_RUN: '1' })).toMatchObject({
      dryRun: true,
      dryRunBecause: 'RETENTION_DRY_RUN',
    }));
  it.each([undefined, 'preview', 'development', 'Production', ''])(
    'are always on when VERCEL_ENV is %s',
    (v) => expect(readSettings({ ...good, VERCEL_ENV: v, CLEANUP_DRY_RUN: 'false' }).dryRun).toBe(true),
  );
  it('are off in production unless asked for', () => expect(readSettings(good).dryRun).toBe(false));
});

describe('periods from the environment', () => {
  const policy = thingsPolicy({
    rules: [
      { label: 'free', match: { note: 'free' }, keepFor: days(30, 'RETENTION_DAYS_FREE') },
      { label: 'pro', match: { note: 'pro' }, keepFor: days(365, 'RETENTION_DAYS_PRO') },
      { label: 'enterprise', match: { note: 'enterprise' }, keepFor: forever('RETENTION_DAYS_ENTERPRISE') },
    ],
  });
  it.each(['', ' ', '0', '-2', '-0', 'NaN', '30 days', '1.5', '1e3', '99999', 'Infinity', '--1'])(
    'refuse "%s" by name',
    (v) => {
      expect(() => resolvePolicies({ RETENTION_DAYS_PRO: v }, [policy])).toThrow(/RETENTION_DAYS_PRO/);
    },
  );
  it('take whole days, and -1 forever', () => {
    const rules = (env: Record<string, string>) =>
      Object.fromEntries(
        resolvePolicies(env, [policy]).flatMap((p) => p.rules.map((r) => [r.label, r.keepFor.seconds])),
      );
    expect(rules({})).toEqual({ free: 30 * 86400, pro: 365 * 86400, enterprise: null });
    expect(rules({ RETENTION_DAYS_PRO: '400', RETENTION_DAYS_FREE: '-1' })).toMatchObject({
      pro: 400 * 86400,
      free: null,
    });
  });
});

it.each([
  ['', 'empty'],
  ['50000/1000000', 'without a currency'],
  ['eur:0/100', 'nothing'],
  ['eur:200/100', 'one above the day'],
  ['eur:1/2,EUR:3/4', 'a currency twice'],
  ['eur:1.5/2', 'fractions'],
])('caps of refunds that are %j stop the start: %s', (value) => {
  expect(() => readSettings({ ...good, ORDER_REFUND_CAPS: value })).toThrow(/ORDER_REFUND_CAPS must be/);
});

it('caps that name no currency stop the start and say what to write', () => {
  expect(() => readSettings({ ...good, ORDER_REFUND_MAX_AMOUNT: '1000' })).toThrow(
    /ORDER_REFUND_MAX_AMOUNT .*ORDER_REFUND_CAPS/,
  );
});

it('a warning that would come after the breach is refused', () => {
  const late = { SLA_WARNING_THRESHOLD_PERCENT: '101', SLA_CRITICAL_THRESHOLD_PERCENT: '100' };
  expect(problems(late)).toContain('SLA_WARNING_THRESHOLD_PERCENT must not be above');
});

it.each(['nonsense', Buffer.from('no key').toString('base64')])('"%s" is no key to sign with', (key) => {
  expect(problems({ LAPSE_AUDIT_SIGNING_KEY: key })).toContain('LAPSE_AUDIT_SIGNING_KEY must be an Ed25519');
});

it.each(['0', '99999', 'soon'])('%s is no number of hours a review may take', (hours) => {
  expect(problems({ ORDER_REVIEW_HOURS: hours })).toContain('ORDER_REVIEW_HOURS');
});

it('the guard rails can be read alone, and a wrong one names itself', () => {
  expect(guardSettings({ LAPSE_COOLING_OFF_DAYS: '3' })).toMatchObject({ coolingOffSeconds: 3 * 86_400 });
  expect(() => guardSettings({ LAPSE_MASS_DELETION_GUARD: 'perhaps' })).toThrow(
    'LAPSE_MASS_DELETION_GUARD must be on or off',
  );
});

describe('an instance', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('makes its services once', () => {
    for (const [name, value] of Object.entries(good)) vi.stubEnv(name, value);
    expect(services()).toBe(services());
    expect(services().settings.production).toBe(true);
  });
});

describe('logins of their own', () => {
  const login = (name: string, host = 'ep-a-1.example') => `postgresql://${name}:pw@${host}/db`;

  it('are of the same database, with or without its pooler', () => {
    const settings = readSettings({
      ...good,
      DATABASE_URL: login('app', 'ep-a-1-pooler.example'),
      DATABASE_URL_OPERATOR: login('operator'),
      DATABASE_URL_READER: login('reader', 'EP-A-1-pooler.example'),
    });
    expect([settings.operatorUrl, settings.readerUrl]).toEqual([
      login('operator'),
      login('reader', 'EP-A-1-pooler.example'),
    ]);
  });

  it('are three different ones', () => {
    const both = { DATABASE_URL: login('app'), DATABASE_URL_OPERATOR: login('b') };
    expect(problems({ ...both, DATABASE_URL_READER: login('b') })).toMatch(
      /DATABASE_URL_READER must be another login than DATABASE_URL_OPERATOR/,
    );
    expect(readSettings({ ...good, ...both, DATABASE_URL_READER: login('c') }).readerUrl).toBe(login('c'));
  });

  it('are not needed: then DATABASE_URL does all', () => {
    const { operatorUrl, readerUrl } = readSettings(good);
    expect([operatorUrl, readerUrl]).toEqual([undefined, undefined]);
  });
});
