import { expect, it } from 'vitest';
import { notAnswered } from '@/lib/http/answered';
import { contentPolicy } from '@/lib/http/console/content-policy';
import { placeOf } from '@/lib/http/console/place';
import { reading } from '@/lib/http/console/reading';
import { themeIn, themeRoute } from '@/lib/http/console/theme';
import { agoOf, bytesOf, manyOf, shareOf, spanOf } from '@/lib/http/console/words';
import { DatabaseError, RedisError, RequestError } from '@/lib/platform/errors';
import { createLog } from '@/lib/platform/log';
import { readSettings, type Settings } from '@/lib/platform/settings';
import type { Services } from '@/lib/services';

it('a part that cannot be read says so with a reference, which the log has, and never in the words of the database', async () => {
  const lines: string[] = [];
  const log = createLog({ level: 'error', destination: { write: (line) => void lines.push(line) } });
  const failed = await reading({ log }, 'The policies', async () => {
    throw new Error('key (email)=(jane@example.com) exists');
  });
  expect(failed).toMatchObject({ ok: false, what: 'The policies' });
  const reference = failed.ok ? '' : failed.reference;
  expect(lines.join()).toContain(reference);
  expect(JSON.stringify([failed, lines])).not.toContain('jane');
  const own = await reading({ log }, 'It', async () => {
    throw new DatabaseError('transient', null, 'PostgreSQL does not answer');
  });
  expect([own.ok, lines.at(-1)]).toEqual([false, expect.stringContaining('PostgreSQL does not answer')]);
  expect(own).toMatchObject({ code: 'database.transient', step: 'PostgreSQL does not answer.' });
  expect(await reading({ log }, 'It', async () => 7)).toEqual({ ok: true, value: 7 });
});

it.each([
  ['42P01', 'npm run migrate'],
  ['42501', 'GRANT SELECT'],
  ['28P01', 'DATABASE_URL'],
  ['53300', 'no connection'],
  ['57014', 'pg_stat_activity'],
  ['55P03', 'lock'],
  ['57P01', 'Try again'],
  ['XX000', 'the log has the error'],
])(
  'a read that PostgreSQL refuses with %s names it and the next step, and no word of a row',
  async (state, step) => {
    const log = createLog({ level: 'silent' });
    const failed = await reading({ log }, 'It', async () => {
      throw new DatabaseError('fatal', state, `PostgreSQL ${state}: jane@example.com`);
    });
    expect(failed).toMatchObject({ code: `SQLSTATE ${state}`, step: expect.stringContaining(step) });
    expect(JSON.stringify(failed)).not.toContain('jane');
  },
);

it('a read that is refused, or that waits for Redis, says so in words of ours', async () => {
  const of = async (error: Error) =>
    reading({ log: createLog({ level: 'silent' }) }, 'It', () => Promise.reject(error));
  expect(
    await of(new RequestError(400, 'bad_parameter', 'after: take it from the link', 'after')),
  ).toMatchObject({
    code: 'bad_parameter',
    step: 'After: take it from the link.',
  });
  expect(await of(new RedisError('nothing at redis://user:secret@host'))).toMatchObject({
    code: 'redis',
    step: expect.stringContaining('PostgreSQL only'),
  });
});

it('where the database gives no answer the step says what that means for what deletes and what stops', async () => {
  const failed = await reading({ log: createLog({ level: 'silent' }) }, 'It', async () => {
    throw new DatabaseError('unknown', null, 'no answer from the database (TypeError)');
  });
  expect(failed).toMatchObject({
    code: 'database.unknown',
    step: expect.stringContaining('nothing is deleted'),
  });
});

it('what is asked for wrongly is no failure: it has no reference, and Sentry is not told', async () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  const failed = await reading({ log }, 'It', async () => {
    throw new RequestError(400, 'bad_parameter', 'days must be a whole number', 'days');
  });
  expect(failed).toMatchObject({ ok: false, reference: null, step: 'Days must be a whole number.' });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ event: 'read.refused', field: 'days' }]);
});

it('what Next could not show is in the log under the digest that its page says', async () => {
  const lines: string[] = [];
  const log = createLog({ level: 'error', destination: { write: (line) => void lines.push(line) } });
  await notAnswered(
    Object.assign(new Error('key (email)=(jane@example.com)'), { digest: '2338061284' }),
    log,
  );
  expect(lines.join()).toContain('"correlation_id":"2338061284"');
  expect(lines.join()).not.toContain('jane');
});

const settings = (env: Record<string, string>): Settings =>
  readSettings({
    DATABASE_URL: 'postgresql://app:pw@host.example/db',
    UPSTASH_REDIS_REST_URL: 'https://redis.example',
    UPSTASH_REDIS_REST_TOKEN: 'token',
    CRON_SECRET: 'sixteen-characters',
    ...env,
  });

it.each([
  [{ VERCEL_ENV: 'production' }, 'production', null],
  [
    { VERCEL_ENV: 'production', CLEANUP_DRY_RUN: '1' },
    'production',
    'Every run is a dry run (CLEANUP_DRY_RUN)',
  ],
  [{ VERCEL_ENV: 'preview' }, 'preview', 'Nothing can be deleted here'],
  [{ VERCEL_ENV: 'preview', VERCEL_TARGET_ENV: 'staging' }, 'preview', 'Nothing can be deleted here'],
  [{}, 'development', 'Every run is a dry run'],
])(
  'says which deployment it is, and where nothing is deleted: %j',
  (env: Record<string, string>, kind, note) => {
    const place = placeOf(settings(env));
    expect(place.kind).toBe(kind);
    if (note === null) expect(place.note).toBeNull();
    else expect(place.note).toContain(note);
  },
);

it('lets a browser run and style only what carries the nonce, and send forms only here', () => {
  const policy = contentPolicy('abc', { NODE_ENV: 'production' });
  for (const part of [
    "default-src 'none'",
    "script-src 'self' 'nonce-abc' 'strict-dynamic'",
    "style-src 'self' 'nonce-abc'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ])
    expect(policy.split('; ')).toContain(part);
  expect(policy).not.toContain('unsafe');
});

it('colors are the reader’s own until they choose, and again when they take the choice back', async () => {
  expect([themeIn('dark'), themeIn('light'), themeIn('"><script>'), themeIn(undefined)]).toEqual([
    'dark',
    'light',
    undefined,
    undefined,
  ]);
  const choose = async (theme: string, origin = 'http://lapse.test') => {
    const request = new Request('http://lapse.test/acts/theme', {
      method: 'POST',
      headers: { origin, host: 'lapse.test', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ theme, back: '/reports' }),
    });
    return themeRoute(() => ({}) as Services).POST(request);
  };
  const dark = await choose('dark');
  expect([dark.headers.get('location'), dark.headers.getSetCookie()[0]]).toEqual([
    '/reports',
    expect.stringContaining('__Host-lapse-theme=dark; '),
  ]);
  expect((await choose('system')).headers.getSetCookie()[0]).toContain('Max-Age=0');
  expect((await choose('dark', 'https://evil.example')).status).toBe(403);
});

it('numbers, sizes and spans are said as people read them', () => {
  expect([manyOf(1, 'row'), manyOf(1204, 'row'), manyOf(2, 'batch', 'batches')]).toEqual([
    '1 row',
    '1,204 rows',
    '2 batches',
  ]);
  expect([0, 999, 1_000, 11_340_000_000].map(bytesOf)).toEqual(['0 B', '999 B', '1 kB', '11.3 GB']);
  expect(shareOf(5352 / 5593)).toBe('95.7 %');
  expect([0, 59.9, 60, 3_660, 273_600, 900_000].map(spanOf)).toEqual([
    '0 s',
    '59 s',
    '1 min',
    '1 h 1 min',
    '3 d 4 h',
    '10 d',
  ]);
  const now = new Date('2026-11-22T14:00:00Z');
  expect([
    agoOf(new Date('2026-11-22T12:00:00Z'), now),
    agoOf(new Date('2026-11-25T18:00:00Z'), now),
  ]).toEqual(['2 h ago', 'in 3 d 4 h']);
});
