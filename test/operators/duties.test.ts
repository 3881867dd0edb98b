import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Policy } from '@/lib/policies/contract';
import { govern } from '@/test/support/engine';
import { aged, type Guarded, guarded } from '@/test/support/guarded';
import { act, OPERATORS } from '@/test/support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

const refused = { status: 409, body: { error: { code: 'second_person' } } };
const entries = async () =>
  Number((await e.db.sql('select count(*)::int as n from retention.audit_entry'))[0]?.n);

it.each([
  ['a policy', 'policy.pause', 'policy.resume', { policy: 'things' }],
  ['everything', 'all.stop', 'all.resume', {}],
])('the operator who stopped %s cannot resume it; another one can', async (_, stop, resume, more) => {
  await act(e.services, 'alice', { action: stop, reason: 'odd counts', ...more });
  const before = await entries();
  expect(await act(e.services, 'alice', { action: resume, reason: 'never mind', ...more })).toMatchObject(
    refused,
  );
  expect(await entries()).toBe(before);
  expect(await e.run(policy)).toMatchObject({ outcome: 'skipped', deleted: 0 });
  expect((await act(e.services, 'bob', { action: resume, reason: 'looked at it', ...more })).status).toBe(
    200,
  );
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded' });
});

it.each([
  ['a policy', 'policy.pause', 'policy.resume', { policy: 'things' }],
  ['everything', 'all.stop', 'all.resume', {}],
])(
  'the stop of %s belongs to the operator who made it first: asking for it again changes nothing',
  async (_, stop, resume, more) => {
    await act(e.services, 'alice', { action: stop, reason: 'odd counts', ...more });
    const before = await entries();
    expect((await act(e.services, 'bob', { action: stop, reason: 'me too', ...more })).status).toBe(409);
    expect(await entries()).toBe(before);
    expect(await act(e.services, 'alice', { action: resume, reason: 'never mind', ...more })).toMatchObject(
      refused,
    );
    expect((await act(e.services, 'bob', { action: resume, reason: 'looked', ...more })).status).toBe(200);
  },
);

it('any operator can resume what was stopped in the database itself', async () => {
  await e.db.sql(
    "update retention.kill_switch set stopped = true, stopped_by = 'you', reason = 'why', stopped_at = now()",
  );
  expect((await act(e.services, 'alice', { action: 'all.resume', reason: 'over' })).status).toBe(200);
});

it('the operator who asked for a dry run cannot approve it; another one can', async () => {
  await aged(e, 1, 100, 30);
  await e.analyze();
  const { preview } = await e.run(policy, { dryRun: true, actor: 'alice', trigger: 'manual' });
  const give = {
    action: 'approval.give',
    policy: 'things',
    digest: preview?.approvable?.digest,
    reason: 'first clean-up',
  };
  expect(await act(e.services, 'alice', give)).toMatchObject(refused);
  expect(await e.db.sql('select 1 from retention.approval')).toEqual([]);
  expect(await e.run(policy)).toMatchObject({ reason: 'guarded', deleted: 0 });
  expect((await act(e.services, 'bob', give)).status).toBe(200);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: preview?.expired });
});

it.each(['cron', 'manual'])(
  'any operator can approve a dry run made with the secret as "%s"',
  async (actor) => {
    await aged(e, 1, 100, 30);
    await e.analyze();
    const { preview } = await e.run(policy, { dryRun: true, actor });
    const digest = preview?.approvable?.digest;
    const given = await act(e.services, 'alice', {
      action: 'approval.give',
      policy: 'things',
      digest,
      reason: 'go',
    });
    expect(given.status).toBe(200);
  },
);
