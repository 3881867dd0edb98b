/** What stops, holds or approves is changed by functions that write their entry of the chain, and by nothing else. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { verify } from '@/lib/operators/audit/verify';
import { OWN_JOBS } from '@/lib/platform/jobs';
import { operatorList } from '@/lib/platform/settings/operators';
import { type AppLogin, appLogin, operatorLogin } from '../support/app-login';
import { type Engine, engine } from '../support/engine';

let e: Engine;
let app: AppLogin;
let operator: AppLogin;
beforeEach(async () => {
  e = await engine();
  app = await appLogin(e.db);
  operator = await operatorLogin(e.db);
});
afterEach(async () => {
  await app.end();
  await operator.end();
  await e.stop();
});

const entries = () => e.db.sql('select actor, action, reason from retention.audit_entry order by n');

it('the app may write none of the tables that hold, stop, approve or say what ran', async () => {
  const tables = [
    'hold',
    'extension',
    'period_override',
    'past_override',
    'kill_switch',
    'approval',
    'restoration',
    'run',
    'policy_state',
    'policy_version',
    'tenant_label',
    'audit_event',
    'audit_entry',
    'permanent_table',
    'operator',
    'dead_letter',
  ];
  expect(
    await e.db.sql(
      `select t, p from unnest($1::text[]) t cross join unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p
       where has_table_privilege('lapse_app', 'retention.' || t, p)
         or (p in ('INSERT', 'UPDATE') and has_any_column_privilege('lapse_app', 'retention.' || t, p))`,
      [tables],
    ),
  ).toEqual([]);
});

it('each change leaves one entry under the name that stands in the change', async () => {
  const [placed] = await operator.sql(
    "select subject from retention.place_hold('alice', 'case 1', 'user', 'u1', null)",
  );
  const hold = placed?.subject;
  // Nobody releases a hold of their own; what does not apply leaves no entry.
  expect(await operator.sql("select * from retention.release_hold('alice', 'done', $1)", [hold])).toEqual([]);
  await operator.sql("select * from retention.release_hold('bob', 'done', $1)", [hold]);
  await operator.sql("select * from retention.stop_all('alice', 'look')");
  expect(await operator.sql("select * from retention.stop_all('bob', 'me too')")).toEqual([]);
  await operator.sql("select * from retention.resume_all('bob', 'fine')");
  await operator.sql("select * from retention.pause_policy('alice', 'look', 'things')");
  await operator.sql("select * from retention.resume_policy('bob', 'fine', 'things')");
  await operator.sql("select * from retention.release_lease('bob', 'stuck', 'things')");
  await operator.sql("select * from retention.set_override('alice', 'contract', 'things', 'o1', null)");
  await operator.sql("select * from retention.remove_override('bob', 'ended', 'things', 'o1')");
  expect(await entries()).toEqual([
    { actor: 'alice', action: 'hold.placed', reason: 'case 1' },
    { actor: 'bob', action: 'hold.released', reason: 'done' },
    { actor: 'alice', action: 'all.stopped', reason: 'look' },
    { actor: 'bob', action: 'all.resumed', reason: 'fine' },
    { actor: 'alice', action: 'policy.paused', reason: 'look' },
    { actor: 'bob', action: 'policy.resumed', reason: 'fine' },
    { actor: 'bob', action: 'lease.released', reason: 'stuck' },
    { actor: 'alice', action: 'override.set', reason: 'contract' },
    { actor: 'bob', action: 'override.removed', reason: 'ended' },
  ]);
  expect(await e.db.sql('select placed_by, released_by from retention.hold')).toEqual([
    { placed_by: 'alice', released_by: 'bob' },
  ]);
  expect(await e.db.sql('select set_by from retention.past_override')).toEqual([{ set_by: 'alice' }]);
  expect(await verify(e.services.database)).toMatchObject({ ok: true, entries: 9 });
});

it('no one acts under the name of a service, or without a name or a reason', async () => {
  for (const job of ['cron', 'Manual', ...OWN_JOBS.map((j) => j.name), '']) {
    expect(await operator.refusal('select * from retention.stop_all($1, $2)', [job, 'why']), job).toBe(
      '22023',
    );
  }
  expect(await operator.refusal("select * from retention.stop_all('alice', '')")).toBe('22023');
  expect(await entries()).toEqual([]);
  expect(await e.db.sql('select stopped from retention.kill_switch')).toEqual([{ stopped: false }]);
  const sha256 = 'a'.repeat(64);
  expect(operatorList.safeParse(`alice:${sha256},audit-seal:${'b'.repeat(64)}`).error?.issues).toMatchObject([
    { message: expect.stringContaining('must not name an operator audit-seal') },
  ]);
});

it('the app forges no entry of a change, a stop or a sealed run', async () => {
  for (const action of ['run.sealed', 'hold.released', 'all.resumed', 'approval.given', 'lease.released']) {
    expect(
      await app.refusal(
        'insert into retention.audit_entry (actor, action, subject, reason) values ($1, $2, $3, $4)',
        ['alice', action, randomUUID(), 'why'],
      ),
      action,
    ).toBe('42501');
  }
  expect(await app.refusal("select retention.record('alice', 'run.sealed', 'x', 'y', '{}')")).toBe('42501');
  expect(await entries()).toEqual([]);
});

it('an approval is claimed by the current run under its version, and by no other', async () => {
  const [run, other] = [randomUUID(), randomUUID()];
  await app.sql("select retention.begin_run('things', $1, 'v1', now(), 'cron', 'cron', 'c')", [run]);
  const [given] = await e.db.sql(
    `insert into retention.approval (policy, version, preview, digest, as_of, expired, facts, expires_at, approved_by, reason, approved_at)
     values ('things', 'v1', $1, repeat('a', 64), now(), 1, '{}', now(), 'alice', 'x', now()) returning id`,
    [run],
  );
  const claim = async (r: string) =>
    (await app.sql('select retention.claim_approval($1, $2) as may', [given?.id, r]))[0]?.may;
  expect(await claim(other)).toBe(false);
  await e.db.sql("update retention.policy_state set version = 'v2'");
  expect(await claim(run)).toBe(false);
  await e.db.sql("update retention.policy_state set version = 'v1'");
  expect(await claim(run)).toBe(true);
  expect(await e.db.sql('select approval from retention.run')).toEqual([{ approval: given?.id }]);
});
