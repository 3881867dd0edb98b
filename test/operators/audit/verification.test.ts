/** What verification names beyond the chain itself, whatever was edited: it goes on and never throws. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sealAudit } from '@/lib/operators/audit/seal';
import { verify } from '@/lib/operators/audit/verify';
import type { Policy } from '@/lib/policies/contract';
import { DAY, govern, NOW, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';
import { act, OPERATORS } from '@/test/support/operators';
import { snapshot } from '@/test/support/snapshot';

let e: Guarded;
let policy: Policy;
let kept: string;
let runId: string;
let hold: string;

/** A run of three batches, and something of each kind that an operator may decide. */
async function history(): Promise<void> {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
  [kept] = (await things(
    e.db,
    [1, 40, 41, 42].map((d) => d * DAY),
  )) as [string];
  runId = (await e.run(policy, { batchSize: 1 })).runId!;
  await e.db.sql("select retention.set_override('alice', 'contract', 'things', 'o1', 86400)");
  const placed = await operator('alice', {
    action: 'hold.place',
    scope: 'user',
    subject: randomUUID(),
    force: true,
  });
  hold = String(placed.subject);
  const row = { table: 'public.things', key: kept };
  await operator('alice', { action: 'extension.set', ...row, keepUntil: '2099-01-01T00:00:00.123456Z' });
}

let restore: () => Promise<void>;
beforeAll(async () => {
  await history();
  restore = await snapshot(e.db);
});
afterEach(() => restore());
afterAll(() => e.stop());

const operator = async (who: 'alice' | 'bob', what: Record<string, unknown>) => {
  const { status, body } = await act(e.services, who, { reason: 'a test', ...what });
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
};
/** As somebody with the owner's rights would do it. */
const tamper = async (sql: string) => {
  await e.db.sql(`begin; set local session_replication_role = replica; ${sql}; commit`);
};
const named = async () => (await verify(e.services.database)).problems.map((p) => `${p.kind}: ${p.message}`);

/** The keys stay, and say something else of how they were hashed. */
const asForm2 =
  'update retention.receipt set form = 2, uuid_keys = retention.uuids_of(key_bytes), key_bytes = null';
const backToForm3 =
  'update retention.receipt set form = 3, key_bytes = uuid_send(uuid_keys[1]), uuid_keys = null';

it('names nothing while everything was done by the doors', async () => {
  expect(await named()).toEqual([]);
  await operator('bob', { action: 'hold.release', id: hold });
  await operator('bob', { action: 'extension.end', table: 'public.things', key: kept });
  await e.db.sql("select retention.remove_override('bob', 'ended', 'things', 'o1')");
  await operator('alice', { action: 'policy.pause', policy: 'things' });
  await operator('alice', { action: 'all.stop' });
  expect(await named()).toEqual([]);
  await operator('bob', { action: 'policy.resume', policy: 'things' });
  await operator('bob', { action: 'all.resume' });
  // A run that died before its end leaves receipts behind; the release of its lease says so.
  await things(e.db, [50 * DAY]);
  const died = (await e.run(policy)).runId;
  await e.db.sql(
    'update retention.run set finished_at = null, outcome = null, sealed_at = null where id = $1',
    [died],
  );
  await tamper(`delete from retention.audit_entry where subject = '${died}'`);
  await e.db.sql('update retention.policy_state set run_now = $1', [died]);
  expect(await named()).toEqual([]);
  await operator('bob', { action: 'lease.release', policy: 'things' });
  expect(await named()).toEqual([]);
});

describe('what cannot be read is named, and verification goes on', () => {
  it.each([
    ['a receipt of another form', `${asForm2} where seq = 1`, 'receipt 1 of run'],
    [
      'an entry that seals nothing',
      "update retention.audit_entry set subject = 'nobody' where n = 1",
      'entry 1 seals "nobody"',
    ],
    [
      'an entry whose detail is another',
      `update retention.audit_entry set detail = '[1, {"gaps": "x"}]' where n = 1`,
      'the receipts of run',
    ],
    [
      'an entry before the first',
      'update retention.audit_entry set n = -3 where n = 1',
      'entry -3 has a number that no entry can have',
    ],
    [
      'an entry far behind the last',
      'update retention.audit_entry set n = 9223372036854775807 where n = 4',
      'is not what was written',
    ],
    [
      'an instant that is none',
      "update retention.audit_entry set at = 'infinity' where n = 1",
      'entry 1 is not what was written',
    ],
    [
      'an extension until nobody knows when',
      `update retention.audit_entry set detail = '{"keep_until": "x"}' where n = 4`,
      'entry 4 is not what was written',
    ],
  ])('%s', async (_, edit, told) => {
    await tamper("update retention.receipt set actor = 'nobody' where seq = 3");
    await tamper(edit);
    const problems = await named();
    expect(problems.join('\n')).toContain(told);
    if (!edit.includes("'nobody' where n")) expect(problems.join('\n')).toContain('receipt 3 of run');
  });

  it('and an incident is opened', async () => {
    await tamper(`${asForm2} where seq = 1`);
    const order = {
      correlationId: 'c',
      deadline: new Date(NOW.getTime() + 60_000),
      dryRun: false,
      trigger: 'cron',
    } as const;
    expect(await sealAudit(e.services, order)).toMatchObject({ outcome: 'errored', reason: 'audit_broken' });
    expect(await e.db.sql('select cause, recovered_at from retention.incident')).toMatchObject([
      { cause: expect.stringContaining('audit.broken'), recovered_at: null },
    ]);
  });
});

describe('receipts', () => {
  const forged = (run: string, seq = 9) =>
    `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, uuid_keys, locked, deleted, picked)
     values ('${run}', ${seq}, 'things', 'v', 'delete', 'cron', 'retention', now(), 'public.things', array['${kept}']::uuid[], 1, 1, 1)`;
  const run = (id: string, mode: string, finished: string) =>
    `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at, outcome)
     values ('${id}', 'things', '${mode}', 'cron', 'cron', 'c', 1, 'v', now(), now(), ${finished}, case when ${finished} is null then null else 'succeeded' end)`;

  it.each([
    ['of a run that nobody knows', () => forged('11111111-1111-1111-1111-111111111111'), 'which is unknown'],
    [
      'of a dry run',
      () =>
        `${run('11111111-1111-1111-1111-111111111111', 'dry_run', 'now()')}; ${forged('11111111-1111-1111-1111-111111111111')}`,
      'which was a dry run',
    ],
    [
      'of a run that is not ended and not current',
      () =>
        `${run('11111111-1111-1111-1111-111111111111', 'delete', 'null::timestamptz')}; ${forged('11111111-1111-1111-1111-111111111111')}`,
      'neither ended nor the current one',
    ],
    [
      'written long after their run',
      () => `${forged(runId)}; update retention.run set created_at = now() - interval '2 days'`,
      'had long ended when the last was written',
    ],
  ])('%s are named', async (_, edit, told) => {
    await tamper(edit());
    expect((await named()).join('\n')).toContain(told);
  });

  // Where it continues is no evidence; its number in the table and its own hash are no part of what happened.
  const NO_EVIDENCE = ['id', 'cursor_after', 'hash'];
  it('are named whatever field of them was changed', async () => {
    await e.db.sql('create table if not exists kept as select * from retention.receipt');
    const restored = 'delete from retention.receipt; insert into retention.receipt overriding system value';
    const columns = await e.db.sql<{ name: string; type: string }>(
      `select attname as name, atttypid::regtype::text as type from pg_attribute
       where attrelid = 'retention.receipt'::regclass and attnum > 0 and not attisdropped and attname <> all($1::text[])`,
      [NO_EVIDENCE],
    );
    const another: Record<string, string> = {
      uuid: 'gen_random_uuid()',
      text: "'another'",
      'text[]': "array['another'], key_bytes = null, form = 1",
      'uuid[]': 'array[gen_random_uuid()], key_bytes = null, form = 2',
      bytea: 'key_bytes || uuid_send(gen_random_uuid())',
      jsonb: `'{"another": {"deleted": 1, "bytes": 1}}'`,
      'timestamp with time zone': "'2020-01-01'",
    };
    const list = (
      await e.db.sql<{ c: string }>(
        `select string_agg(attname, ', ' order by attnum) as c from pg_attribute where attrelid = 'retention.receipt'::regclass and attnum > 0 and not attisdropped`,
      )
    )[0]!.c;
    for (const { name, type } of columns) {
      const value = name === 'action' ? "'soft_delete'" : (another[type] ?? `${name} + 10`);
      const more = name === 'partition' ? ", action = 'drop_partition'" : '';
      const edit = name === 'form' ? asForm2 : `update retention.receipt set ${name} = ${value}${more}`;
      await tamper(`${edit} where seq = 1`);
      expect((await named()).join(), name).toMatch(/receipts changed|receipt 1 of run/);
      await tamper(`${restored} select ${list} from kept`);
    }
    expect(await named()).toEqual([]);
  });

  it('whose own hash was changed are named', async () => {
    await tamper("update retention.receipt set hash = 'x' where seq = 2");
    expect(await named()).toEqual([
      `receipts changed: receipt 2 of run ${runId} is not what was written: its hash does not fit`,
    ]);
  });
});

describe('the record of a run, from which reports are made,', () => {
  it.each([
    ['deleted', 'deleted = 0'],
    ['bytes', 'bytes_freed = 7'],
    ['dependants', 'dependants_deleted = 7'],
    ['files', 'files_queued = 7'],
    ['batches', 'batches = 1'],
    ['by_rule', "by_rule = '{}'"],
    ['by_rule', `by_rule = '{"all": {"deleted": 2, "bytes": 0}}'`],
    ['outcome', "outcome = 'errored'"],
    ['actor', "actor = 'alice'"],
  ])('is named when %s is not what its receipts say (%s)', async (what, set) => {
    await tamper(`update retention.run set ${set}`);
    expect(await named()).toEqual([
      `report falsified: the record of run ${runId} is not what its receipts and entry 1 say: ${what}`,
    ]);
  });

  it('is named when it is gone, or counts what has no receipt', async () => {
    const { runId: idle } = await e.run(policy);
    await tamper(`update retention.run set deleted = 5 where id = '${idle}'`);
    expect(await named()).toEqual([
      `report falsified: the record of run ${idle} counts deletions, and it has no receipt`,
    ]);
    await tamper(`delete from retention.run where id = '${runId}'`);
    expect((await named())[0]).toBe(
      `report falsified: the record of run ${runId} is gone; entry 1 sealed it`,
    );
  });
});

describe('without an entry', () => {
  it.each([
    [
      'a hold that was released',
      () => "update retention.hold set released_by = 'bob', released_at = now(), release_reason = 'x'",
      'was released, and no entry says by whom',
    ],
    [
      'a hold on something else',
      () => "update retention.hold set subject = 'u2'",
      'is not the one that entry 3 placed',
    ],
    [
      'a hold by somebody else',
      () => "update retention.hold set placed_by = 'bob'",
      'is not the one that entry 3 placed',
    ],
    ['a hold that is gone', () => 'delete from retention.hold', 'placed by entry 3, is gone'],
    [
      'a hold that nobody placed',
      () =>
        "insert into retention.hold (scope, subject, reason, placed_by) values ('user', 'u9', 'x', 'alice')",
      'has no entry that says who placed it',
    ],
    [
      'a stop',
      () =>
        "update retention.kill_switch set stopped = true, stopped_by = 'bob', reason = 'x', stopped_at = now()",
      'everything is stopped; no entry says so',
    ],
    [
      'a switch that is gone',
      () => 'delete from retention.kill_switch',
      'everything is stopped; no entry says so',
    ],
    [
      'a pause',
      () =>
        "update retention.policy_state set paused = true, paused_by = 'bob', paused_reason = 'x', paused_at = now()",
      'policy "things" is paused; no entry says so',
    ],
    [
      'a shorter extension',
      () => 'update retention.extension set keep_until = now()',
      'is not what entry 4 says',
    ],
    ['an extension that is gone', () => 'delete from retention.extension', 'set by entry 4, is gone'],
    [
      'an extension that nobody set',
      () =>
        "insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.things', 'k', now(), 'x', 'bob')",
      'the extension of public.things k has no entry',
    ],
    [
      'another override',
      () => 'update retention.period_override set keep_seconds = 1',
      'the override things o1 is not what entry 2 says',
    ],
    [
      'an override that is gone',
      () => 'delete from retention.period_override',
      'the override things o1, set by entry 2, is gone',
    ],
    [
      'an override that nobody set',
      () =>
        "insert into retention.period_override (policy, tenant, reason, set_by) values ('things', 'o2', 'x', 'bob')",
      'the override things o2 has no entry',
    ],
    [
      'an approval',
      () => `insert into retention.approval (policy, version, preview, digest, as_of, expired, facts, expires_at, approved_by, reason, approved_at)
      values ('things', 'v', '${runId}', repeat('a', 64), now(), 1, '{}', now(), 'alice', 'x', now())`,
      'has no entry',
    ],
  ])('%s is named', async (_, edit, told) => {
    await tamper(edit());
    const problems = await named();
    expect(problems).toEqual([expect.stringMatching(/^without an entry: /)]);
    expect(problems[0]).toContain(told);
  });

  it('a hold whose row, table or scope is another is named', async () => {
    const item = await operator('alice', {
      action: 'hold.place',
      scope: 'item',
      subject: kept,
      table: 'public.things',
    });
    const changed = `without an entry: hold ${item.subject} is not the one that entry 5 placed: it was changed`;
    await tamper(`update retention.hold set table_name = 'public.others' where id = '${item.subject}'`);
    expect(await named()).toEqual([changed]);
    await tamper(`update retention.hold set table_name = 'public.things' where id = '${item.subject}'`);
    expect(await named()).toEqual([]);
    await tamper(`update retention.hold set scope = 'organization' where id = '${hold}'`);
    expect(await named()).toHaveLength(1);
  });

  it('a stop, a pause or a release under another name, so that the wrong person could take it back, is named', async () => {
    await operator('bob', { action: 'hold.release', id: hold });
    await operator('alice', { action: 'policy.pause', policy: 'things' });
    await operator('alice', { action: 'all.stop' });
    await tamper(`update retention.hold set released_by = 'carol';
      update retention.policy_state set paused_by = 'bob'; update retention.kill_switch set stopped_by = 'bob'`);
    expect(await named()).toEqual([
      `without an entry: hold ${hold} is released by another; entry 5 released it`,
      'without an entry: everything is stopped; entry 7 says otherwise',
      'without an entry: policy "things" is paused; entry 6 says otherwise',
    ]);
  });

  it.each(['approved_by', 'digest', 'policy', 'version', 'expired'])(
    'an approval whose %s is another is named',
    async (column) => {
      const of = { approved_by: 'bob', digest: 'b'.repeat(64), policy: 'others', version: 'w', expired: '7' };
      await e.db.sql(`with a as (
          insert into retention.approval (policy, version, preview, digest, as_of, expired, facts, expires_at, approved_by, reason, approved_at)
          values ('things', 'v', '${runId}', repeat('a', 64), now(), 1, '{}', now(), 'alice', 'x', now()) returning *)
        select retention.record('alice', 'approval.given', a.id::text, 'x',
          jsonb_build_object('policy', policy, 'version', version, 'digest', digest, 'expired', expired)) from a`);
      expect(await named()).toEqual([]);
      await tamper(`update retention.approval set ${column} = '${of[column as keyof typeof of]}'`);
      expect(await named()).toEqual([
        expect.stringMatching(/^without an entry: approval .* is not what entry 5 says$/),
      ]);
    },
  );

  it('an override by somebody else is named; an extension that is over may be gone', async () => {
    await e.db.sql(
      `select retention.record('alice', 'extension.set', 'public.things k', 'x', '{"keep_until": "2020-01-01T00:00:00+00:00"}')`,
    );
    expect(await named()).toEqual([]);
    await e.db.sql(
      `select retention.record('alice', 'extension.set', 'public.things l', 'x', '{"keep_until": "infinity"}')`,
    );
    await tamper(`update retention.period_override set set_by = 'bob'`);
    expect(await named()).toEqual([
      'without an entry: the extension of public.things l, set by entry 6, is gone',
      'without an entry: the override things o1 is not what entry 2 says',
    ]);
  });

  it('a hold, a pause or a stop taken back is named against the entry that says otherwise', async () => {
    await operator('bob', { action: 'hold.release', id: hold });
    await operator('alice', { action: 'policy.pause', policy: 'things' });
    await operator('alice', { action: 'all.stop' });
    await tamper(`update retention.hold set released_by = null, released_at = null, release_reason = null;
      update retention.policy_state set paused = false, paused_by = null, paused_reason = null, paused_at = null;
      update retention.kill_switch set stopped = false, stopped_by = null, reason = null, stopped_at = null`);
    expect(await named()).toEqual([
      `without an entry: hold ${hold} is in force; entry 5 released it`,
      'without an entry: everything is not stopped; entry 7 says otherwise',
      'without an entry: policy "things" is not paused; entry 6 says otherwise',
    ]);
  });
});

describe('without time for all of it', () => {
  it('verification does not call the audit whole, wherever it stops', async () => {
    const stopsAt = async (look: number) => {
      let looks = 0;
      return verify(e.services.database, { inTime: () => ++looks < look });
    };
    for (const look of [1, 2, 5]) {
      expect(await stopsAt(look), String(look)).toMatchObject({ ok: false, complete: false, problems: [] });
    }
    expect(await stopsAt(1_000)).toMatchObject({ ok: true, complete: true });
  });

  it('the nightly look does not end the incident of a chain that was broken', async () => {
    const nightly = (seconds: number) =>
      sealAudit(e.services, {
        ...{ correlationId: 'c', dryRun: false, trigger: 'cron' },
        deadline: new Date(NOW.getTime() + seconds * 1000),
      });
    await tamper(`${asForm2} where seq = 1`);
    expect((await nightly(60)).outcome).toBe('errored');
    await tamper(`${backToForm3} where seq = 1`);
    const open = async () =>
      Number(
        (await e.db.sql('select count(*) as n from retention.incident where recovered_at is null'))[0]?.n,
      );
    expect(await nightly(1)).toMatchObject({ outcome: 'interrupted', reason: 'time' });
    expect(await open()).toBe(1);
    expect((await nightly(60)).outcome).toBe('succeeded');
    expect(await open()).toBe(0);
  });
});

describe('the means to delete unseen are named:', () => {
  // Tables and rights are changed here: each test has a database of its own.
  let shared: Guarded;
  beforeEach(async () => {
    shared = e;
    await history();
  });
  afterEach(async () => {
    await e.stop();
    e = shared;
  });

  it('each trigger that guards something, when it is gone', async () => {
    // These count, note and pass on what happened; they keep nobody from anything.
    const notes = ['touch', 'letters', 'artifact_event', 'totals_ended', 'totals_written', 'free_files'];
    const triggers = await e.db.sql<{ relation: string; name: string }>(
      `select c.relname as relation, t.tgname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid
       where c.relnamespace = 'retention'::regnamespace and not t.tgisinternal and t.tgname <> all($1::text[])`,
      [notes.map((n) => `lapse_${n}`)],
    );
    expect(triggers.length).toBeGreaterThan(15);
    for (const { relation, name } of triggers)
      await e.db.sql(`drop trigger ${name} on retention.${relation}`);
    const gone = triggers.map(
      (t) => `unguarded: the trigger retention.${t.relation}.${t.name} is switched off or gone`,
    );
    expect((await named()).sort()).toEqual(gone.sort());
  });

  it.each(['lapse_app', 'lapse_operator', 'lapse_reader'])(
    'a table that a login with the rights of %s may delete from',
    async (role) => {
      const clerk = `${e.db.name}_clerk`;
      await e.db.sql(
        `create table loose (id int); create role ${clerk} in role ${role}; grant delete on loose to ${clerk}`,
      );
      try {
        expect(await named()).toEqual([
          `unguarded: rows of public.loose can be deleted without a receipt by ${clerk}: as its owner, select retention.protect('public.loose'), or revoke the right`,
        ]);
      } finally {
        await e.db.sql(`drop table loose; drop role ${clerk}`);
      }
    },
  );

  it.each([
    [
      'a table without the guard',
      'create table loose (id int); grant delete on loose to lapse_app',
      'rows of public.loose can be deleted without a receipt by',
    ],
    [
      'a partitioned table without the guard',
      'create table loose (id int) partition by list (id); grant delete on loose to lapse_app',
      'rows of public.loose can be deleted without a receipt by',
    ],
    [
      'a guard that is off',
      'alter table things disable trigger lapse_guard',
      'rows of public.things can be deleted without a receipt',
    ],
    [
      'a guard that is another',
      `drop trigger lapse_guard on things; create trigger lapse_guard after delete on things for each statement execute function retention.gate()`,
      'rows of public.things can be deleted without a receipt',
    ],
    [
      'the right to empty a table',
      'grant truncate on things to lapse_app',
      'public.things can be emptied without a receipt by',
    ],
    [
      'a trigger that is off',
      'alter table retention.receipt disable trigger lapse_hash',
      'the trigger retention.receipt.lapse_hash is switched off or gone',
    ],
    [
      'a trigger that is gone',
      'drop trigger lapse_gate on retention.hold',
      'the trigger retention.hold.lapse_gate is switched off or gone',
    ],
    [
      'a right that was given',
      'grant update (released_at) on retention.hold to lapse_app',
      'may update retention.hold without an entry: revoke it',
    ],
    [
      'a right to add that was given',
      'grant insert on retention.approval to lapse_app',
      'may insert retention.approval without an entry: revoke it',
    ],
    [
      'a right to remove that was given',
      'grant delete on retention.hold to lapse_app',
      'may delete retention.hold without an entry: revoke it',
    ],
  ])('%s', async (_, sql, told) => {
    await e.db.sql(sql);
    expect((await named()).join('\n')).toContain(told);
  });
});
