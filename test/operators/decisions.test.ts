/** What people decide on the console's pages, through the same functions as at the control endpoint. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Policy } from '@/lib/policies/contract';
import { versionOf } from '@/lib/policies/fingerprint';
import { govern, things } from '../support/engine';
import { aged, type Guarded, guarded } from '../support/guarded';
import { act, list, OPERATORS } from '../support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS, LAPSE_PROGRESSIVE_ROLLOUT: 'on' });
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

const chain = async () =>
  (
    await e.db.sql<{ action: string; actor: string }>(
      'select action, actor from retention.audit_entry order by n',
    )
  ).map((x) => `${x.action} ${x.actor}`);

it('a hold keeps its day of review until somebody looks and names the next one', async () => {
  const [key] = await things(e.db, [100]);
  const placed = await act(e.services, 'alice', {
    action: 'hold.place',
    scope: 'item',
    subject: key,
    table: 'public.things',
    reason: 'case 12',
    reviewAt: '2026-04-01T00:00:00Z',
  });
  expect(placed.body).toMatchObject({ detail: { review_at: '2026-04-01T00:00:00+00:00' } });
  const reviewed = await act(e.services, 'alice', {
    action: 'hold.review',
    id: placed.body.subject,
    reason: 'the case continues',
    reviewAt: '2026-07-01T00:00:00Z',
  });
  expect(reviewed.status).toBe(200);
  expect((await list(e.services, '?list=holds')).body.entries).toMatchObject([
    { review_at: '2026-07-01T00:00:00.000Z', released_at: null },
  ]);
  await act(e.services, 'bob', { action: 'hold.release', id: placed.body.subject, reason: 'settled' });
  const late = await act(e.services, 'alice', {
    action: 'hold.review',
    id: placed.body.subject,
    reason: 'again',
    reviewAt: '2026-09-01T00:00:00Z',
  });
  expect([late.status, late.body.error?.code]).toEqual([409, 'not_in_force']);
  expect(await chain()).toEqual(['hold.placed alice', 'hold.reviewed alice', 'hold.released bob']);
});

it('a step of the rollout is raised once from the step that was looked at, and the next run may delete as much', async () => {
  await e.db.sql(
    `insert into things (at) select timestamptz '2026-01-01' - make_interval(secs => i) from generate_series(1, 300) i`,
  );
  await e.db.sql(`insert into things (at) select timestamptz '2026-02-28' from generate_series(1, 3000) i`);
  await e.analyze();
  expect(await e.run(policy)).toMatchObject({ reason: 'rollout', deleted: 10 });
  const raise = {
    action: 'rollout.raise',
    policy: 'things',
    version: versionOf(policy),
    seen: 1,
    reason: 'checked',
  };
  const raised = await act(e.services, 'bob', raise);
  expect(raised.body).toMatchObject({ detail: { from: 1, to: 2 } });
  const again = await act(e.services, 'bob', raise);
  expect([again.status, again.body.error?.code]).toEqual([409, 'changed']);
  const other = await act(e.services, 'bob', { ...raise, version: 'of-another-declaration', seen: 2 });
  expect([other.status, other.body.error?.code]).toEqual([409, 'changed']);
  expect((await act(e.services, 'bob', { ...raise, seen: 3 })).status).toBe(400);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 290 });
  expect((await chain()).filter((x) => x.startsWith('rollout'))).toEqual(['rollout.raised bob']);
});

it('more than 100,000 rows are approved by one person only when another one made the dry run by name', async () => {
  await aged(e, 31, 100, 30);
  await e.analyze();
  const give = async (who: 'alice' | 'bob', actor: string, expired: number) => {
    const { runId, preview } = await e.run(policy, { dryRun: true, actor, trigger: 'manual' });
    await e.db.sql(
      `update retention.run set preview = preview || jsonb_build_object('expired', $2::int) where id = $1`,
      [runId, expired],
    );
    const digest = preview?.approvable?.digest;
    const given = await act(e.services, who, {
      action: 'approval.give',
      policy: 'things',
      digest,
      reason: 'go',
    });
    await e.db.sql('delete from retention.approval');
    await e.db.sql('delete from retention.run');
    return [given.status, given.body.error?.code];
  };
  expect(await give('alice', 'cron', 100_000)).toEqual([200, undefined]);
  expect(await give('alice', 'cron', 100_001)).toEqual([409, 'second_person']);
  expect(await give('alice', 'manual', 100_001)).toEqual([409, 'second_person']);
  expect(await give('alice', 'alice', 100_001)).toEqual([409, 'second_person']);
  expect(await give('alice', 'bob', 100_001)).toEqual([200, undefined]);
});
