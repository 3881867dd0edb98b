import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { answerRun } from '@/lib/http/answer';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { days, hours } from '@/lib/policies/contract';
import {
  ago,
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  runRequest,
  things,
  thingsPolicy,
} from '../../support/engine';

let e: Engine;
afterEach(() => e?.stop());

describe('dry run', () => {
  it('predicts exactly what the run then deletes, and touches nothing', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(
      e.db,
      Array.from({ length: 30 }, (_, i) => (25 + i) * DAY),
    );
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by)
       select 'item', id::text, 'public.things', 'm', 'a' from things order by at limit 2`,
    );
    const dry = await e.run(policy, { dryRun: true });
    expect(dry).toMatchObject({
      mode: 'dry_run',
      outcome: 'succeeded',
      deleted: 0,
      preview: {
        complete: true,
        expired: 22,
        byRule: { all: { expired: 22 } },
        kept: { held: 2 },
        estimatedRuns: 1,
      },
    });
    expect(dry.preview?.sampleKeys).toHaveLength(20);
    expect(dry.preview?.oldest).toBe(ago(52 * DAY).replace('000Z', '000000Z'));
    expect(await left(e.db)).toBe(30);
    expect(await e.db.sql('select 1 from retention.receipt')).toEqual([]);
    const real = await e.run(policy);
    expect(real.deleted).toBe(dry.preview?.expired);
  });

  it('reads only in READ ONLY transactions, which the database enforces', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    const seen: { readOnly: boolean; first: string; touches: boolean }[] = [];
    const database: Database = {
      transaction(statements, options) {
        seen.push({
          readOnly: options.readOnly === true,
          first: statements[0]!.text.trimStart().slice(0, 6),
          touches: statements.some((s) => s.text.includes('"things"')),
        });
        return e.services.database.transaction(statements, options);
      },
    };
    await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { dryRun: true }));
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.filter((s) => s.touches).every((s) => s.readOnly && s.first === 'select')).toBe(true);
    await expect(
      e.services.database.transaction(
        [
          { text: 'select 1', params: [] },
          { text: 'delete from things', params: [] },
        ],
        {
          readOnly: true,
          timeoutMs: 5_000,
        },
      ),
    ).rejects.toMatchObject({ sqlState: '25006' });
  });

  it('is what every run is outside production', async () => {
    e = await engine({ env: { VERCEL_ENV: 'preview' } });
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    expect(await e.run(policy)).toMatchObject({ mode: 'dry_run', deleted: 0, preview: { expired: 1 } });
    expect(await left(e.db)).toBe(1);
  });

  it('says when it ran out of time and that its counts are partial', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    const dry = await e.run(policy, { dryRun: true, deadline: NOW });
    expect(dry).toMatchObject({ outcome: 'interrupted', reason: 'time', preview: { complete: false } });
  });

  it('counts by rule', async () => {
    e = await engine();
    await govern(e.db);
    await e.db.sql('create index on things (note, at, id)');
    const policy = thingsPolicy({
      rules: [
        { label: 'failed', keepFor: days(7), match: { note: 'failed' } },
        { label: 'done', keepFor: hours(24), match: { note: 'done' } },
      ],
    });
    await things(e.db, [8 * DAY, 9 * DAY, 2 * DAY, 2 * DAY, 2 * DAY, DAY / 2]);
    await e.db.sql(
      `update things set note = case when at < $1 then 'failed' when note is null then 'done' end`,
      [ago(5 * DAY)],
    );
    await e.db.sql(`insert into things (at, note) values ($1, 'other')`, [ago(100 * DAY)]);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry.preview?.byRule).toMatchObject({ failed: { expired: 2 }, done: { expired: 3 } });
    const real = await e.run(policy);
    expect(real.byRule).toMatchObject({ failed: { deleted: 2 }, done: { deleted: 3 } });
    expect(await left(e.db)).toBe(2);
  });

  it('counts what would go along, by table and exactly, also over many pages', async () => {
    e = await engine();
    await govern(e.db);
    const policy = thingsPolicy({ dependants: [NOTES] });
    await notesOf(e, { rows: 6_000, each: 2 });
    const dry = await e.run(policy, { dryRun: true });
    expect(dry.preview).toMatchObject({ expired: 6_000, dependants: { 'public.notes': 12_000 } });
    expect(await e.run(policy)).toMatchObject({ deleted: 6_000, dependantsDeleted: 12_000 });
  });

  it('halves a page that takes too long, and counts the same', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(
      e.db,
      Array.from({ length: 300 }, (_, i) => 40 * DAY + i),
    );
    const whole = await e.run(policy, { dryRun: true });
    let tooLong = 8;
    const database: Database = {
      transaction: (statements, options) =>
        statements.some((s) => s.text.includes('judged as')) && tooLong-- > 0
          ? Promise.reject(new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout'))
          : e.services.database.transaction(statements, options),
    };
    const dry = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { dryRun: true }));
    expect(dry).toMatchObject({ outcome: 'succeeded', requests: { postgres: 2 + 8 + 4 } });
    expect(dry.preview).toEqual(whole.preview);
  });

  it('tells rows that the policy’s condition spares from rows that are not old enough, as the run does', async () => {
    e = await engine();
    await govern(e.db);
    const policy = thingsPolicy({ where: "t.note = 'done'" });
    await things(
      e.db,
      [40, 41, 42, 43].map((d) => d * DAY),
    );
    await e.db.sql("insert into things (at, note) values ('-infinity', 'done')");
    await e.db.sql(
      "update things set note = 'open' where at in (select at from things where isfinite(at) order by at limit 2)",
    );
    await e.db.sql(
      "update things set note = 'done' where id in (select id from things where note is null order by at limit 1)",
    );
    const kept = { condition: 3, not_expired: 1, busy: 0 };
    expect(await e.run(policy, { dryRun: true })).toMatchObject({ preview: { expired: 1, kept } });
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1, kept });
  });

  it('shows the oldest and newest as instants, whatever zone the clock was written in', async () => {
    e = await engine();
    await e.db.sql(`create table things (id uuid primary key default gen_random_uuid(), at date);
      create index on things (at, id); grant select, update, delete on things to lapse_app`);
    await e.db.sql("insert into things (at) values ('2025-07-01'), ('2025-12-01')");
    const clock = { column: 'at', type: 'date' as const, zone: 'Europe/Zurich' };
    const dry = await e.run(thingsPolicy({ clock, scope: {} }), { dryRun: true });
    expect(dry.preview).toMatchObject({
      oldest: '2025-06-30T22:00:00.000000Z',
      newest: '2025-11-30T23:00:00.000000Z',
    });
  });

  it('says in every line that it is one', async () => {
    const lines: { msg: string; mode?: string }[] = [];
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY, 41 * DAY]);
    const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    await runPolicy({ ...e.services, log }, policy, runRequest(NOW, { dryRun: true }));
    await e.db.sql('drop index things_at_id_idx');
    await runPolicy({ ...e.services, log }, policy, runRequest(NOW, { dryRun: true }));
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.filter((l) => !l.msg.startsWith('[DRY RUN] ') || l.mode !== 'dry_run')).toEqual([]);
    lines.length = 0;
    await e.db.sql('create index on things (at, id)');
    await runPolicy({ ...e.services, log }, policy, runRequest(NOW, { batchSize: 1 }));
    expect(lines.map((l) => l.msg).filter((m) => m.startsWith('Processed'))).toEqual([
      'Processed 1/2',
      'Processed 2/2',
      'Processed 2/2',
    ]);
    expect(lines.filter((l) => l.msg.includes('DRY RUN'))).toEqual([]);
  });
});

describe('a dry run of a policy that may not delete is not green, and names each obstacle with its remedy', () => {
  const wanted = { mode: 'dry_run', outcome: 'errored', reason: 'preflight' };

  it('and counts all the same', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('revoke delete on things from lapse_app');
    const dry = await e.run(policy, { dryRun: true });
    expect(dry).toMatchObject({ ...wanted, preview: { complete: true, expired: 1, approvable: null } });
    expect(dry.preview?.blockers).toHaveLength(1);
    expect(dry.preview?.blockers[0]?.remedy).toMatch(/grant .*delete.* on .*things.* to lapse_app/i);
    const { status } = answerRun(dry);
    expect(status).toBe(500);
    expect((await e.db.sql("select outcome, reason from retention.run where mode = 'dry_run'"))[0]).toEqual({
      outcome: 'errored',
      reason: 'preflight',
    });
  });

  it.each([
    ['a right to read is missing', 'revoke select on things from lapse_app', /grant .*select.* on .*things/i],
    ['the table is not there', 'drop table things', /things/],
    ['the clock is not there', 'alter table things rename at to since', /at/],
  ])('when %s, and does not answer with zeros as if they were counted', async (_, damage, remedy) => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql(damage);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry).toMatchObject({ ...wanted, preview: { complete: false, approvable: null } });
    const told = dry.preview?.blockers.map((b) => `${b.problem} ${b.remedy}`).join();
    expect(told).toMatch(remedy);
    expect(dry.message).not.toContain('PostgreSQL 42');
  });

  it('when the database fails in the middle', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    const database: Database = {
      transaction: (statements, options) =>
        statements.some((s) => s.text.includes('judged as'))
          ? Promise.reject(new DatabaseError('fatal', 'XX000', 'PostgreSQL XX000'))
          : e.services.database.transaction(statements, options),
    };
    const dry = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { dryRun: true }));
    expect(dry).toMatchObject({
      outcome: 'errored',
      reason: 'database.fatal',
      preview: { complete: false, approvable: null, blockers: [] },
    });
  });

  it('when its files’ store is not set', async () => {
    e = await engine();
    await govern(e.db);
    await e.db.sql('create index on things (note)');
    const policy = thingsPolicy({ files: [{ column: 'note', fate: 'delete', prefix: 'notes/' }] });
    const dry = await runPolicy(
      { ...e.services, blob: undefined },
      policy,
      runRequest(NOW, { dryRun: true }),
    );
    expect(dry).toMatchObject(wanted);
    expect(JSON.stringify(dry.preview?.blockers)).toContain('BLOB_READ_WRITE_TOKEN');
  });
});

const NOTES = {
  table: { name: 'notes' },
  key: [{ column: 'id', type: 'integer' }],
  references: ['thing'],
  fate: 'delete' as const,
};

async function notesOf(e: Engine, { rows, each }: { rows: number; each: number }): Promise<void> {
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(secs => i) from generate_series(1, $2::int) i`,
    [ago(40 * DAY), rows],
  );
  await e.db.sql(`create table notes (id serial primary key, thing uuid references things on delete cascade);
    create index on notes (thing); grant select, delete on notes to lapse_app;
    insert into notes (thing) select id from things, generate_series(1, ${each}); analyze things; analyze notes`);
}
