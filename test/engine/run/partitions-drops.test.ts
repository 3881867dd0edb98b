/** Dropping whole partitions: what goes, with which receipt, and what others who work there meanwhile see. */
import { afterEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { verify } from '@/lib/operators/audit/verify';
import type { Policy, PolicyInput } from '@/lib/policies/contract';
import { type Engine, engine, left, NOW, runRequest } from '../../support/engine';
import { type Guarded, guarded } from '../../support/guarded';
import {
  aroundDrop,
  BOUNDARY,
  DROPPED,
  EXPIRED,
  exists,
  partitioned,
  partitionOf,
  partitionReceipts,
  receiptedRows,
  visits,
  visitsPolicy,
} from '../../support/partitioned';

let e: Engine;
afterEach(() => e?.stop());

const receipts = () => partitionReceipts(e.db);
async function begin(changes: Partial<PolicyInput> = {}, files?: string): Promise<Policy> {
  e = await engine();
  return partitioned(e.db, changes, files ? { files } : {});
}

const ORG = '11111111-1111-4111-8111-111111111111';

describe('a partition that lies wholly before the cutoff', () => {
  it('is dropped with a receipt that names it, its bounds and the exact count; of the next one rows go', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 40);
    await visits(e.db, BOUNDARY, 7);
    await e.db.sql("insert into visits (at) values ('2026-01-30T02:00Z'), ('2026-02-20T00:00Z')");
    expect(await e.run(policy)).toMatchObject({
      outcome: 'succeeded',
      deleted: 47,
      path: 'partition',
      byRule: { all: { deleted: 47 } },
    });
    expect(await exists(e.db, EXPIRED)).toBe(false);
    expect(await left(e.db, 'visits')).toBe(2);
    expect(await receipts()).toEqual([
      { ...DROPPED, deleted: 40 },
      { action: 'delete', deleted: 7, named: 7, name: null },
    ]);
    const [{ bounds }] = (await e.db.sql(
      "select partition - 'name' as bounds from retention.receipt where partition is not null",
    )) as [{ bounds: unknown }];
    expect(bounds).toEqual({ from: '2025-12-01 00:00:00+00', to: '2026-01-01 00:00:00+00' });
  });

  it('is dropped also where its clock is of a domain made of another', async () => {
    e = await engine();
    await e.db.sql('create domain moment as timestamptz; create domain instant as moment');
    const policy = await partitioned(e.db, {}, { at: 'instant' });
    await visits(e.db, EXPIRED, 40);
    await visits(e.db, BOUNDARY, 7);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 47, path: 'partition' });
    expect(await exists(e.db, EXPIRED)).toBe(false);
    expect(await receipts()).toMatchObject([
      { ...DROPPED, deleted: 40 },
      { action: 'delete', deleted: 7, named: 7 },
    ]);
  });

  it('goes also when it is empty, as soon as anything has expired', async () => {
    const policy = await begin();
    await visits(e.db, BOUNDARY, 1);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await exists(e.db, EXPIRED)).toBe(false);
    expect(await receipts()).toMatchObject([
      { ...DROPPED, deleted: 0 },
      { action: 'delete', deleted: 1 },
    ]);
  });

  it('is in the audit chain: its receipt cannot be changed, its bounds neither, unseen', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 3);
    await e.run(policy);
    expect(await verify(e.services.database)).toMatchObject({ ok: true, receipts: 1 });
    await e.db.sql(
      `update retention.receipt set partition = partition || '{"to": "2026-02-01 00:00:00+00"}' where partition is not null`,
    );
    expect((await verify(e.services.database)).problems).toMatchObject([
      { kind: 'receipts changed', message: expect.stringContaining('its hash does not fit') },
      { kind: 'receipts changed', message: expect.stringContaining('that entry 1 sealed') },
    ]);
  });

  it('answers for the rows that lay in it', async () => {
    const policy = await begin();
    const [key] = await visits(e.db, EXPIRED, 1);
    const run = await e.run(policy);
    const answer = await explainRow({ ...e.services, policies: [policy] }, 'public.visits', key!);
    expect(answer.deletions).toMatchObject([{ run: run.runId, action: 'drop_partition' }]);
    expect(answer.summary).toContain('went with partition public.visits_2025_12');
  });

  it('is foretold by the dry run with its exact rows, and nothing is written', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 40);
    await visits(e.db, BOUNDARY, 7);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry).toMatchObject({ path: 'partition', deleted: 0, preview: { expired: 47 } });
    expect(dry.preview?.partitions).toEqual([
      {
        name: 'public.visits_2025_12',
        from: '2025-12-01 00:00:00+00',
        to: '2026-01-01 00:00:00+00',
        rows: 40,
      },
    ]);
    expect(await left(e.db, 'visits')).toBe(47);
    expect(await e.run(policy)).toMatchObject({ deleted: 47 });
  });

  it.each([
    ['timestamp', "'2025-12-31 23:00'", "'2026-01-01 00:00'"],
    ['date', "'2025-12-31'", "'2026-01-01'"],
  ] as const)('counts by the zone of a clock of type %s', async (type, old, recent) => {
    e = await engine();
    await e.db.sql(`create table visits (id uuid not null default gen_random_uuid(), at ${type} not null, org uuid, person uuid, primary key (at, id))
      partition by range (at)`);
    await e.db.sql(
      `create table visits_2025_12 partition of visits for values from ('2025-12-01') to ('2026-01-01')`,
    );
    await e.db.sql(
      `create table visits_2026_01 partition of visits for values from ('2026-01-01') to ('2026-02-01')`,
    );
    await e.db.sql('grant select, update, delete on visits, visits_2025_12, visits_2026_01 to lapse_app');
    await e.db.sql(`select retention.protect('public.visits')`);
    await e.db.sql(
      `insert into retention.partition_grant (table_name, policy, zone, least_age, key_columns, organization_column, user_column)
       values ('public.visits', 'visits', 'Europe/Berlin', '30 days', '{id,at}', 'org', 'person')`,
    );
    await e.db.sql(`insert into visits (at) values (${old}), (${recent})`);
    const policy = visitsPolicy({
      key: [
        { column: 'id', type: 'uuid' },
        { column: 'at', type: type === 'date' ? 'date' : 'timestamp without time zone' },
      ],
      clock: { column: 'at', type, zone: 'Europe/Berlin' },
    });
    // New Year in Berlin is 23:00 UTC: a minute before, December has not ended there 30 days ago. Of a date no
    // hour counts, so its row is still there for the second run.
    const at = (iso: string) =>
      runPolicy({ ...e.services, clock: () => new Date(iso) }, policy, runRequest(new Date(iso)));
    expect(await at('2026-01-30T22:59:00Z')).toMatchObject({ outcome: 'succeeded' });
    expect(await exists(e.db, EXPIRED)).toBe(true);
    await e.db.sql(`insert into visits (at) values (${old})`);
    expect(await at('2026-01-30T23:00:00Z')).toMatchObject({ deleted: type === 'date' ? 2 : 1 });
    expect(await exists(e.db, EXPIRED)).toBe(false);
    expect(await left(e.db, 'visits')).toBe(1);
  });
});

describe('while it is being dropped', () => {
  it('a row that is being written into it is waited for, and counted', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const writer = await e.db.session();
    await writer.sql('begin');
    await writer.sql("insert into visits (at) values ('2025-12-24T18:00Z')");
    const run = aroundDrop(e, async (send) => {
      // The first attempt finds the writer; before the second it commits.
      const first = await send().catch((error: unknown) => error);
      expect(first).toMatchObject({ failure: 'busy' });
      await writer.sql('commit');
      throw first;
    });
    expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 6, path: 'partition' });
    expect(await receipts()).toMatchObject([{ ...DROPPED, deleted: 6 }]);
  });

  it('a row that comes too late is refused by the database or kept, never lost', async () => {
    const policy = await begin();
    await e.db.sql('create table visits_default partition of visits default');
    await e.db.sql('grant select, update, delete on visits_default to lapse_app');
    await visits(e.db, EXPIRED, 200);
    let written = 200;
    let running = true;
    const writers = Array.from({ length: 3 }, async () => {
      const writer = await e.db.session();
      while (running) {
        const done = await writer
          .sql("insert into visits (at) values ('2025-12-24T18:00Z') returning 1")
          .catch((error) => {
            // A deadlock would be the application's loss.
            expect(error.code).not.toBe('40P01');
            return [];
          });
        written += done.length;
      }
    });
    const run = await e.run(policy);
    running = false;
    await Promise.all(writers);
    expect(run.outcome).toMatch(/succeeded|interrupted/);
    expect((await receiptedRows(e.db)) + (await left(e.db, 'visits'))).toBe(written);
  });

  it('a long reader of the table makes the run walk, and waits for nobody', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const reader = await e.db.session();
    await reader.sql('begin');
    await reader.sql('select count(*) from visits');
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5 });
    expect(await exists(e.db, EXPIRED)).toBe(true);
    // The drop that came to nothing leaves no gap in the numbers.
    expect(await e.db.sql('select seq from retention.receipt')).toEqual([{ seq: 1 }]);
    await reader.sql('commit');
    await visits(e.db, BOUNDARY, 1);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await exists(e.db, EXPIRED)).toBe(false);
  });

  it('a hold placed meanwhile either keeps its rows or came after they had gone', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 300, ORG);
    const place = e.db
      .sql(
        `insert into retention.hold (scope, subject, reason, placed_by) values ('organization', $1, 'matter', 'alice')`,
        [ORG],
      )
      .then(() => left(e.db, 'visits'));
    const [run, atReturn] = await Promise.all([e.run(policy), place]);
    expect([0, 300]).toContain(atReturn);
    expect(await left(e.db, 'visits')).toBe(atReturn);
    expect(run.deleted).toBe(300 - atReturn);
  });

  it('the run that lost its fence drops nothing', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const run = aroundDrop(e, async (send) => {
      await e.db.sql(
        "update retention.policy_state set fence = fence + 1, run_now = null where policy = 'visits'",
      );
      return send();
    });
    expect(await run(policy)).toMatchObject({ outcome: 'interrupted', reason: 'fenced', deleted: 0 });
    expect(await left(e.db, 'visits')).toBe(5);
  });

  it('a pause stops it', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const run = aroundDrop(e, async (send) => {
      await e.db.sql(
        "update retention.kill_switch set stopped = true, stopped_by = 'alice', reason = 'test', stopped_at = now()",
      );
      return send();
    });
    expect(await run(policy)).toMatchObject({ outcome: 'interrupted', reason: 'paused', deleted: 0 });
    expect(await exists(e.db, EXPIRED)).toBe(true);
  });
});

describe('the guard rails', () => {
  it('stop a drop of more rows than a run should delete, until it is approved; the approval is exact', async () => {
    const g: Guarded = await guarded();
    e = g;
    const policy = await partitioned(g.db, { rollout: false, guard: { rows: 20 } });
    await visits(g.db, EXPIRED, 30);
    await visits(g.db, '2026-02', 300);
    await g.analyze('visits');
    expect(await g.at(NOW, policy)).toMatchObject({ outcome: 'skipped', reason: 'guarded' });
    expect(await exists(g.db, EXPIRED)).toBe(true);
    const preview = await g.at(NOW, policy, { dryRun: true });
    await g.approve(preview);
    expect(await g.at(NOW, policy)).toMatchObject({
      deleted: 30,
      path: 'partition',
      bounded: { by: 'approval' },
    });
    expect(await exists(g.db, EXPIRED)).toBe(false);
  });

  it('let a new version walk ten rows first', async () => {
    const g: Guarded = await guarded({ LAPSE_PROGRESSIVE_ROLLOUT: 'on', LAPSE_MASS_DELETION_GUARD: 'off' });
    e = g;
    const policy = await partitioned(g.db);
    await visits(g.db, EXPIRED, 30);
    expect(await g.at(NOW, policy)).toMatchObject({ reason: 'rollout', deleted: 10 });
    expect(await exists(g.db, EXPIRED)).toBe(true);
    expect(await g.at(NOW, policy)).toMatchObject({ deleted: 20, path: 'partition' });
  });

  it('know the size of the table from its partitions', async () => {
    const g: Guarded = await guarded();
    e = g;
    const policy = await partitioned(g.db, { rollout: false });
    await visits(g.db, EXPIRED, 200);
    await visits(g.db, '2026-02', 1_000);
    expect((await g.at(NOW, policy)).message).toContain('never analyzed');
    for (const month of [EXPIRED, '2026-02']) await g.analyze(partitionOf(month));
    expect(await g.at(NOW, policy)).toMatchObject({ outcome: 'succeeded', deleted: 200, path: 'partition' });
  });
});
