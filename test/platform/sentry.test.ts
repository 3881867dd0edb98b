import * as Sentry from '@sentry/nextjs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { RunResult } from '@/lib/engine/run/result';
import { DatabaseError, LapseError } from '@/lib/platform/errors';
import { noneKept } from '@/lib/platform/outcome';
import { scrubEvent } from '@/lib/platform/scrub';
import { capture, checkIn, flush, sentryOptions } from '@/lib/platform/sentry';
import { NOW, thingsPolicy } from '../support/engine';
import { type Envelopes, envelopes, type SentryClient, sentryInto } from '../support/envelopes';

const PERSON = 'somebody@example.com';
let sink: Envelopes;
let sentry: SentryClient;

beforeEach(async () => {
  sink = await envelopes();
  sentry = sentryInto(sink);
});
afterEach(async () => {
  await sentry.stop();
  await sink.stop();
});

/** A flush waits two seconds and no longer: on a busy machine the envelope may come after it. */
const said = (text: string) => vi.waitFor(() => expect(sink.text).toContain(text), 15_000);

/** What was sent of each check-in. Each envelope is a request of its own, and any of them may arrive first. */
function checkIns(): string[] {
  const sent = new Map<string, string[]>();
  for (const [, id, status] of sink.text.matchAll(
    /"check_in_id":"(\w+)","monitor_slug":"things","status":"(\w+)"/g,
  ))
    sent.set(id!, [...(sent.get(id!) ?? []), status!]);
  return [...sent.values()].map((statuses) => statuses.sort().join()).sort();
}
const checkedIn = (...expected: readonly string[]) =>
  vi.waitFor(() => expect(checkIns()).toEqual(expected), 15_000);

const result = (outcome: RunResult['outcome']): RunResult => ({
  policy: 'things',
  runId: null,
  mode: 'delete',
  outcome,
  reason: outcome === 'errored' ? 'database.fatal' : null,
  message: 'PostgreSQL 42703: column does not exist',
  correlationId: 'c',
  asOf: NOW.toISOString(),
  startedAt: NOW.toISOString(),
  durationSeconds: 1,
  batches: 0,
  picked: 0,
  deleted: 0,
  dependantsDeleted: 0,
  filesQueued: 0,
  bytesFreed: 0,
  byRule: {},
  kept: noneKept(),
  keptBelow: {},
  requests: { postgres: 1, redis: 1 },
  slaStatus: 'within_sla',
});
const { name, schedule, allowedSeconds } = thingsPolicy();
const monitor = {
  name,
  schedules: [schedule.run, schedule.resume],
  allowedSeconds,
  latenessSeconds: 7_200,
};
const fired = (by: string | null) => ({ schedule: by, correlationId: 'c' });

it('sends what Lapse says itself, by code', async () => {
  capture(new LapseError('preflight', 'no index on (at, id)'), { policy: 'things', correlationId: 'c-1' });
  await flush();
  await said('Lapse:preflight');
  await said('no index on (at, id)');
});

it('withholds a message it does not know, which may hold a row', async () => {
  capture(new Error(`Key (email)=(${PERSON}) already exists`), {});
  Sentry.captureException(new Error(`Failing row contains (${PERSON})`));
  await flush();
  await said('unexpected');
  expect(sink.text).not.toContain(PERSON);
});

it('sends no row values of a database error', async () => {
  capture(
    new DatabaseError(
      'poisoned',
      '23503',
      'PostgreSQL 23503: notes, notes_thing_fkey',
      {},
      { cause: new Error(PERSON) },
    ),
    {},
  );
  await flush();
  await said('notes_thing_fkey');
  expect(sink.text).not.toContain(PERSON);
});

it('checks in for a scheduled run, with its schedule, and reports an error when it errored although it answered', async () => {
  expect(await checkIn(monitor, fired('0 2 * * *'), async () => result('succeeded'))).toMatchObject({
    outcome: 'succeeded',
  });
  expect(await checkIn(monitor, fired('0 2 * * *'), async () => result('errored'))).toMatchObject({
    outcome: 'errored',
  });
  await flush();
  await checkedIn('error,in_progress', 'in_progress,ok');
  await said('"value":"0 2 * * *"');
  // It may begin two hours late.
  await said('"checkin_margin":120');
});

it('does not check in for a manual run', async () => {
  await checkIn(monitor, fired(null), async () => result('succeeded'));
  await flush();
  expect(sink.text).not.toContain('check_in');
});

it('expects the schedule that fired where it is not the declared one, and not that of a resumption', async () => {
  await checkIn(monitor, fired('5 0 * * *'), async () => result('succeeded'));
  await flush();
  await checkedIn('in_progress,ok');
  expect(sink.text).toContain('"value":"5 0 * * *"');
  sink.forget();
  await checkIn({ ...monitor, schedules: ['0 2 * * *', '30 2 * * *'] }, fired('30 2 * * *'), async () =>
    result('succeeded'),
  );
  await checkIn(monitor, fired('<script>'), async () => result('succeeded'));
  await flush();
  await checkedIn('in_progress,ok', 'in_progress,ok');
  const expected = [...sink.text.matchAll(/"type":"crontab","value":"([^"]*)"/g)].map((m) => m[1]);
  expect(new Set(expected)).toEqual(new Set(['0 2 * * *']));
});

it('sends no trail of console lines and requests, no extras, no user', async () => {
  console.debug(PERSON);
  await fetch(`${sink.url}/?q=${PERSON}`);
  Sentry.setUser({ email: PERSON });
  Sentry.captureException(new Error('x'), { extra: { row: PERSON } });
  Sentry.captureMessage(`hello ${PERSON}`);
  await Sentry.startSpan({ name: `GET /x?q=${PERSON}`, attributes: { 'url.query': PERSON } }, async () => {});
  await flush();
  Sentry.setUser(null);
  await said('(message withheld)');
  expect(sink.text).not.toContain(PERSON);
});

it('sends no part of a path that is not Lapse’s own: an unknown page may be a person’s', async () => {
  for (const path of [`/${PERSON}`, `/api/cron/${PERSON}`, `/api/audit/${PERSON}`]) {
    await Sentry.startSpan(
      {
        name: `GET ${path}`,
        attributes: { 'http.target': path, 'url.full': `https://${PERSON}/x/${PERSON}` },
      },
      async () => {},
    );
  }
  await Sentry.startSpan({ name: 'GET /api/cron/erasures', attributes: {} }, async () => {});
  await flush();
  await said('/api/cron/erasures');
  await said('/api/cron/(other)');
  expect(sink.text).not.toContain('somebody@');
});

it('what an event carries beside its code is removed, whatever put it there', () => {
  const event = scrubEvent({
    type: undefined,
    message: 'anna@example.com',
    logentry: { message: 'anna@example.com', params: ['anna@example.com'] },
    transaction: 'GET /users/anna?q=anna@example.com',
    request: {
      method: 'POST',
      url: 'https://x/?anna@example.com',
      data: 'anna@example.com',
      cookies: { who: 'anna@example.com' },
    },
    user: { email: 'anna@example.com' },
    breadcrumbs: [{ message: 'anna@example.com' }],
    extra: { row: 'anna@example.com' },
    contexts: { nextjs: { request_path: '/api/control?who=anna@example.com' } },
    exception: { values: [{ type: 'Error', value: 'anna@example.com' }] },
  });
  expect(JSON.stringify(event)).not.toContain('anna');
  expect(event).toMatchObject({
    transaction: 'GET /(other)/(other)',
    request: { method: 'POST' },
    contexts: { nextjs: { request_path: '/api/control' } },
  });
});

it('is silent without a DSN: the run continues without waiting', async () => {
  await sentry.stop();
  Sentry.init(sentryOptions({ VERCEL_ENV: 'production' }));
  expect(Sentry.getClient()?.getDsn()).toBeUndefined();
  expect(await checkIn(monitor, fired('0 2 * * *'), async () => result('errored'))).toMatchObject({
    outcome: 'errored',
  });
  await flush();
  expect(sink.text).toBe('');
});
