/** What keeps a partition from going whole, so that its rows are walked one by one. */
import { afterEach, describe, expect, it } from 'vitest';
import { mayBeDropped } from '@/lib/engine/statement/partition';
import type { Policy, PolicyInput } from '@/lib/policies/contract';
import { type Engine, engine, left, NOW } from '../../support/engine';
import {
  addMonth,
  aroundDrop,
  BOUNDARY,
  EXPIRED,
  exists,
  partitioned,
  partitionOf,
  partitionReceipts,
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
const PERSON = '22222222-2222-4222-8222-222222222222';

describe('stays, and its rows are walked one by one, when', () => {
  const stayed = async (policy: Policy, deleted: number, obstacle?: string) => {
    const run = await e.run(policy);
    expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted });
    expect(await exists(e.db, EXPIRED), obstacle).toBe(true);
    expect((await receipts()).every((r) => r.action === 'delete')).toBe(true);
    return run;
  };

  it.each([
    ['organization', ORG, null],
    ['user', PERSON, null],
    ['item', null, 'public.visits'],
    ['item', null, 'public.visits_2025_12'],
  ])('a row of it is held by %s (%s, %s)', async (scope, subject, table) => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const [key] = await visits(e.db, EXPIRED, 1, ORG);
    await e.db.sql('update visits set person = $1 where org is not null', [PERSON]);
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ($1, $2, $3, 'matter', 'alice')`,
      [scope, subject ?? key, table],
    );
    expect((await stayed(policy, 5)).kept.held).toBe(1);
    expect(await left(e.db, 'visits')).toBe(1);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry.preview).toMatchObject({ expired: 0, partitions: [], kept: { held: 1 } });
  });

  it.each(['public.visits', 'public.visits_2025_12'])(
    'a row of it is extended, or set aside as a dead letter, under the name %s',
    async (name) => {
      const policy = await begin();
      const keys = await visits(e.db, EXPIRED, 5);
      await e.db.sql(
        `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ($2, $1, '2026-06-01', 'asked', 'bob')`,
        [keys[0], name],
      );
      await e.db.sql(
        `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at) values ('visits', $2, $1, '23503', '2026-06-01')`,
        [keys[1], name],
      );
      expect((await stayed(policy, 3)).kept).toMatchObject({ extended: 1, dead_letter: 1 });
    },
  );

  it('an operator left a row of it for good', async () => {
    const policy = await begin();
    const [key] = await visits(e.db, EXPIRED, 3);
    await e.db.sql(
      `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at, state) values ('visits', 'public.visits', $1, '23503', '2020-01-01', 'discarded')`,
      [key],
    );
    expect((await stayed(policy, 2)).kept).toMatchObject({ dead_letter: 1 });
  });

  it.each(['hold', 'extension', 'dead letter'])(
    'a row of it had one before it became a partition: %s',
    async (kind) => {
      const policy = await begin();
      const [key] = await visits(e.db, EXPIRED, 3);
      await e.db.sql(`alter table visits detach partition ${partitionOf(EXPIRED)}`);
      const name = `public.${partitionOf(EXPIRED)}`;
      if (kind === 'hold')
        await e.db.sql(
          `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, $2, 'matter', 'alice')`,
          [key, name],
        );
      if (kind === 'extension')
        await e.db.sql(
          `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ($2, $1, '2026-06-01', 'asked', 'bob')`,
          [key, name],
        );
      if (kind === 'dead letter')
        await e.db.sql(
          `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at) values ('visits', $2, $1, '23503', '2026-06-01')`,
          [key, name],
        );
      await e.db.sql(
        `alter table visits attach partition ${partitionOf(EXPIRED)} for values from ('2025-12-01Z') to ('2026-01-01Z')`,
      );
      await e.run(policy);
      expect(await exists(e.db, EXPIRED)).toBe(true);
      expect(await left(e.db, 'visits')).toBe(1);
    },
  );

  it('the policy declares dependants, whatever the catalog says of foreign keys', () => {
    const old = { schema_name: 'public', table_name: 'visits_2025_12', lower: null, upper: null };
    const dependant = {
      table: { name: 'clicks' },
      key: [{ column: 'n', type: 'integer' }],
      references: ['visit', 'visited'],
      fate: 'delete' as const,
    };
    const whole = { ...old, expired: true, obstacle: null };
    expect(mayBeDropped(visitsPolicy(), whole)).toBe(true);
    expect(mayBeDropped(visitsPolicy({ dependants: [dependant] }), whole)).toBe(false);
    expect(mayBeDropped(visitsPolicy(), { ...whole, expired: false })).toBe(false);
    expect(mayBeDropped(visitsPolicy(), { ...whole, obstacle: 'referenced' })).toBe(false);
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
    const policy = await begin({ files: [{ column: 'file', fate: 'delete', prefix: 'visits/' }] }, 'file');
    await e.db.sql('create index on visits (retention.blob_path(file))');
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

it('a table without organizations or users is dropped from as any other, whatever holds are in force elsewhere', async () => {
  const policy = await begin({ scope: {} });
  await e.db.sql('update retention.partition_grant set organization_column = null, user_column = null');
  const [key] = await visits(e.db, EXPIRED, 3);
  for (const scope of ['organization', 'user']) {
    await e.db.sql(
      `insert into retention.hold (scope, subject, reason, placed_by) values ($1, $2, 'matter', 'alice')`,
      [scope, ORG],
    );
  }
  await e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.visits', 'matter', 'alice')`,
    [key],
  );
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2, kept: { held: 1 } });
  await e.db.sql(
    "update retention.hold set released_by = 'bob', released_at = now(), release_reason = 'over' where scope = 'item'",
  );
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1, path: 'partition' });
  expect(await exists(e.db, EXPIRED)).toBe(false);
});

it('the last look sees a partition that came while the run worked, also when all others went whole', async () => {
  const policy = await begin();
  await visits(e.db, EXPIRED, 5);
  await e.db.sql(`drop table ${partitionOf(BOUNDARY)}`);
  const run = aroundDrop(e, async (send) => {
    const rows = await send();
    await addMonth(e.db, '2025-11');
    await visits(e.db, '2025-11', 4);
    return rows;
  });
  expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 9 });
});

it('an erasure reaches into every partition, and its dry run counts each row there once', async () => {
  const policy = await begin();
  await addMonth(e.db, '2026-04');
  for (const month of [EXPIRED, '2026-02', '2026-04']) await visits(e.db, month, 2, ORG);
  await visits(e.db, '2026-02', 3);
  const { erasePolicy } = await import('@/lib/rights/erase-policy');
  const { previewErasure } = await import('@/lib/rights/preview');
  const { graphOf } = await import('@/lib/rights/graph');
  const asked = { scope: 'organization' as const, id: ORG };
  const graph = await graphOf({ ...e.services, policies: [policy], dataMap: [] }, asked);
  const deadline = new Date(NOW.getTime() + 60_000);
  expect(await previewErasure(e.services, graph, deadline)).toMatchObject({
    deleted: 6,
    outcome: 'succeeded',
  });
  const erased = await erasePolicy(
    e.services,
    graph.steps[0]!,
    { actor: 'alice', correlationId: 'c', deadline },
    e.services.log,
    async () => undefined,
  );
  expect(erased).toMatchObject({ outcome: 'succeeded', changed: 6 });
  expect(await left(e.db, 'visits')).toBe(3);
});
