import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlRoute } from '@/lib/http/operator-route';
import { readSettings } from '@/lib/platform/settings';
import { operatorOf } from '@/lib/platform/settings/operators';
import { DAY, govern, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';
import { act, list, OPERATORS, TOKENS } from '@/test/support/operators';

let e: Guarded;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  const policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
  await things(e.db, [40 * DAY]);
});
afterEach(() => e.stop());

/** Everything an operator can change, as one text. */
const everything = async () =>
  JSON.stringify(
    await e.db.sql(`select (select jsonb_agg(to_jsonb(x)) from retention.hold x), (select jsonb_agg(to_jsonb(x)) from retention.extension x),
      (select jsonb_agg(to_jsonb(x)) from retention.period_override x), (select jsonb_agg(to_jsonb(x)) from retention.policy_state x),
      (select jsonb_agg(to_jsonb(x)) from retention.kill_switch x), (select jsonb_agg(to_jsonb(x)) from retention.approval x),
      (select jsonb_agg(to_jsonb(x)) from retention.dead_letter x), (select count(*) from retention.audit_entry)`),
  );

describe('who may act', () => {
  it.each([
    ['nobody', {}],
    ['a stranger', { authorization: 'Bearer some-token-nobody-has' }],
    ['the cron secret', { authorization: 'Bearer a-secret-of-the-tests' }],
    ['a hash instead of its token', { authorization: `Bearer ${OPERATORS.split(/[:,]/)[1]}` }],
    ['a token with a space behind', { authorization: `Bearer ${TOKENS.alice} x` }],
  ])('refuses %s with 401, and nothing is changed', async (_, headers: Record<string, string>) => {
    const before = await everything();
    for (const method of ['GET', 'POST'] as const) {
      const response = await controlRoute(() => e.services)[method](
        new Request('http://localhost/api/control', {
          method,
          headers: { ...headers, 'content-type': 'application/json' },
          ...(method === 'POST' ? { body: JSON.stringify({ action: 'all.stop', reason: 'x' }) } : {}),
        }),
      );
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect(await everything()).toBe(before);
  });

  it('admits no one while no operator is named', async () => {
    const settings = { ...e.services.settings, operators: [] };
    const answer = await act({ ...e.services, settings }, 'alice', { action: 'all.stop', reason: 'x' });
    expect(answer.status).toBe(401);
  });

  it('knows each operator by their own name', () => {
    const { operators } = e.services.settings;
    expect(operatorOf(`Bearer ${TOKENS.alice}`, operators)?.name).toBe('alice');
    expect(operatorOf(`Bearer ${TOKENS.bob}`, operators)?.name).toBe('bob');
    expect(operatorOf(null, operators)).toBeNull();
  });

  it('accepts two tokens for one name while they are being changed, as one person', async () => {
    const next = 'the-next-token-of-alice';
    const sha256 = createHash('sha256').update(next).digest('hex');
    const { operators } = readSettings({
      ...e.db.env,
      CRON_SECRET: 'a-secret-of-the-tests',
      LAPSE_OPERATORS: `${OPERATORS},alice:${sha256}`,
    });
    expect([TOKENS.alice, next].map((t) => operatorOf(`Bearer ${t}`, operators)?.name)).toEqual([
      'alice',
      'alice',
    ]);
  });

  it.each([
    ['alice', 'must be name:role:sha256 entries'],
    ['alice:123', 'must be name:role:sha256 entries'],
    [`${OPERATORS},${OPERATORS.split(',')[0]}`, 'the same token'],
    [[1, 2, 3].map((n) => `alice:${String(n).repeat(64)}`).join(','), 'more than 2 tokens for alice'],
    [`cron:${'a'.repeat(64)}`, 'must not name an operator'],
    [`manual:${'a'.repeat(64)}`, 'must not name an operator'],
    [`order-review-sla:${'a'.repeat(64)}`, 'must not name an operator'],
    [`${OPERATORS.split(',')[0]},eve:${OPERATORS.split(/[:,]/)[1]}`, 'the same token'],
  ])('is checked at start: %s is refused by the name of the variable', (value, why) => {
    const env = { ...e.db.env, CRON_SECRET: 'a-secret-of-the-tests', LAPSE_OPERATORS: value };
    expect(() => readSettings(env)).toThrow(new RegExp(`LAPSE_OPERATORS .*${why}`));
  });
});

describe('bad input is a 4xx that names the field, and changes nothing', () => {
  const r = { reason: 'because' };
  const uuid = '7b0c1d5e-0000-4000-8000-000000000000';
  it.each([
    ['not JSON', '{"action":', 400, 'not_json'],
    ['a list', '[]', 400, 'not_json'],
    ['a body of 66 kB', JSON.stringify({ action: 'all.stop', reason: 'x'.repeat(66_000) }), 413, 'too_large'],
    ['no action', {}, 400, 'unknown_action'],
    ['an unknown action', { action: 'policy.explode', ...r }, 400, 'unknown_action'],
    ['a name of the language', { action: 'constructor', ...r }, 400, 'unknown_action'],
    ['no reason', { action: 'all.stop' }, 400, 'bad_field'],
    ['an empty reason', { action: 'all.stop', reason: '  ' }, 400, 'bad_field'],
    ['a reason with a line break', { action: 'all.stop', reason: 'a\nb' }, 400, 'bad_field'],
    ['a field too many', { action: 'all.stop', ...r, force: true }, 400, 'unknown_field'],
    ['an unknown scope', { action: 'hold.place', scope: 'table', subject: 'x', ...r }, 400, 'bad_field'],
    [
      'a subject that is a number',
      { action: 'hold.place', scope: 'user', subject: 7, ...r },
      400,
      'bad_field',
    ],
    [
      'an item without its table',
      { action: 'hold.place', scope: 'item', subject: 'x', ...r },
      422,
      'unknown_table',
    ],
    [
      'an item of an ungoverned table',
      { action: 'hold.place', scope: 'item', subject: 'x', table: 'public.users', ...r },
      422,
      'unknown_table',
    ],
    ['a hold that is no id', { action: 'hold.release', id: "'; drop table hold", ...r }, 400, 'bad_field'],
    ['a hold that is not there', { action: 'hold.release', id: uuid, ...r }, 409, 'not_released'],
    [
      'an extension without a zone',
      { action: 'extension.set', table: 'public.things', key: 'x', keepUntil: '2027-01-01T00:00:00', ...r },
      400,
      'bad_field',
    ],
    [
      'an extension that is not there',
      { action: 'extension.end', table: 'public.things', key: 'x', ...r },
      404,
      'unknown',
    ],
    [
      'an override of 0 days',
      { action: 'override.set', policy: 'things', tenant: 'x', keepDays: 0, ...r },
      400,
      'bad_field',
    ],
    [
      'an override of -2 days',
      { action: 'override.set', policy: 'things', tenant: 'x', keepDays: -2, ...r },
      400,
      'bad_field',
    ],
    [
      'an override of "" days',
      { action: 'override.set', policy: 'things', tenant: 'x', keepDays: '', ...r },
      400,
      'bad_field',
    ],
    [
      'an override without organizations',
      { action: 'override.set', policy: 'things', tenant: 'x', keepDays: 5, ...r },
      422,
      'no_tenants',
    ],
    [
      'an override that is not there',
      { action: 'override.remove', policy: 'things', tenant: 'x', ...r },
      404,
      'unknown',
    ],
    [
      'an unknown policy to pause',
      { action: 'policy.pause', policy: 'nothing', ...r },
      404,
      'unknown_policy',
    ],
    ['a policy that is not paused', { action: 'policy.resume', policy: 'things', ...r }, 409, 'not_paused'],
    ['a stop that is not there', { action: 'all.resume', ...r }, 409, 'not_stopped'],
    [
      'a lease of a policy that never ran',
      { action: 'lease.release', policy: 'things', ...r },
      409,
      'never_ran',
    ],
    [
      'a digest nobody previewed',
      { action: 'approval.give', policy: 'things', digest: 'a'.repeat(64), ...r },
      404,
      'unknown_digest',
    ],
    [
      'a digest too short',
      { action: 'approval.give', policy: 'things', digest: 'abc', ...r },
      400,
      'bad_field',
    ],
    ['an approval that is not there', { action: 'approval.withdraw', id: uuid, ...r }, 404, 'unknown'],
    ['a letter that is not there', { action: 'letter.retry', kind: 'row', id: uuid, ...r }, 404, 'unknown'],
    ['a file by a UUID', { action: 'letter.retry', kind: 'file', id: uuid, ...r }, 400, 'bad_field'],
    ['a row by a number', { action: 'letter.discard', kind: 'row', id: '7', ...r }, 400, 'bad_field'],
    [
      'somebody who is no operator',
      { action: 'letter.assign', kind: 'row', id: uuid, to: 'eve', ...r },
      422,
      'unknown_operator',
    ],
  ])('%s', async (_, body, status, code) => {
    const before = await everything();
    const answer = await act(e.services, 'alice', body);
    expect([answer.status, answer.body.error?.code]).toEqual([status, code]);
    expect(answer.body.error?.message.length).toBeGreaterThan(10);
    expect(await everything()).toBe(before);
  });

  it('a form instead of JSON', async () => {
    const response = await controlRoute(() => e.services).POST(
      new Request('http://localhost/api/control', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${TOKENS.alice}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: 'action=all.stop&reason=x',
      }),
    );
    expect(response.status).toBe(400);
  });

  it.each(['?list=secrets', '?offset=-1', '?limit=5'])('a list that does not exist: %s', async (query) => {
    expect((await list(e.services, query)).status).toBe(400);
  });
});

it('answers 429 to more than 120 requests a minute of one operator, and serves the others', async () => {
  const answers = [];
  for (let i = 0; i < 121; i += 1) answers.push((await act(e.services, 'alice', {})).status);
  expect(answers.slice(0, 120).every((s) => s === 400)).toBe(true);
  expect(answers[120]).toBe(429);
  expect((await act(e.services, 'bob', {})).status).toBe(400);
});

it('lets an operator stop everything while Redis is away', async () => {
  const redis = { ...e.services.redis, eval: () => Promise.reject(new Error('away')) };
  const answer = await act({ ...e.services, redis }, 'alice', {
    action: 'all.stop',
    reason: 'Redis is down',
  });
  expect(answer.status).toBe(200);
  expect(await e.run(e.services.policies[0]!)).toMatchObject({
    outcome: 'skipped',
    reason: 'stopped',
    deleted: 0,
  });
});
