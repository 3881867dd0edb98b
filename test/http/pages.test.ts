import { expect, it } from 'vitest';
import { maySeePages, pagePolicy } from '@/lib/http/pages';

const PASSWORD = 'the-password-of-pages';
const remote = { DATABASE_URL: 'postgresql://a:b@ep-1.neon.tech/main', LAPSE_STATUS_PASSWORD: PASSWORD };
const see = (env: Record<string, string>, password?: string) =>
  maySeePages(
    new Request('https://lapse.test/', {
      headers: password === undefined ? {} : { authorization: `Basic ${btoa(`me:${password}`)}` },
    }),
    env,
  );

it.each(['production', 'preview', 'development', ''])(
  'asks for the password where the database may be production’s (VERCEL_ENV "%s")',
  (VERCEL_ENV) => {
    const env = { ...remote, VERCEL_ENV, CRON_SECRET: 'a-secret-of-the-tests' };
    expect(see(env)).toBe(false);
    expect(see(env, 'a-secret-of-the-tests')).toBe(false);
    expect(see(env, PASSWORD)).toBe(true);
  },
);

it('is closed while there is no password', () => {
  const env = { DATABASE_URL: remote.DATABASE_URL, VERCEL_ENV: 'production', CRON_SECRET: PASSWORD };
  expect(see(env)).toBe(false);
  expect(see(env, PASSWORD)).toBe(false);
  expect(see({ ...env, LAPSE_STATUS_PASSWORD: 'short' }, 'short')).toBe(false);
});

it('is open where the database is on this machine, but never in production, and where it is public', () => {
  const here = { DATABASE_URL: remote.DATABASE_URL, NEON_HTTP_ENDPOINT: 'http://127.0.0.1:4000/sql' };
  expect(see(here)).toBe(true);
  expect(see({ ...here, VERCEL_ENV: 'production' })).toBe(false);
  expect(see({ DATABASE_URL: 'postgresql://a:b@localhost:5432/x' })).toBe(true);
  expect(see({ ...here, NEON_HTTP_ENDPOINT: 'http://127.0.0.1@evil.example/sql' })).toBe(false);
  expect(see({ ...remote, VERCEL_ENV: 'production', LAPSE_STATUS_PAGE: 'public' })).toBe(true);
});

it('lets a browser run only what carries the nonce, and report only to the Sentry that is set', () => {
  const policy = pagePolicy('abc', { NEXT_PUBLIC_SENTRY_DSN: 'https://key@o1.ingest.sentry.io/7' });
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'nonce-abc' 'strict-dynamic'");
  expect(policy).toContain("connect-src 'self' https://o1.ingest.sentry.io;");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('unsafe');
});

it('lets a browser report nowhere when the address of Sentry cannot be read', () => {
  const policy = pagePolicy('abc', { NEXT_PUBLIC_SENTRY_DSN: 'not an address' });
  expect(policy).toContain("connect-src 'self';");
});
