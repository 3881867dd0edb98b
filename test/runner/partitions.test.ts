/** Dropping whole partitions: what goes, what stays, and that no moment of a drop loses a row or a receipt. */
import { afterEach, describe, expect, it } from 'vitest';
import { lineage } from '@/lib/audit/lineage';
import { verify } from '@/lib/audit/verify';
import type { Database } from '@/lib/database';
import { DatabaseError } from '@/lib/errors';
import type { Policy, PolicyInput } from '@/lib/policies/contract';
import { runPolicy } from '@/lib/runner/run';
import { DAY, type Engine, engine, left, NOW, order } from '../support/engine';
import { type Guarded, guarded } from '../support/guarded';
import {
  addMonth,
  BOUNDARY,
  EXPIRED,
  exists,
  partitioned,
  partitionOf,
  visits,
  visitsPolicy,
} from '../support/partitioned';

let e: Engine;
afterEach(() => e?.stop());

const receipts = () =>
  e.db.sql(
    `select action, deleted::int as deleted, cardinality(keys) as named, partition->>'name' as name from retention.receipt order by id`,
  );
const counted = async () =>
  Number((await e.db.sql('select coalesce(sum(deleted), 0)::int as n from retention.receipt'))[0]?.n);
const dropped = { action: 'drop_partition', named: 0, name: 'public.visits_2025_12' };
const ORG = '11111111-1111-4111-8111-111111111111';

async function begin(changes: Partial<PolicyInput> = {}, files?: string): Promise<Policy> {
  e = await engine();
  return partitioned(e.db, changes, files ? { files } : {});
}

/** The same engine with something done just before, or instead of, the request that drops. */
function around(
  act: (send: () => Promise<Record<string, unknown>[][]>) => Promise<Record<string, unknown>[][]>,
) {
  const inner = e.services.database;
  let times = 0;
  const database: Database = {
    transaction(statements, options) {
      const drops = statements.some((s) => s.text.includes('drop_partition('));
      const send = () => inner.transaction(statements, options);
      times += drops ? 1 : 0;
      return drops && times === 1 ? act(send) : send();
    },
  };
  return (policy: Policy) => runPolicy({ ...e.services, database }, policy, order(NOW));
}

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
      { ...dropped, deleted: 40 },
      { action: 'delete', deleted: 7, named: 7, name: null },
    ]);
    const [{ bounds }] = (await e.db.sql(
      "select partition - 'name' as bounds from retention.receipt where partition is not null",
    )) as [{ bounds: unknown }];
    expect(bounds).toEqual({ from: '2025-12-01 00:00:00+00', to: '2026-01-01 00:00:00+00' });
  });

  it('goes also when it is empty, as soon as anything has expired', async () => {
    const policy = await begin();
    await visits(e.db, BOUNDARY, 1);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await exists(e.db, EXPIRED)).toBe(false);
    expect(await receipts()).toMatchObject([
      { ...dropped, deleted: 0 },
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
    expect((await verify(e.services.database)).problems).toMatchObject([{ kind: 'receipts changed' }]);
  });

  it('answers for the rows that lay in it', async () => {
    const policy = await begin();
    const [key] = await visits(e.db, EXPIRED, 1);
    const run = await e.run(policy);
    const answer = await lineage({ ...e.services, policies: [policy] }, 'public.visits', key!);
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
      `insert into retention.partition_grant values ('public.visits', '30 days', '{id,at}', 'org', 'person')`,
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
      runPolicy({ ...e.services, clock: () => new Date(iso) }, policy, order(new Date(iso)));
    expect(await at('2026-01-30T22:59:00Z')).toMatchObject({ outcome: 'succeeded' });
    expect(await exists(e.db, EXPIRED)).toBe(true);
    await e.db.sql(`insert into visits (at) values (${old})`);
    expect(await at('2026-01-30T23:00:00Z')).toMatchObject({ deleted: type === 'date' ? 2 : 1 });
    expect(await exists(e.db, EXPIRED)).toBe(false);
    expect(await left(e.db, 'visits')).toBe(1);
  });
});

describe('stays, and its rows are walked one by one, when', () => {
  const stayed = async (policy: Policy, deleted: number, obstacle?: string) => {
    const run = await e.run(policy);
    expect(run).toMatchObject({ outcome: 'succeeded', deleted });
    expect(await exists(e.db, EXPIRED), obstacle).toBe(true);
    expect((await receipts()).every((r) => r.action === 'delete')).toBe(true);
    return run;
  };

  it.each([
    ['organization', ORG, null],
    ['item', null, 'public.visits'],
  ])('a row of it is held by %s', async (scope, subject, table) => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const [key] = await visits(e.db, EXPIRED, 1, ORG);
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ($1, $2, $3, 'matter', 'alice')`,
      [scope, subject ?? key, table],
    );
    expect((await stayed(policy, 5)).kept.held).toBe(1);
    expect(await left(e.db, 'visits')).toBe(1);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry.preview).toMatchObject({ expired: 0, partitions: [], kept: { held: 1 } });
  });

  it('a row of it is extended, or set aside as a dead letter', async () => {
    const policy = await begin();
    const keys = await visits(e.db, EXPIRED, 5);
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.visits', $1, '2026-06-01', 'asked', 'bob')`,
      [keys[0]],
    );
    await e.db.sql(
      `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at) values ('visits', 'public.visits', $1, '23503', '2026-06-01')`,
      [keys[1]],
    );
    expect((await stayed(policy, 3)).kept).toMatchObject({ extended: 1, dead_letter: 1 });
  });

  it('a foreign key points at the table', async () => {
    await begin();
    await visits(e.db, EXPIRED, 3);
    await e.db.sql(`create table clicks (n int primary key generated always as identity, visit uuid, visited timestamptz,
      foreign key (visit, visited) references visits (id, at) on delete cascade)`);
    await e.db.sql('create index on clicks (visit, visited)');
    await e.db.sql('grant select, delete on clicks to lapse_app');
    await e.db.sql('insert into clicks (visit, visited) select id, at from visits');
    const policy = visitsPolicy({
      dependants: [
        {
          table: { name: 'clicks' },
          key: [{ column: 'n', type: 'integer' }],
          references: ['visit', 'visited'],
          fate: 'delete',
        },
      ],
    });
    expect(await stayed(policy, 3)).toMatchObject({ dependantsDeleted: 3 });
  });

  it('a row of it names a file that goes with it', async () => {
    const policy = await begin({ files: [{ column: 'file', fate: 'delete' }] }, 'file');
    await visits(e.db, EXPIRED, 3);
    await e.db.sql("update visits set file = 'visits/' || id || '.bin'");
    expect(await stayed(policy, 3)).toMatchObject({ filesQueued: 3 });
  });

  it('a trigger wants to see each row go, or a publication to replicate it', async () => {
    const policy = await begin({ knownTriggers: ['noted'] });
    await visits(e.db, EXPIRED, 3);
    await e.db.sql(
      'create function noted() returns trigger language plpgsql as $$ begin return null; end $$',
    );
    await e.db.sql('create trigger noted after delete on visits for each row execute function noted()');
    await stayed(policy, 3);
    await e.db.sql('drop trigger noted on visits');
    await visits(e.db, EXPIRED, 3);
    await e.db.sql('create publication p for table visits');
    await stayed(policy, 3);
  });

  it('a view depends on it', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 3);
    await e.db.sql(`create view december as select * from ${partitionOf(EXPIRED)}`);
    await stayed(policy, 3);
  });

  it('it is the default partition, or partitioned itself', async () => {
    const policy = await begin();
    await e.db.sql('create table visits_default partition of visits default');
    await e.db.sql(
      `create table visits_2025_11 partition of visits for values from ('2025-11-01Z') to ('2025-12-01Z') partition by range (at)`,
    );
    await e.db.sql(
      `create table visits_2025_11_a partition of visits_2025_11 for values from ('2025-11-01Z') to ('2025-11-16Z')`,
    );
    await e.db.sql(
      'grant select, update, delete on visits_default, visits_2025_11, visits_2025_11_a to lapse_app',
    );
    await e.db.sql(
      "insert into visits (at) values ('2025-06-01T00:00Z'), ('2025-11-03T00:00Z'), ('2030-01-01T00:00Z')",
    );
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await e.db.sql("select to_regclass('visits_2025_11_a') is not null as there")).toEqual([
      { there: true },
    ]);
    expect(await left(e.db, 'visits')).toBe(1);
  });

  it('it ended less long ago than its owner allows', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 3);
    await e.db.sql("update retention.partition_grant set least_age = '20 years'");
    await stayed(policy, 3);
  });

  it('the run may not delete so many rows', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 30);
    expect(await e.run(policy, { limit: 7 })).toMatchObject({
      outcome: 'interrupted',
      reason: 'limit',
      deleted: 7,
    });
    expect(await exists(e.db, EXPIRED)).toBe(true);
    expect(await e.run(policy, { limit: 23 })).toMatchObject({ deleted: 23, path: 'partition' });
    expect(await exists(e.db, EXPIRED)).toBe(false);
  });
});

describe('while it is being dropped', () => {
  it('a row that is being written into it is waited for, and counted', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const writer = await e.db.session();
    await writer.sql('begin');
    await writer.sql("insert into visits (at) values ('2025-12-24T18:00Z')");
    const run = around(async (send) => {
      // The first attempt finds the writer; before the second it commits.
      const first = await send().catch((error: unknown) => error);
      expect(first).toMatchObject({ failure: 'busy' });
      await writer.sql('commit');
      throw first;
    });
    expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 6, path: 'partition' });
    expect(await receipts()).toMatchObject([{ ...dropped, deleted: 6 }]);
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
    expect((await counted()) + (await left(e.db, 'visits'))).toBe(written);
  });

  it('a long reader of the table makes the run walk, and waits for nobody', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const reader = await e.db.session();
    await reader.sql('begin');
    await reader.sql('select count(*) from visits');
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5 });
    expect(await exists(e.db, EXPIRED)).toBe(true);
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
    const run = around(async (send) => {
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
    const run = around(async (send) => {
      await e.db.sql(
        "update retention.kill_switch set stopped = true, stopped_by = 'alice', reason = 'test', stopped_at = now()",
      );
      return send();
    });
    expect(await run(policy)).toMatchObject({ outcome: 'interrupted', reason: 'paused', deleted: 0 });
    expect(await exists(e.db, EXPIRED)).toBe(true);
  });
});

describe('killed', () => {
  const lost = () => new DatabaseError('unknown', null, 'no answer');

  it('before the drop: nothing has happened, and the next run does it', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const run = around(() => Promise.reject(new DatabaseError('fatal', null, 'killed')));
    expect(await run(policy)).toMatchObject({ outcome: 'errored', deleted: 0 });
    expect(await receipts()).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5 });
    expect(await receipts()).toMatchObject([{ ...dropped, deleted: 5 }]);
  });

  it('after the drop, with its answer lost: the same run reads its receipt', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const run = around(async (send) => {
      await send();
      throw lost();
    });
    expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5, path: 'partition' });
    expect(await receipts()).toMatchObject([{ ...dropped, deleted: 5 }]);
  });

  it('after the drop, runner and all: the record is closed from the receipt, the next run goes on', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    await visits(e.db, BOUNDARY, 2);
    const run = around(async (send) => {
      await send();
      throw new DatabaseError('fatal', null, 'killed');
    });
    expect(await run(policy)).toMatchObject({ outcome: 'errored', deleted: 5 });
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await counted()).toBe(7);
    expect(await verify(e.services.database)).toMatchObject({ ok: true });
  });

  it('within the drop, by the server: the partition, its rows and no receipt', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    // The last thing the transaction does; what comes before must be undone with it.
    await e.db.sql(`create function die() returns trigger language plpgsql as $$ begin
      if new.action = 'drop_partition' then perform pg_terminate_backend(pg_backend_pid()); end if; return null; end $$`);
    await e.db.sql(
      'create trigger zz_die after insert on retention.receipt for each row execute function die()',
    );
    const first = await e.run(policy, { deadline: new Date(NOW.getTime() + 10_000) });
    expect(first.deleted).toBe(0);
    expect(await exists(e.db, EXPIRED)).toBe(true);
    expect(await left(e.db, 'visits')).toBe(5);
    expect(await receipts()).toEqual([]);
    await e.db.sql('drop trigger zz_die on retention.receipt');
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5, path: 'partition' });
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
    expect((await g.at(NOW, policy)).message).toContain('never analysed');
    for (const month of [EXPIRED, '2026-02']) await g.analyze(partitionOf(month));
    expect(await g.at(NOW, policy)).toMatchObject({ outcome: 'succeeded', deleted: 200, path: 'partition' });
  });
});

describe('the app', () => {
  it('cannot drop what no grant names, nor reach further than the grant, nor without the fence', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const ask = (cutoff: string) =>
      e.services.database.transaction(
        [
          {
            text: "select set_config('statement_timeout', '5s', true), set_config('lock_timeout', '1s', true)",
            params: [],
          },
          {
            text: `select * from retention.drop_partition('visits', 1, gen_random_uuid(), 1, 'x', 'public.visits', 'public.visits_2025_12',
              $1::timestamptz, null, now(), 'all', 100, 'me', 'because')`,
            params: [cutoff],
          },
        ],
        { timeoutMs: 10_000 },
      );
    await expect(ask(NOW.toISOString())).rejects.toMatchObject({ failure: 'fenced' });
    await e.run(policy, { deadline: NOW });
    await e.db.sql('delete from retention.partition_grant');
    await expect(ask(NOW.toISOString())).rejects.toMatchObject({ sqlState: 'LP011' });
    expect(await e.run(policy)).toMatchObject({ outcome: 'errored', reason: 'preflight' });
    await expect(
      e.services.database.transaction(
        [
          {
            text: "insert into retention.partition_grant (table_name, least_age, key_columns) values ('public.visits', '1 day', '{id}')",
            params: [],
          },
        ],
        { timeoutMs: 5_000 },
      ),
    ).rejects.toMatchObject({ sqlState: '42501' });
  });
});

describe('an unfit table is refused, with what to run', () => {
  const refusal = async (policy: Policy): Promise<string> => {
    const run = await e.run(policy);
    expect(run).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
    return run.message;
  };

  it('a plain table, another partition key, a longer partition than declared', async () => {
    await begin();
    await visits(e.db, EXPIRED, 1);
    expect(await refusal(visitsPolicy({ partitioned: { by: 'week' } }))).toContain(
      'by week, a partition spans 31 days',
    );
    expect(await refusal(visitsPolicy({ table: { name: 'consents' } }))).toContain(
      'is not a partitioned table',
    );
  });

  it('a partition the app may not delete from, a grant that names other columns', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 1);
    await e.db.sql(`revoke delete on ${partitionOf(EXPIRED)} from lapse_app`);
    expect(await refusal(policy)).toContain('GRANT SELECT, UPDATE, DELETE ON visits_2025_12 TO lapse_app');
    await e.db.sql(`grant delete on ${partitionOf(EXPIRED)} to lapse_app`);
    await e.db.sql('update retention.partition_grant set organization_column = null');
    const message = await refusal(policy);
    const statement = /INSERT INTO retention\.partition_grant.*?;/.exec(message)?.[0];
    await e.db.sql(statement!);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('a partition whose detaching somebody began and did not finish', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 1);
    await visits(e.db, BOUNDARY, 1);
    const [reader, detacher] = [await e.db.session(), await e.db.session()];
    await reader.sql('begin');
    await reader.sql('select count(*) from visits');
    const [{ pid }] = (await detacher.sql('select pg_backend_pid() as pid')) as [{ pid: number }];
    const detaching = detacher
      .sql(`alter table visits detach partition ${partitionOf(EXPIRED)} concurrently`)
      .catch(() => 'cancelled');
    while ((await e.db.sql('select 1 from pg_inherits where inhdetachpending')).length === 0);
    await e.db.sql('select pg_cancel_backend($1)', [pid]);
    expect(await detaching).toBe('cancelled');
    await reader.sql('commit');
    const message = await refusal(policy);
    expect(message).toContain('DETACH PARTITION visits_2025_12 FINALIZE;');
    await e.db.sql(/ALTER TABLE .*? FINALIZE;/.exec(message)![0]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await left(e.db, partitionOf(EXPIRED))).toBe(1);
  });

  it.each([
    ['where', { where: 't.org is null' }],
    ['match', { rules: [{ label: 'a', keepFor: { seconds: DAY }, match: { org: ORG } }] }],
    ['the key', { key: [{ column: 'id', type: 'uuid' }] }],
  ])('at the start already, a policy whose %s a partition cannot keep to', (what, changes) => {
    expect(() => visitsPolicy(changes)).toThrow(what);
  });
});

it('an erasure reaches into every partition', async () => {
  const policy = await begin();
  await addMonth(e.db, '2026-04');
  for (const month of [EXPIRED, '2026-02', '2026-04']) await visits(e.db, month, 2, ORG);
  await visits(e.db, '2026-02', 3);
  const { erasePolicy } = await import('@/lib/erasure/erase-policy');
  const { reachOf } = await import('@/lib/erasure/subject');
  const asked = { scope: 'organization' as const, id: ORG };
  const { reach } = await reachOf({ ...e.services, policies: [policy] }, asked);
  const erased = await erasePolicy(
    e.services,
    reach[0]!,
    { actor: 'alice', correlationId: 'c', deadline: new Date(NOW.getTime() + 60_000) },
    e.services.log,
  );
  expect(erased).toMatchObject({ outcome: 'succeeded', deleted: 6 });
  expect(await left(e.db, 'visits')).toBe(3);
});
