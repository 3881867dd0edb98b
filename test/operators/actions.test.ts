import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { acquire } from '@/lib/engine/run/checkpoint';
import type { Policy } from '@/lib/policies/contract';
import { ago, DAY, govern, left, NOW, things } from '@/test/support/engine';
import { aged, type Guarded, guarded } from '@/test/support/guarded';
import { act, list, OPERATORS } from '@/test/support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db, { knownTriggers: ['refuse'] });
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

const entries = () =>
  e.db.sql(
    'select n::int as n, actor, action, subject, reason, detail from retention.audit_entry order by n',
  );

it('a hold keeps its rows until a second person releases it; both are audited', async () => {
  const [id] = await things(e.db, [40 * DAY]);
  const hold = { action: 'hold.place', scope: 'item', subject: id, table: 'public.things', reason: 'case 7' };
  const placed = await act(e.services, 'alice', hold);
  expect(placed.status).toBe(200);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { held: 1 } });
  const release = { action: 'hold.release', id: placed.body.subject, reason: 'case closed' };
  expect((await act(e.services, 'alice', release)).body.error?.code).toBe('not_released');
  expect((await act(e.services, 'bob', release)).status).toBe(200);
  expect((await act(e.services, 'bob', release)).status).toBe(409);
  expect(await e.run(policy)).toMatchObject({ deleted: 1 });
  expect(await entries()).toMatchObject([
    { n: 1, actor: 'alice', action: 'hold.placed', subject: placed.body.subject, reason: 'case 7' },
    { n: 2, actor: 'bob', action: 'hold.released', reason: 'case closed', detail: { placed_by: 'alice' } },
    { n: 3, actor: 'cron', action: 'run.sealed', detail: { policy: 'things', deleted: 1, receipts: 1 } },
  ]);
});

it('a hold says which policies cannot see it', async () => {
  const blind = { ...policy, name: 'blind', scope: {} };
  const services = { ...e.services, policies: [policy, blind] };
  const answer = await act(services, 'alice', {
    action: 'hold.place',
    scope: 'user',
    subject: randomUUID(),
    force: true,
    reason: 'case 8',
  });
  expect(answer.body.outOfReach).toEqual(['blind']);
});

it('a pause stops the policy and says who and why; resuming lets it continue', async () => {
  await things(e.db, [40 * DAY]);
  expect(
    (await act(e.services, 'alice', { action: 'policy.pause', policy: 'things', reason: 'odd counts' }))
      .status,
  ).toBe(200);
  expect(
    (await act(e.services, 'bob', { action: 'policy.pause', policy: 'things', reason: 'me too' })).status,
  ).toBe(409);
  expect(await e.run(policy)).toMatchObject({ outcome: 'skipped', reason: 'paused' });
  const state = await list(e.services);
  expect(state.body).toMatchObject({
    policies: [{ policy: 'things', paused: true, pausedBy: 'alice', pausedReason: 'odd counts' }],
  });
  expect(
    (await act(e.services, 'bob', { action: 'policy.resume', policy: 'things', reason: 'counts are right' }))
      .status,
  ).toBe(200);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
});

it('the switch for all stops everything until it is turned back', async () => {
  await things(e.db, [40 * DAY]);
  await act(e.services, 'alice', { action: 'all.stop', reason: 'restore under way' });
  expect(await e.run(policy)).toMatchObject({ outcome: 'skipped', reason: 'stopped' });
  expect((await list(e.services)).body).toMatchObject({ stopped: { stopped: true, stopped_by: 'alice' } });
  await act(e.services, 'bob', { action: 'all.resume', reason: 'restored' });
  expect(await e.run(policy)).toMatchObject({ deleted: 1 });
});

it('releasing a stuck lease moves the fence, so that its holder deletes nothing more', async () => {
  await things(e.db, [40 * DAY, 41 * DAY]);
  const stuck = await e.run(policy, { limit: 1 });
  expect(stuck.deleted).toBe(1);
  await acquire(e.services.redis, 'things', 'a-runner-that-died');
  expect(await e.run(policy)).toMatchObject({ reason: 'locked' });
  const before = await e.db.sql('select fence::int as fence from retention.policy_state');
  await e.db.sql('update retention.policy_state set run_now = $1', [stuck.runId]);
  const answer = await act(e.services, 'alice', {
    action: 'lease.release',
    policy: 'things',
    reason: 'runner died',
  });
  expect(answer.body).toMatchObject({ leaseRemoved: true, detail: { fence: Number(before[0]?.fence) + 1 } });
  expect(await e.db.sql('select run_now from retention.policy_state')).toEqual([{ run_now: null }]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
});

it('an approval given through the door lets the guarded run go, once', async () => {
  await aged(e, 1, 100, 30);
  await e.analyze();
  expect(await e.run(policy)).toMatchObject({ reason: 'guarded', deleted: 0 });
  const { preview } = await e.run(policy, { dryRun: true });
  const give = {
    action: 'approval.give',
    policy: 'things',
    digest: preview?.approvable?.digest,
    reason: 'first clean-up',
  };
  expect((await act(e.services, 'alice', give)).body).toMatchObject({
    detail: { expired: preview?.expired },
  });
  expect((await act(e.services, 'bob', give)).body.error?.code).toBe('exists');
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: preview?.expired });
  expect((await list(e.services, '?list=approvals')).body.entries).toMatchObject([
    { approved_by: 'alice', void_reason: null },
  ]);
});

it('a withdrawn approval does not count', async () => {
  await aged(e, 1, 100, 30);
  await e.analyze();
  const { preview } = await e.run(policy, { dryRun: true });
  const digest = preview?.approvable?.digest;
  const given = await act(e.services, 'alice', {
    action: 'approval.give',
    policy: 'things',
    digest,
    reason: 'go',
  });
  await act(e.services, 'bob', { action: 'approval.withdraw', id: given.body.subject, reason: 'wait' });
  expect(await e.run(policy)).toMatchObject({ reason: 'guarded', deleted: 0 });
});

it('dead letters are listed, assigned, retried at once and discarded with a reason', async () => {
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
      if old.note = 'bad' then raise exception 'no'; end if; return old; end $$`);
  await e.db.sql('create trigger refuse before delete on things for each row execute function refuse()');
  const [a, b] = await things(e.db, [40 * DAY, 41 * DAY]);
  await e.db.sql("update things set note = 'bad'");
  await e.run(policy);
  const { entries: open } = (await list(e.services, '?list=rows')).body as {
    entries: { id: string; row_key: string }[];
  };
  expect(open.map((l) => l.row_key).sort()).toEqual([a, b].sort());
  const idOf = (key?: string) => open.find((l) => l.row_key === key)?.id;
  expect(
    (
      await act(e.services, 'alice', {
        action: 'letter.assign',
        kind: 'row',
        id: idOf(a),
        to: 'bob',
        reason: 'yours',
      })
    ).status,
  ).toBe(200);
  expect(
    (
      await act(e.services, 'bob', {
        action: 'letter.discard',
        kind: 'row',
        id: idOf(b),
        reason: 'tax office wants it',
      })
    ).status,
  ).toBe(200);
  await e.db.sql('update things set note = null');
  expect(await e.run(policy)).toMatchObject({ deleted: 0, kept: { dead_letter: 2 } });
  expect(
    (await act(e.services, 'bob', { action: 'letter.retry', kind: 'row', id: idOf(a), reason: 'mended' }))
      .status,
  ).toBe(200);
  expect(await e.run(policy)).toMatchObject({ deleted: 1, kept: { dead_letter: 1 } });
  expect(
    await e.db.sql('select state, assigned_to, resolution from retention.dead_letter order by state'),
  ).toMatchObject([
    { state: 'discarded', resolution: 'tax office wants it' },
    { state: 'resolved', assigned_to: 'bob' },
  ]);
});

it('the oldest dead letter is watched: after three days its SLA is breached', async () => {
  await e.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at, created_at)
    values ('things', 'public.things', 'k', '23503', now(), $1::timestamptz)`,
    [ago(4 * DAY)],
  );
  expect((await list(e.services)).body.deadLetters).toMatchObject([
    { kind: 'row', open: 1, oldestSeconds: 4 * DAY, sla: 'breached' },
    { kind: 'file', open: 0, oldestSeconds: null, sla: 'within_sla' },
  ]);
});

it('an extension keeps its row, and still does for the cooling-off after it was ended', async () => {
  const [id] = await things(e.db, [40 * DAY]);
  const keepUntil = new Date(NOW.getTime() + 90 * DAY * 1000).toISOString();
  await act(e.services, 'alice', {
    action: 'extension.set',
    table: 'public.things',
    key: id,
    keepUntil,
    reason: 'customer asked',
  });
  expect(await e.run(policy)).toMatchObject({ deleted: 0, kept: { extended: 1 } });
  await act(e.services, 'alice', {
    action: 'extension.end',
    table: 'public.things',
    key: id,
    reason: 'done',
  });
  const days = (n: number) => new Date(NOW.getTime() + n * DAY * 1000);
  expect(await e.at(days(6.9), policy)).toMatchObject({ deleted: 0, kept: { extended: 1 } });
  expect(await e.at(days(7.1), policy)).toMatchObject({ deleted: 1 });
});

it('nothing is changed when the audit entry cannot be written', async () => {
  await things(e.db, [40 * DAY]);
  await e.db.sql(`create function refuse_entry() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger refuse before insert on retention.audit_entry for each row execute function refuse_entry()`);
  const hold = {
    action: 'hold.place',
    scope: 'organization',
    subject: randomUUID(),
    force: true,
    reason: 'case 9',
  };
  expect((await act(e.services, 'alice', hold)).status).toBe(500);
  expect(await e.db.sql('select 1 from retention.hold')).toEqual([]);
  expect(await left(e.db)).toBe(1);
});

it('an override counts for its organization, and still does for the cooling-off after it was removed', async () => {
  await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text);
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create index on things (org, at, id); grant select on orgs to lapse_app`);
  const [org] = await e.db.sql<{ id: string }>("insert into orgs (plan) values ('free') returning id");
  const tiers = {
    ...policy,
    rules: [{ label: 'free', keepFor: { seconds: 7 * DAY }, match: {} }],
    tenants: {
      table: { schema: 'public', name: 'orgs' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.plan',
      judgedBy: [{ schema: 'public', name: 'orgs' }],
    },
  };
  const services = { ...e.services, policies: [tiers] };
  await things(e.db, [40 * DAY]);
  await e.db.sql('update things set org = $1', [org?.id]);
  const tenant = { policy: 'things', tenant: `{${org?.id}}` };
  expect(
    (
      await act(services, 'alice', {
        action: 'override.set',
        ...tenant,
        tenant: 'acme',
        keepDays: 1,
        reason: 'r',
      })
    ).body.error?.code,
  ).toBe('no_such_value');
  const nobody = { ...tenant, tenant: randomUUID() };
  expect(
    (await act(services, 'alice', { action: 'override.set', ...nobody, keepDays: 1, reason: 'r' })).body.error
      ?.code,
  ).toBe('covers_nothing');
  const set = await act(services, 'alice', {
    action: 'override.set',
    ...tenant,
    tenant: org?.id.toUpperCase(),
    keepDays: -1,
    reason: 'contract',
  });
  expect([set.status, set.body.detail]).toEqual([200, { keep_seconds: null }]);
  expect(set.body.covers).toMatchObject([{ table: 'public.orgs', columns: ['id'], rows: 1 }]);
  expect(await e.run(tiers)).toMatchObject({ deleted: 0 });
  expect((await list(services, '?list=overrides')).body.entries).toMatchObject([
    { policy: 'things', set_by: 'alice' },
  ]);
  expect(
    (await act(services, 'bob', { action: 'override.remove', ...tenant, reason: 'contract over' })).status,
  ).toBe(200);
  expect(await e.run(tiers)).toMatchObject({ deleted: 0 });
  await e.db.sql('update retention.past_override set ended_at = $1::timestamptz', [ago(6.9 * DAY)]);
  expect(await e.run(tiers)).toMatchObject({ deleted: 0 });
  await e.db.sql('update retention.past_override set ended_at = $1::timestamptz', [ago(7.1 * DAY)]);
  expect(await e.run(tiers)).toMatchObject({ deleted: 1 });
});

it('a dead file is retried, or kept with a reason', async () => {
  await things(e.db, [40 * DAY]);
  const { runId } = await e.run(policy);
  const files = await e.db.sql<{ id: string }>(
    `insert into retention.outbox (run, seq, policy, table_name, row_key, url, state, attempts)
     select $1::uuid, 1, 'things', 'public.things', i::text, 'tmp/' || i, 'dead', 9 from generate_series(1, 2) i returning id::text`,
    [runId],
  );
  const [a, b] = files.map((f) => f.id);
  expect((await list(e.services, '?list=files')).body.entries).toHaveLength(2);
  expect(
    (
      await act(e.services, 'alice', {
        action: 'letter.assign',
        kind: 'file',
        id: a,
        to: 'bob',
        reason: 'yours',
      })
    ).status,
  ).toBe(200);
  expect(
    (await act(e.services, 'bob', { action: 'letter.retry', kind: 'file', id: a, reason: 'store is back' }))
      .status,
  ).toBe(200);
  expect(
    (await act(e.services, 'bob', { action: 'letter.discard', kind: 'file', id: b, reason: 'evidence' }))
      .status,
  ).toBe(200);
  expect(
    (await act(e.services, 'bob', { action: 'letter.discard', kind: 'file', id: b, reason: 'evidence' }))
      .status,
  ).toBe(404);
  expect(
    await e.db.sql('select state, attempts, assigned_to, resolution from retention.outbox order by id'),
  ).toEqual([
    { state: 'pending', attempts: 0, assigned_to: 'bob', resolution: null },
    { state: 'kept', attempts: 9, assigned_to: null, resolution: 'evidence' },
  ]);
});
