import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import * as Sentry from '@sentry/nextjs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DatabaseError, LapseError } from '@/lib/errors';
import { noneKept, type RunResult } from '@/lib/runner/result';
import { capture, checkIn, flush, sentryOptions } from '@/lib/sentry';
import { NOW, order, thingsPolicy } from './support/engine';

const PERSON = 'somebody@example.com';
let envelopes: string;
let server: ReturnType<typeof createServer>;

beforeEach(async () => {
  envelopes = '';
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (d: Buffer) => parts.push(d));
    request.on('end', () => {
      const raw = Buffer.concat(parts);
      envelopes += (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
      response.end('{}');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  Sentry.init(sentryOptions({ SENTRY_DSN: `http://pub@127.0.0.1:${port}/42`, VERCEL_ENV: 'production' }));
});
afterEach(async () => {
  await Sentry.close(1_000);
  Sentry.getCurrentScope().setClient(undefined);
  server.close();
});

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
  requests: { postgres: 1, redis: 1 },
  slaStatus: 'within_sla',
});
const policy = thingsPolicy();

it('sends what Lapse says itself, by code', async () => {
  capture(new LapseError('preflight', 'no index on (at, id)'), { policy: 'things', correlationId: 'c-1' });
  await flush();
  expect(envelopes).toContain('Lapse:preflight');
  expect(envelopes).toContain('no index on (at, id)');
});

it('withholds a message it does not know, which may hold a row', async () => {
  capture(new Error(`Key (email)=(${PERSON}) already exists`), {});
  Sentry.captureException(new Error(`Failing row contains (${PERSON})`));
  await flush();
  expect(envelopes).toContain('unexpected');
  expect(envelopes).not.toContain(PERSON);
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
  expect(envelopes).toContain('notes_thing_fkey');
  expect(envelopes).not.toContain(PERSON);
});

it('checks in for a scheduled run, with its schedule, and says error when it errored although an answer is given', async () => {
  expect(await checkIn(policy, order(NOW), async () => result('succeeded'))).toMatchObject({
    outcome: 'succeeded',
  });
  expect(await checkIn(policy, order(NOW), async () => result('errored'))).toMatchObject({
    outcome: 'errored',
  });
  await flush();
  const statuses = [...envelopes.matchAll(/"monitor_slug":"things","status":"(\w+)"/g)].map((m) => m[1]);
  expect(statuses).toEqual(['in_progress', 'ok', 'in_progress', 'error']);
  expect(envelopes).toContain('"value":"0 2 * * *"');
});

it('does not check in for a manual run', async () => {
  await checkIn(policy, order(NOW, { trigger: 'manual' }), async () => result('succeeded'));
  await flush();
  expect(envelopes).not.toContain('check_in');
});
