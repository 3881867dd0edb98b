import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { afterFailure } from '@/lib/engine/guard/poison';
import type { BatchRequest } from '@/lib/engine/statement/batch';
import { legsOf } from '@/lib/engine/statement/leg';
import { DatabaseError } from '@/lib/platform/errors';
import { asking, STATEMENT_TIMEOUT_MS } from '@/lib/platform/session';
import { DAY, type Engine, engine, govern, left, NOW, things } from '@/test/support/engine';

let e: Engine;
let order: BatchRequest;
let ids: string[];
beforeEach(async () => {
  e = await engine();
  const policy = await govern(e.db);
  ids = await things(
    e.db,
    [42, 41, 40].map((d) => d * DAY),
  );
  const runId = randomUUID();
  const [begun] = await e.db.sql<{ fence: string }>(
    "select fence::text from retention.begin_run('things', $1::uuid, 'v1', $2::timestamptz, 'cron', 'cron', 'c')",
    [runId, NOW.toISOString()],
  );
  order = {
    policy,
    version: 'v1',
    runId,
    fence: String(begun?.fence),
    seq: 1,
    leg: legsOf(policy, NOW)[0]!,
    position: null,
    limit: 1,
    asOf: NOW.toISOString(),
    actor: 'cron',
    reason: 'retention',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  };
});
afterEach(() => e.stop());

const after = (
  changes: Partial<BatchRequest>,
  error: unknown = new DatabaseError('timeout', '57014', 'too slow'),
) => afterFailure(asking(e.services.database), { ...order, ...changes }, error, pino({ level: 'silent' }));
const letters = () => e.db.sql('select row_key, sql_state from retention.dead_letter');

it('several rows that take too long are taken fewer at a time', async () => {
  expect(await after({ limit: 2 })).toBe('fewer');
  expect(await letters()).toEqual([]);
});

it('one row that takes the whole statement time becomes a dead letter, and the rest goes on', async () => {
  expect(await after({})).toBe('again');
  expect(await letters()).toEqual([{ row_key: ids[0], sql_state: '57014' }]);
  expect(await left(e.db)).toBe(3);
});

it('one row with less than the whole time is not blamed', async () => {
  expect(await after({ statementTimeoutMs: 500 })).toBe('no');
  expect(await letters()).toEqual([]);
});

it('an answer that was lost after rows were set aside, asked again, counts no second attempt', async () => {
  const poisoned = new DatabaseError('poisoned', '23514', 'refused', { constraint: 'house_rule' });
  expect(await after({}, poisoned)).toBe('again');
  await e.db.sql('update retention.dead_letter set next_attempt_at = $1::timestamptz', [NOW.toISOString()]);
  expect(await after({}, poisoned)).toBe('again');
  expect(await e.db.sql('select attempts, constraint_name from retention.dead_letter')).toEqual([
    { attempts: 1, constraint_name: 'house_rule' },
  ]);
});

it('a run that has lost its fence sets nothing aside', async () => {
  await e.db.sql("update retention.policy_state set fence = fence + 1 where policy = 'things'");
  await expect(after({})).rejects.toMatchObject({ failure: 'fenced' });
  expect(await letters()).toEqual([]);
});

it.each(['transient', 'busy', 'unknown', 'fenced', 'fatal'] as const)(
  'a failure that is %s is no row’s fault',
  async (failure) => {
    expect(await after({}, new DatabaseError(failure, null, 'x'))).toBe('no');
    expect(await after({}, new Error('other'))).toBe('no');
    expect(await letters()).toEqual([]);
  },
);
