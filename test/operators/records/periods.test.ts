/** P10: each kind of old record goes at its least age at the earliest, and what is open, named or the last one stays. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OWN_RECORDS } from '@/lib/operators/records/periods';
import { DAY, databaseClock, type Engine, engine, NOW } from '../../support/engine';

const AT = `'${NOW.toISOString()}'::timestamptz`;
const HOUR = 3_600;

let e: Engine;
beforeAll(async () => {
  e = await engine();
});
afterAll(() => e.stop());

const uuid = (n: number) => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`;

const entry = (state: string, url = 'a/anna.pdf', run?: number) =>
  `insert into retention.outbox (run, seq, policy, table_name, row_key, url, state, created_at, updated_at)
   values (${run === undefined ? 'null, null' : `'${uuid(run)}', 1`}, 'p', 't', gen_random_uuid()::text, '${url}', '${state}', ${AT}, ${AT})`;
const letter = (state: string) =>
  `insert into retention.dead_letter (policy, table_name, row_key, sql_state, state, next_attempt_at, updated_at)
   values ('p', 't', gen_random_uuid()::text, '23503', '${state}', now(), ${AT})`;
const incident = (n: number, over: boolean, alerted: boolean) =>
  `insert into retention.incident (id, cause, severity, message, opened_at, last_seen_at, recovered_at)
   values ('${uuid(n)}', 'x', 'warning', 'm', ${AT}, ${AT}, ${over ? AT : 'null'});
   ${alerted ? `insert into retention.alert (incident, channel, moment, next_attempt_at) values ('${uuid(n)}', 'email', 'warning', now())` : ''}`;
const finding = (state: string) =>
  `insert into retention.blob_finding (kind, path, first_scan, last_scan, first_seen_at, last_seen_at, state, updated_at)
   values ('orphan', gen_random_uuid()::text, gen_random_uuid(), gen_random_uuid(), ${AT}, ${AT}, '${state}', ${AT})`;
const scan = (startedHoursLater: number, finished = AT) =>
  `insert into retention.blob_scan (id, mode, started_at, finished_at)
   values (gen_random_uuid(), 'report', ${AT} + make_interval(hours => ${startedHoursLater}), ${finished})`;
const run = (n: number, mode: string, finished = AT, deleted = 0) =>
  `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at, outcome, deleted)
   values ('${uuid(n)}', 'p', '${mode}', 'cron', 'cron', 'c', 1, 'v', ${AT}, ${AT}, ${finished}, case when ${finished} is null then null else 'succeeded' end, ${deleted})`;
const total = (n: number) =>
  `insert into retention.tenant_total (run, tenant, label, deleted) values ('${uuid(n)}', 'o', 'all', 1)`;
const approval = (preview: number, usedBy?: number) =>
  `insert into retention.approval (policy, version, preview, digest, as_of, expired, facts, expires_at, approved_by, reason, approved_at, used_at, used_by)
   values ('p', 'v', '${uuid(preview)}', repeat('${preview}', 64), now(), 1, '{}', now(), 'alice', 'x', now(),
     ${usedBy === undefined ? 'null, null' : `now(), '${uuid(usedBy)}'`})`;
const use = (expiresAt: string) =>
  `insert into retention.link_use (id, purpose, expires_at) values (gen_random_uuid(), 'notice.extend', ${expiresAt})`;
const notice = (state: string) =>
  `insert into retention.notice (tenant, recipient, required, claimed_until, state, settled_at)
   values (gen_random_uuid()::text, repeat('a', 64), true, ${AT}, '${state}', ${state === 'open' ? 'null' : AT})`;
const override = (endedAt: string) =>
  `insert into retention.past_override (policy, tenant, set_by, ended_at) values ('p', 'o', 'alice', ${endedAt})`;
const label = (n: number, endedAt: string) =>
  `insert into retention.tenant_label (policy, tenant, label, seen_at, ended_at) values ('p', 'o${n}', 'pro', ${AT}, ${endedAt})`;

/** What goes once it is `days` old, and what stays however old it is. */
const CASES: Record<string, { days: number; goes: string[]; stays: string[] }> = {
  file_names: {
    days: 7,
    goes: [entry('deleted'), entry('kept')],
    stays: [entry('pending'), entry('deleting'), entry('dead'), entry('deleted', `sha256:${'0'.repeat(64)}`)],
  },
  outbox: {
    days: 400,
    goes: [entry('deleted'), entry('kept')],
    stays: [entry('pending'), entry('deleting'), entry('dead')],
  },
  notices: { days: 400, goes: [notice('delivered'), notice('unsure')], stays: [notice('open')] },
  link_uses: { days: 1, goes: [use(AT)], stays: [use("'infinity'")] },
  letters: { days: 400, goes: [letter('resolved')], stays: [letter('open'), letter('discarded')] },
  alerts: { days: 400, goes: [incident(1, true, true)], stays: [incident(2, false, true)] },
  incidents: {
    days: 400,
    goes: [incident(1, true, false)],
    stays: [incident(2, false, false), incident(3, true, true)],
  },
  findings: { days: 30, goes: [finding('queued'), finding('resolved')], stays: [finding('open')] },
  scans: { days: 400, goes: [scan(0), scan(1)], stays: [scan(2), scan(1, 'null')] },
  tenant_totals: {
    days: 400,
    goes: [run(1, 'delete'), total(1)],
    stays: [run(2, 'delete', 'null::timestamptz'), total(2)],
  },
  past_periods: { days: 400, goes: [override(AT)], stays: [override("'infinity'")] },
  past_labels: { days: 400, goes: [label(1, AT)], stays: [label(2, 'null')] },
  order_steps: {
    days: 400,
    goes: [
      `insert into retention.order_step (order_key, due_at, step, taken_at) values ('k', ${AT}, 's', ${AT})`,
    ],
    stays: [],
  },
  dry_runs: {
    days: 30,
    goes: [run(1, 'dry_run')],
    stays: [run(2, 'dry_run', 'null::timestamptz'), run(3, 'delete'), run(4, 'dry_run'), approval(4)],
  },
  idle_runs: {
    days: 400,
    goes: [run(1, 'delete')],
    stays: [
      run(2, 'delete', 'null::timestamptz'),
      run(3, 'dry_run'),
      run(4, 'delete', AT, 1),
      run(5, 'delete'),
      `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, uuid_keys, locked, deleted, picked)
       values ('${uuid(5)}', 1, 'p', 'v', 'delete', 'cron', 'r', now(), 't', array['${uuid(5)}']::uuid[], 1, 1, 1)`,
      run(6, 'delete'),
      entry('pending', 'a', 6),
      run(7, 'delete'),
      approval(4, 7),
      run(8, 'delete'),
      approval(8),
      run(9, 'delete'),
      `insert into retention.last_run (policy, run, started_at, finished_at, outcome, seconds, deleted)
       values ('p', '${uuid(9)}', now(), now(), 'succeeded', 1, 0)`,
      run(10, 'delete'),
      total(10),
      run(11, 'delete'),
      `insert into retention.audit_event (event, run, total_orgs, artifacts_deleted, bytes_freed, by_tier) values ('e', '${uuid(11)}', 0, 0, 0, '{}')`,
      run(12, 'delete'),
      `insert into retention.audit_entry (n, at, actor, action, subject, reason, detail, prev, hash)
       values (1, now(), 'cron', 'run.sealed', '${uuid(12)}', 'r', '{}', repeat('0', 64), repeat('0', 64))`,
    ],
  },
};
const TABLES = [
  'alert',
  'incident',
  'outbox',
  'dead_letter',
  'blob_finding',
  'blob_scan',
  'tenant_total',
  'link_use',
  'notice',
  'past_override',
  'tenant_label',
  'order_step',
  'approval',
  'last_run',
  'audit_event',
  'audit_entry',
  'receipt',
  'run',
].map((t) => `retention.${t}`);

/** As the owner, past every trigger and foreign key. */
const write = (statements: readonly string[]) =>
  e.db.sql(`begin; set local session_replication_role = replica; ${statements.join('; ')}; commit`);

async function trimmed(kind: string, secondsLater: number): Promise<number> {
  await databaseClock(e.db, new Date(NOW.getTime() + secondsLater * 1000));
  const [rows] = await e.services.database.transaction(
    [{ text: 'select retention.trim_records($1, 0, 100)::text as n', params: [kind] }],
    { timeoutMs: 5_000 },
  );
  return Number(rows?.[0]?.n);
}

it('there is a case for each kind', () => {
  expect(Object.keys(CASES).sort()).toEqual(OWN_RECORDS.map((r) => r.kind).sort());
});

it.each(Object.entries(CASES))(
  '%s: go at their least age, whatever shorter period is asked for, and no other with them',
  async (kind, { days, goes, stays }) => {
    await write([...TABLES.map((t) => `delete from ${t}`), ...stays]);
    expect(await trimmed(kind, 3_000 * DAY)).toBe(0);
    await write(goes);
    expect(await trimmed(kind, days * DAY - HOUR)).toBe(0);
    expect(await trimmed(kind, days * DAY + HOUR)).toBe(goes.filter((g) => !isRunOfTotals(kind, g)).length);
    expect(await trimmed(kind, 3_000 * DAY)).toBe(0);
  },
);

const isRunOfTotals = (kind: string, statement: string) =>
  kind === 'tenant_totals' && statement.includes('retention.run');
