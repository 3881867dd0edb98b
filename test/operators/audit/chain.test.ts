import { generateKeyPairSync } from 'node:crypto';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { exportHead, readHead } from '@/lib/operators/audit/head';
import { sealAudit } from '@/lib/operators/audit/seal';
import { verify } from '@/lib/operators/audit/verify';
import type { Policy } from '@/lib/policies/contract';
import { DAY, govern, NOW, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';
import { act, OPERATORS } from '@/test/support/operators';
import { snapshot } from '@/test/support/snapshot';

let e: Guarded;
let policy: Policy;
async function begin(): Promise<void> {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
}
/** Each test of the group begins with an empty database of its own. */
const anew = () => {
  beforeEach(begin);
  afterEach(() => e.stop());
};
/** Each test of the group begins with the same history, and may edit it. */
const withHistory = () => {
  let restore: () => Promise<void>;
  beforeAll(async () => {
    await begin();
    await history();
    restore = await snapshot(e.db);
  });
  afterEach(() => restore());
  afterAll(() => e.stop());
};

/** Two runs with receipts and three operators' actions: five entries. */
async function history(): Promise<void> {
  await things(
    e.db,
    [40, 41, 42].map((d) => d * DAY),
  );
  await e.run(policy, { batchSize: 1 });
  await act(e.services, 'alice', {
    action: 'hold.place',
    scope: 'user',
    subject: '00000000-0000-4000-8000-000000000001',
    force: true,
    reason: 'case 1',
  });
  await act(e.services, 'alice', { action: 'policy.pause', policy: 'things', reason: 'look' });
  await act(e.services, 'bob', { action: 'policy.resume', policy: 'things', reason: 'fine' });
  await things(e.db, [50 * DAY]);
  await e.run(policy);
}
/** As somebody with the owner's rights would do it. */
const tamper = async (sql: string) => {
  await e.db.sql(`begin; set local session_replication_role = replica; ${sql}; commit`);
};
const verified = (known?: { n: number; hash: string }) => verify(e.services.database, known ? { known } : {});
const seal = () =>
  sealAudit(e.services, {
    correlationId: 'c',
    deadline: new Date(NOW.getTime() + 60_000),
    dryRun: false,
    trigger: 'cron',
  });

describe('the chain', () => {
  anew();

  it('is whole, with one entry a run and an action, dense from 1', async () => {
    await history();
    expect(await verified()).toMatchObject({
      ok: true,
      complete: true,
      entries: 5,
      runs: 2,
      receipts: 4,
      problems: [],
    });
    const rows = await e.db.sql('select n::int as n, action from retention.audit_entry order by n');
    expect(rows.map((r) => r.n)).toEqual([1, 2, 3, 4, 5]);
    expect(rows.map((r) => r.action)).toEqual([
      'run.sealed',
      'hold.placed',
      'policy.paused',
      'policy.resumed',
      'run.sealed',
    ]);
  });

  it('stays one chain when forty sessions write to it at once', async () => {
    const writers = Array.from({ length: 40 }, (_, i) =>
      e.services.deciding.transaction(
        [
          {
            text: "select from retention.note_breaker_closed('a', 'test', $1)",
            params: [`s${i}`],
          },
        ],
        { timeoutMs: 20_000 },
      ),
    );
    await Promise.all(writers);
    expect(await verified()).toMatchObject({ problems: [], ok: true, entries: 40 });
    expect(readHead((await exportHead(e.services))!).n).toBe(40);
  });

  it('hashes the same whatever the session is set to, with any text', async () => {
    await e.db.sql(`set timezone = 'Asia/Kolkata'; set datestyle = 'German';
      insert into retention.audit_entry (actor, action, subject, reason, detail)
      values ('ä', 'test.done', E'a:b,\\n"', '日本 😀', '{"b": 1.50, "a": [null, "\\u00e9"]}')`);
    expect(await verified()).toMatchObject({ ok: true, entries: 1 });
  });

  it('holds a run that was lost once the next one has closed it', async () => {
    await things(e.db, [40 * DAY, 41 * DAY]);
    await e.run(policy, { limit: 1 });
    await e.db.sql(`update retention.run set outcome = null, finished_at = null, sealed_at = null`);
    await tamper('delete from retention.audit_entry');
    await e.run(policy);
    expect(await verified()).toMatchObject({ ok: true, runs: 2, receipts: 2 });
  });

  it('takes a number that lanes left out for what it is, and a receipt taken out later for missing', async () => {
    await things(
      e.db,
      [40, 41, 42].map((d) => d * DAY),
    );
    const { runId } = await e.run(policy, { batchSize: 1 });
    // As two lanes leave it when the batch of one of them found nothing.
    await e.db.sql(
      'update retention.run set outcome = null, finished_at = null, sealed_at = null where id = $1::uuid',
      [runId],
    );
    await tamper('delete from retention.audit_entry; delete from retention.receipt where seq = 2');
    await things(e.db, [43 * DAY]);
    await e.run(policy);
    expect(await verified()).toMatchObject({ ok: true, runs: 2, receipts: 3 });
    await tamper(`delete from retention.receipt where seq = 1 and run = '${runId}'`);
    expect((await verified()).problems.map((p) => p.message)).toEqual([
      `receipt 1 of run ${runId} is missing`,
      expect.stringContaining('are not those'),
    ]);
  });

  it('has nothing of a run that deleted nothing', async () => {
    await e.run(policy);
    expect(await verified()).toMatchObject({ ok: true, entries: 0 });
    expect(await e.db.sql('select 1 from retention.run where sealed_at is null')).toEqual([]);
  });
});

describe('verification names', () => {
  withHistory();

  it('an edited entry', async () => {
    await tamper("update retention.audit_entry set actor = 'mallory' where n = 3");
    expect((await verified()).problems).toEqual([
      { n: 3, kind: 'edited', message: 'entry 3 is not what was written: its hash does not fit' },
    ]);
  });

  it('an edited entry whose hash was made to fit again', async () => {
    await tamper(`update retention.audit_entry set actor = 'mallory' where n = 3;
      update retention.audit_entry e set hash = retention.audit_hash(e) where n = 3`);
    const { ok, problems } = await verified();
    expect(ok).toBe(false);
    expect(problems).toMatchObject([{ n: 4, kind: 'edited' }]);
  });

  it('a removed entry', async () => {
    await tamper('delete from retention.audit_entry where n = 2');
    expect((await verified()).problems).toMatchObject([
      { n: 2, kind: 'removed', message: 'entry 2 is missing' },
      { kind: 'without an entry', message: expect.stringContaining('has no entry that says who placed it') },
    ]);
  });

  it('two entries in the other order', async () => {
    await tamper(`update retention.audit_entry set n = 99 where n = 3; update retention.audit_entry set n = 3 where n = 4;
      update retention.audit_entry set n = 4 where n = 99`);
    const { problems } = await verified();
    expect(problems[0]).toMatchObject({ n: 3, kind: 'moved' });
  });

  it('a cut-off tail, against a head kept elsewhere', async () => {
    const head = readHead((await exportHead(e.services))!);
    await tamper(
      'delete from retention.audit_entry where n = 4 or n = 5; update retention.run set policy = policy',
    );
    expect((await verified()).problems.map((p) => p.kind)).toEqual(['not sealed', 'without an entry']);
    const { problems } = await verified(head);
    expect(problems[0]).toMatchObject({ n: 5, kind: 'cut off' });
  });

  it('a chain that was written anew as a whole, against a head kept elsewhere', async () => {
    const head = readHead((await exportHead(e.services))!);
    await tamper(`do $$ declare r record; p text := repeat('0', 64); begin
      for r in select n from retention.audit_entry order by n loop
        update retention.audit_entry a set prev = p, reason = 'another' where a.n = r.n;
        update retention.audit_entry a set hash = retention.audit_hash(a) where a.n = r.n returning hash into p;
      end loop; end $$`);
    expect((await verified()).ok).toBe(true);
    expect((await verified(head)).problems).toMatchObject([
      { n: 5, kind: 'edited', message: 'entry 5 is not the head that was exported' },
    ]);
  });

  it('a receipt that was edited or removed', async () => {
    await tamper("update retention.receipt set actor = 'nobody' where seq = 2");
    expect((await verified()).problems).toMatchObject([
      {
        n: 1,
        kind: 'receipts changed',
        message: expect.stringMatching(/^receipt 2 of run .* is not what was/),
      },
      { n: 1, kind: 'receipts changed', message: expect.stringContaining('are not those') },
    ]);
    await tamper("update retention.receipt set actor = 'cron'; delete from retention.receipt where seq = 2");
    const { problems } = await verified();
    expect(problems.map((p) => p.kind)).toEqual(['receipts changed', 'receipts changed']);
    expect(problems[0]?.message).toMatch(/receipt 2 of run .* is missing/);
  });

  it('a key taken out of a receipt', async () => {
    await tamper("update retention.receipt set key_bytes = '' where seq = 3");
    expect((await verified()).problems.map((p) => p.kind)).toEqual(['receipts changed', 'receipts changed']);
  });
});

describe('the app cannot', () => {
  withHistory();

  it.each([
    ['edit an entry', "update retention.audit_entry set actor = 'x'"],
    ['remove an entry', 'delete from retention.audit_entry'],
    ['empty the chain', 'truncate retention.audit_entry'],
    [
      'choose a number',
      "insert into retention.audit_entry (n, actor, action, subject) values (7, 'a', 'b.c', 'd')",
    ],
    [
      'choose a hash',
      "insert into retention.audit_entry (hash, actor, action, subject) values ('x', 'a', 'b.c', 'd')",
    ],
    ['switch the trigger off', 'alter table retention.audit_entry disable trigger all'],
    ['edit a receipt', "update retention.receipt set actor = 'x'"],
    ['remove a receipt', 'delete from retention.receipt'],
    ['empty the receipts', 'truncate retention.receipt cascade'],
  ])('%s', async (_, text) => {
    const before = await verified();
    await expect(
      e.services.database.transaction([{ text, params: [] }], { timeoutMs: 10_000 }),
    ).rejects.toMatchObject({
      sqlState: '42501',
    });
    expect(await verified()).toEqual(before);
  });

  it('and the owner not by accident', async () => {
    await expect(e.db.sql('delete from retention.audit_entry')).rejects.toThrow(/append-only/);
    await expect(e.db.sql("update retention.audit_entry set actor = 'x'")).rejects.toThrow(/append-only/);
    await expect(e.db.sql('truncate retention.audit_entry')).rejects.toThrow(/append-only/);
  });
});

describe('the head', () => {
  anew();

  const key = generateKeyPairSync('ed25519');
  const pkcs8 = key.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');

  it('is signed, and a changed one is found out', async () => {
    await history();
    const settings = { ...e.services.settings, auditSigningKey: pkcs8 };
    const head = (await exportHead({ ...e.services, settings }))!;
    expect(readHead(head)).toMatchObject({ n: 5 });
    expect(await verified(readHead(head))).toMatchObject({ ok: true });
    const forged = { ...head, text: head.text.replace('"n":5', '"n":4') };
    expect(() => readHead(forged)).toThrow(/signature/);
    expect(() => readHead({ ...head, signature: null })).toThrow(/signature/);
    const other = generateKeyPairSync('ed25519')
      .publicKey.export({ format: 'der', type: 'spki' })
      .toString('base64');
    expect(() => readHead(head, other)).toThrow(/signature/);
  });

  it('is not signed without a key, and there is none of an empty chain', async () => {
    expect(await exportHead(e.services)).toBeNull();
    await history();
    expect(await exportHead(e.services)).toMatchObject({ signature: null, publicKey: null });
  });
});

describe('the nightly look', () => {
  anew();

  it('seals what was left, verifies, and says that the chain is whole', async () => {
    await history();
    await tamper('delete from retention.audit_entry where n = 5');
    await e.db.sql(`update retention.run set sealed_at = null where not exists (
      select 1 from retention.audit_entry a where a.subject = run.id::text)`);
    expect(await seal()).toMatchObject({
      outcome: 'succeeded',
      sealed: 1,
      verification: { ok: true, entries: 5 },
    });
  });

  it('raises an alert for dead letters that wait longer than three days', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
    const letter = (days: number) =>
      e.db.sql(
        `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at, created_at)
         values ('things', 'public.things', $1, '23503', now(), $2::timestamptz - make_interval(secs => $3))`,
        [String(days), NOW.toISOString(), days * DAY],
      );
    const order = {
      correlationId: 'c',
      deadline: new Date(NOW.getTime() + 60_000),
      dryRun: false,
      trigger: 'cron',
    } as const;
    await letter(2.9);
    expect((await sealAudit({ ...e.services, log }, order)).waiting[0]).toMatchObject({
      open: 1,
      sla: 'within_sla',
    });
    expect(lines).toEqual([]);
    await letter(3.1);
    expect((await sealAudit({ ...e.services, log }, order)).waiting[0]).toMatchObject({
      open: 2,
      sla: 'breached',
    });
    expect(lines.map((l) => JSON.parse(l).event)).toEqual(['letters.overdue', 'incident.opened']);
    await e.db.sql(`update retention.dead_letter set state = 'discarded'`);
    await sealAudit({ ...e.services, log }, order);
    expect(
      await e.db.sql('select cause, severity, recovered_at is not null as over from retention.incident'),
    ).toEqual([{ cause: 'letters.overdue:rows', severity: 'critical', over: true }]);
  });

  it('errs, loudly, when the chain is broken', async () => {
    await history();
    await tamper("update retention.audit_entry set reason = 'nothing' where n = 2");
    expect(await seal()).toMatchObject({
      outcome: 'errored',
      reason: 'audit_broken',
      verification: { problems: [{ n: 2 }] },
    });
  });
});
