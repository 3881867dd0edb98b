/** P10: Lapse's own records go after their periods, and what must stay to answer for a deletion stays. */
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verify } from '@/lib/operators/audit/verify';
import { OWN_RECORDS } from '@/lib/operators/records/periods';
import { type RecordsResult, trimOwnRecords } from '@/lib/operators/records/trim';
import { DAY, databaseClock, type Engine, engine, govern, NOW, things } from '../../support/engine';

const { privateKey } = generateKeyPairSync('ed25519');
const KEY = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
const later = (days: number) => new Date(NOW.getTime() + days * DAY * 1000);

let e: Engine;
const begin = async (env: Record<string, string> = {}) => {
  e = await engine({ env });
};
beforeEach(() => begin({ LAPSE_AUDIT_SIGNING_KEY: KEY }));
afterEach(() => e.stop());

/** The job, so many days after NOW by both clocks. */
async function trimAt(days: number, dryRun = false): Promise<RecordsResult> {
  await databaseClock(e.db, later(days));
  return trimOwnRecords(
    { ...e.services, clock: () => later(days) },
    { correlationId: 'test', deadline: later(days + 1), dryRun, trigger: 'cron' },
  );
}
const count = async (from: string) =>
  Number((await e.db.sql(`select count(*)::int as n from ${from}`))[0]?.n);

/** A settled entry of the outbox `days` old at NOW. */
const entry = (state: string, days: number) =>
  e.db.sql(
    `insert into retention.outbox (policy, table_name, row_key, url, state, created_at, updated_at)
     values ('p', 'public.things', 'k', 'artifacts/anna.pdf', $1, $2::timestamptz - make_interval(days => $3), $2::timestamptz - make_interval(days => $3))`,
    [state, NOW.toISOString(), days],
  );

describe('names of files', () => {
  it('are blanked a month after the file went or was kept, and not a day before', async () => {
    await entry('deleted', 31);
    await entry('kept', 31);
    await entry('deleted', 29);
    for (const state of ['pending', 'deleting', 'dead']) await entry(state, 100);
    expect((await trimAt(0)).trimmed).toEqual({ file_names: 2 });
    const rows =
      await e.db.sql(`select state, url ~ '^sha256:[0-9a-f]{64}$' as blank, path like '%anna%' as named
      from retention.outbox order by id`);
    expect(rows.map((r) => [r.state, r.blank, r.named])).toEqual([
      ['deleted', true, false],
      ['kept', true, false],
      ['deleted', false, true],
      ['pending', false, true],
      ['deleting', false, true],
      ['dead', false, true],
    ]);
    expect((await trimAt(0)).trimmed).toEqual({});
  });
});

describe('a dry run', () => {
  it('changes nothing', async () => {
    await entry('deleted', 31);
    expect(await trimAt(0, true)).toMatchObject({ outcome: 'succeeded', trimmed: {} });
    expect(await count(`retention.outbox where url like '%anna%'`)).toBe(1);
  });
});

describe('records go after their period', () => {
  it('settled entries, resolved letters, incidents with their alerts; not what is open or decided', async () => {
    await entry('deleted', 0);
    await entry('dead', 0);
    for (const state of ['open', 'resolved', 'discarded']) {
      await e.db.sql(
        `insert into retention.dead_letter (policy, table_name, row_key, sql_state, state, next_attempt_at, updated_at)
         values ('p', 'public.things', gen_random_uuid()::text, '23503', $1, now(), $2::timestamptz)`,
        [state, NOW.toISOString()],
      );
    }
    for (const over of [NOW.toISOString(), null]) {
      await e.db.sql(
        `with i as (insert into retention.incident (cause, severity, message, opened_at, last_seen_at, recovered_at)
           values ('x', 'warning', 'm', $1::timestamptz, $1::timestamptz, $2::timestamptz) returning id)
         insert into retention.alert (incident, channel, moment, next_attempt_at) select id, 'email', 'warning', now() from i`,
        [NOW.toISOString(), over],
      );
    }
    expect(Object.keys((await trimAt(399)).trimmed)).toEqual(['file_names']);
    expect((await trimAt(401)).trimmed).toEqual({ outbox: 1, letters: 1, alerts: 1, incidents: 1 });
    expect(await e.db.sql('select state from retention.outbox')).toEqual([{ state: 'dead' }]);
    expect(await e.db.sql('select state from retention.dead_letter order by state')).toEqual([
      { state: 'discarded' },
      { state: 'open' },
    ]);
    expect([await count('retention.incident'), await count('retention.alert')]).toEqual([1, 1]);
  });

  it('dry runs and runs that deleted nothing; not those with receipts, and not the last one', async () => {
    const policy = await govern(e.db);
    await e.run(policy, { dryRun: true });
    await things(e.db, [40 * DAY]);
    await e.run(policy);
    await e.run(policy);
    await e.run(policy);
    expect(await count('retention.run')).toBe(4);
    expect((await trimAt(91)).trimmed).toEqual({ dry_runs: 1 });
    expect((await trimAt(401)).trimmed).toEqual({ idle_runs: 1 });
    expect(await count('retention.run where deleted > 0')).toBe(1);
  });

  it('more of them than one statement takes', async () => {
    await e.db.sql(
      `insert into retention.outbox (policy, table_name, row_key, url, state, updated_at)
       select 'p', 't', n::text, 'a/' || n, 'deleted', $1::timestamptz from generate_series(1, 5001) n`,
      [NOW.toISOString()],
    );
    expect((await trimAt(31)).trimmed).toEqual({ file_names: 5001 });
  });
});

describe('the database', () => {
  it.each(OWN_RECORDS.map((r) => r.kind))(
    'knows %s, and keeps what is young whatever it is asked',
    async (kind) => {
      await entry('deleted', 1);
      await databaseClock(e.db, NOW);
      const rows = await e.services.database.transaction(
        [{ text: 'select retention.trim_records($1, 0, 10)::text as n', params: [kind] }],
        { timeoutMs: 5_000 },
      );
      expect(rows[0]).toEqual([{ n: '0' }]);
    },
  );

  it('refuses a kind it does not know', async () => {
    const asked = e.services.database.transaction(
      [{ text: `select retention.trim_records('receipts', 0, 10)`, params: [] }],
      { timeoutMs: 5_000 },
    );
    await expect(asked).rejects.toThrow(/22023/);
  });
});

describe('the evidence', () => {
  const SEVEN_YEARS = 2_558;

  async function runs(n: number) {
    const policy = await govern(e.db);
    for (let i = 0; i < n; i += 1) {
      await things(e.db, [40 * DAY]);
      await e.run(policy);
    }
    await e.db.sql('alter table retention.audit_entry disable trigger user');
    return policy;
  }
  /** As if the first `n` entries had been written at NOW; made whole again. */
  async function age(n: number) {
    await e.db.sql(`do $$ declare r record; p text := repeat('0', 64); begin
      for r in select * from retention.audit_entry order by n loop
        update retention.audit_entry a set prev = p, at = case when r.n <= ${n} then '${NOW.toISOString()}' else '${later(3000).toISOString()}' end::timestamptz where a.n = r.n;
        update retention.audit_entry a set hash = retention.audit_hash(a) where a.n = r.n;
        select hash into p from retention.audit_entry a where a.n = r.n;
      end loop; end $$`);
    await e.db.sql('alter table retention.audit_entry enable trigger user');
  }

  it('goes after seven years behind a signed head, and the rest is still whole', async () => {
    await runs(5);
    await age(3);
    expect((await trimAt(SEVEN_YEARS - 2)).trimmed.receipts).toBeUndefined();
    expect((await trimAt(SEVEN_YEARS)).trimmed).toMatchObject({ receipts: 3 });
    expect(await count('retention.receipt')).toBe(2);
    expect(await verify(e.services.database)).toMatchObject({
      ok: true,
      complete: true,
      entries: 6,
      runs: 5,
      receipts: 2,
    });
    expect((await trimAt(SEVEN_YEARS)).trimmed.receipts).toBeUndefined();
    expect((await trimAt(3_000 + SEVEN_YEARS)).trimmed).toMatchObject({ receipts: 2 });
    expect(await verify(e.services.database)).toMatchObject({ ok: true, runs: 5, receipts: 0 });
    expect(await e.db.sql(`select distinct evidence_until from retention.run order by 1`)).toEqual([
      { evidence_until: later(SEVEN_YEARS) },
      { evidence_until: later(3_000 + SEVEN_YEARS) },
    ]);
  });

  it('stays forever without a signing key', async () => {
    await e.stop();
    await begin();
    await runs(2);
    await age(2);
    expect((await trimAt(SEVEN_YEARS)).trimmed.receipts).toBeUndefined();
    expect(await count('retention.receipt')).toBe(2);
  });

  it('that was signed and changed afterwards is found out', async () => {
    await runs(3);
    await age(1);
    await trimAt(SEVEN_YEARS);
    await e.db.sql(`update retention.evidence_anchor set head = replace(head, 'exportedAt', 'exported')`);
    expect((await verify(e.services.database)).problems).toMatchObject([{ n: 1, kind: 'edited' }]);
  });

  it('of a chain that was written anew as a whole does not fit its signed head', async () => {
    await runs(3);
    await age(1);
    await trimAt(SEVEN_YEARS);
    await e.db.sql('alter table retention.audit_entry disable trigger user');
    await e.db.sql(`update retention.audit_entry set reason = 'another' where n = 1`);
    await age(1);
    expect((await verify(e.services.database)).problems).toMatchObject([
      { n: 1, kind: 'edited', message: expect.stringContaining('signed head of entry 1') },
    ]);
  });

  it('of a run that lost it is asked of none, and what is put in its place is found out', async () => {
    await runs(2);
    await age(1);
    await trimAt(SEVEN_YEARS);
    await e.db.sql(
      `begin; set local session_replication_role = replica;
       insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, uuid_keys, locked, deleted, picked)
       select subject::uuid, 1, 'things', 'v', 'delete', 'cron', 'retention', now(), 'public.things', array[gen_random_uuid()], 1, 1, 1
       from retention.audit_entry where n = 1; commit`,
    );
    expect((await verify(e.services.database)).problems).toContainEqual(
      expect.objectContaining({ n: 1, kind: 'receipts changed' }),
    );
  });

  it('that somebody takes away beside it is missed', async () => {
    await runs(3);
    await age(1);
    await trimAt(SEVEN_YEARS);
    await e.db.sql(
      `delete from retention.receipt where run = (select subject::uuid from retention.audit_entry where n = 2)`,
    );
    expect((await verify(e.services.database)).problems).toContainEqual(
      expect.objectContaining({ n: 2, kind: 'receipts changed' }),
    );
  });

  it('cannot be taken away by the app while it is young, under another head, or without one', async () => {
    await runs(2);
    await age(2);
    const [row] = await e.db.sql('select hash from retention.audit_entry where n = 1');
    const head = JSON.stringify({ n: 1, hash: row!.hash });
    const ask = (...params: (string | number)[]) =>
      e.services.database.transaction(
        [{ text: 'select retention.trim_receipts($1::int, $2::bigint, $3, $4, $5, $6)', params }],
        { timeoutMs: 5_000 },
      );
    await databaseClock(e.db, later(1_000));
    await expect(ask(0, 1, String(row!.hash), head, 's', 'k')).rejects.toThrow(/not old enough/);
    await databaseClock(e.db, later(1_200));
    await expect(ask(0, 1, 'another', head, 's', 'k')).rejects.toThrow(/not entry 1/);
    await expect(ask(0, 1, String(row!.hash), '{}', 's', 'k')).rejects.toThrow(/not entry 1/);
    await expect(ask(0, 1, 'another', JSON.stringify({ n: 1, hash: 'another' }), 's', 'k')).rejects.toThrow(
      /not entry 1/,
    );
    await expect(
      ask(0, 1, String(row!.hash), JSON.stringify({ n: 2, hash: row!.hash }), 's', 'k'),
    ).rejects.toThrow(/not entry 1/);
    await expect(ask(0, 1, String(row!.hash), head, '', 'k')).rejects.toThrow(/without a signature/);
    await expect(ask(0, 1, String(row!.hash), head, 's', '')).rejects.toThrow(/without a signature/);
    const [given] = await e.db.sql(
      `select n, hash from retention.record('alice', 'all.stopped', 'all', 'x', '{}')`,
    );
    const [n, hash] = [Number(given!.n), String(given!.hash)];
    await databaseClock(e.db, later(9_000));
    await expect(ask(0, n, hash, JSON.stringify({ n, hash }), 's', 'k')).rejects.toThrow(/not entry/);
    expect(await count('retention.receipt')).toBe(2);
  });

  it('is offered for signing after three years at the earliest, whatever shorter period is asked for', async () => {
    await runs(1);
    await age(1);
    const offered = async (days: number) => {
      await databaseClock(e.db, later(days));
      return e.db.sql('select n from retention.trimmable_head(0, 50) where n is not null');
    };
    expect(await offered(1_099)).toEqual([]);
    expect(await offered(1_101)).toHaveLength(1);
  });
});

describe('a job without time left', () => {
  it('changes nothing more and says that the rest is next', async () => {
    await entry('deleted', 31);
    await databaseClock(e.db, NOW);
    const order = { correlationId: 'test', dryRun: false, trigger: 'cron' } as const;
    const deadline = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
    expect(await trimOwnRecords(e.services, { ...order, deadline: deadline(20) })).toMatchObject({
      outcome: 'interrupted',
      reason: 'time',
      trimmed: {},
    });
    expect(await trimOwnRecords(e.services, { ...order, deadline: deadline(21) })).toMatchObject({
      outcome: 'succeeded',
      trimmed: { file_names: 1 },
    });
  });
});
