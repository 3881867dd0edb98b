/** A partition counts as its table wherever one is named: as a dependant, in holds, receipts and questions. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withRoots } from '@/lib/engine/statement/leaves';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { tableLabel } from '@/lib/platform/sql';
import type { Policy } from '@/lib/policies/contract';
import { versionOf } from '@/lib/policies/fingerprint';
import { DAY, left, things, thingsPolicy } from '../../support/engine';
import { type Guarded, guarded } from '../../support/guarded';
import { act, OPERATORS } from '../../support/operators';
import { EXPIRED, exists, partitioned, partitionOf, visits } from '../../support/partitioned';

let e: Guarded;
let parents: Policy;
let parts: Policy;
beforeEach(async () => {
  e = await guarded({
    LAPSE_OPERATORS: OPERATORS,
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_PROGRESSIVE_ROLLOUT: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
  });
  parts = await partitioned(e.db);
  await e.db.sql('create index on visits (org)');
  await e.db.sql(
    'create table things (id uuid primary key default gen_random_uuid(), at timestamptz, org uuid, person uuid, note text)',
  );
  await e.db.sql('create index on things (at, id)');
  await e.db.sql('alter table visits add foreign key (org) references things (id)');
  await e.db.sql('grant select, update, delete on things to lapse_app');
  await e.db.sql("select retention.protect('public.things')");
  parents = thingsPolicy({ dependants: ['2025-12', '2026-01', '2026-02'].map(partitionOf).map(leaf) });
  e = { ...e, services: { ...e.services, policies: [parents, parts] } };
});
afterEach(() => e.stop());

const leaf = (name: string) => ({
  table: { name },
  key: [
    { column: 'id', type: 'uuid' },
    { column: 'at', type: 'timestamptz' },
  ],
  references: ['org'],
  fate: 'delete' as const,
});
const parent = async (): Promise<string> => (await things(e.db, [40 * DAY]))[0]!;

it('a policy that names partitions goes on when Lapse has dropped one, and its receipts name the table', async () => {
  const id = await parent();
  await visits(e.db, EXPIRED, 1);
  await visits(e.db, '2026-02', 2, id);
  expect(await e.run(parts)).toMatchObject({ path: 'partition', deleted: 1 });
  expect(await exists(e.db, EXPIRED)).toBe(false);
  const dry = await e.run(parents, { dryRun: true });
  expect(dry).toMatchObject({ outcome: 'succeeded', preview: { expired: 1 } });
  expect(await e.run(parents)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 2 });
  const [receipt] = await e.db.sql(
    "select policy_version, dependants from retention.receipt where policy = 'things'",
  );
  expect(Object.keys(receipt?.dependants as object)).toEqual(['public.visits']);
  // What was declared is what both ran under, so that an approval of the dry run fits the run.
  expect(
    await e.db.sql(
      "select count(distinct policy_version)::int as n from retention.run where policy = 'things'",
    ),
  ).toEqual([{ n: 1 }]);
  expect(receipt?.policy_version).toBe(versionOf(parents));
});

it('a policy keeps the version it was declared with', () => {
  const rows = parents.dependants.map((d) => ({
    label: tableLabel(d.table),
    schema: 'public',
    name: 'visits',
  }));
  const rooted = withRoots(parents, rows);
  expect(rooted.dependants.map((d) => tableLabel(d.table))).toEqual(['public.visits']);
  expect(versionOf(rooted)).toBe(versionOf(parents));
});

it.each(['public.visits', 'public.visits_2026_02'])(
  'a hold placed by an operator on a dependant called %s keeps what it goes with',
  async (table) => {
    const id = await parent();
    const [key] = await visits(e.db, '2026-02', 1, id);
    await act(e.services, 'alice', {
      action: 'hold.place',
      scope: 'item',
      subject: key,
      table,
      reason: 'case',
    });
    expect(await e.db.sql('select table_name from retention.hold')).toEqual([
      { table_name: 'public.visits' },
    ]);
    expect(await e.run(parents)).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { held: 1 } });
    expect(await left(e.db)).toBe(1);
  },
);

it('a hold written into the table itself under a partition’s name keeps as well', async () => {
  const id = await parent();
  const [key] = await visits(e.db, '2026-02', 1, id);
  await e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.visits_2026_02', 'matter', 'alice')`,
    [key],
  );
  expect(await e.run(parents)).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { held: 1 } });
});

it('an extension is set and ended by either name', async () => {
  const [key] = await visits(e.db, EXPIRED, 1);
  const keepUntil = '2099-01-01T00:00:00Z';
  const at = (table: string) => ({ table, key, reason: 'asked' });
  await act(e.services, 'alice', { action: 'extension.set', ...at('public.visits_2025_12'), keepUntil });
  expect(await e.run(parts)).toMatchObject({ deleted: 0, kept: { extended: 1 } });
  await act(e.services, 'alice', { action: 'extension.end', ...at('public.visits_2025_12') });
  expect(await e.run(parts)).toMatchObject({ deleted: 1 });
});

it('lineage finds what was receipted under a partition’s name, asked by either, and never says who removed a row', async () => {
  const id = await parent();
  const [key] = await visits(e.db, '2026-02', 1, id);
  await e.run(parents);
  // As it was written before partitions counted as their table.
  await e.db.sql(
    `update retention.receipt set dependants = jsonb_build_object('public.visits_2026_02', dependants -> 'public.visits') where policy = 'things'`,
  );
  for (const name of ['public.visits', 'public.visits_2026_02', 'public.visits_2025_12']) {
    const { deletions, summary } = await explainRow(e.services, name, key!);
    expect(deletions).toMatchObject([{ policy: 'things', as_dependant: true }]);
    expect(summary).toContain('deleted by run');
  }
  const [other] = await visits(e.db, '2026-03', 1);
  await e.db.sql("delete from visits where at >= '2026-03-01'");
  expect((await explainRow(e.services, 'public.visits', other!)).summary).toContain(
    'it may have been removed by something else than Lapse',
  );
});

it('lineage still finds it when that partition was dropped', async () => {
  const id = await parent();
  const [key] = await visits(e.db, EXPIRED, 1, id);
  await e.run(parents);
  await e.db.sql(
    `update retention.receipt set dependants = jsonb_build_object('public.visits_2025_12', dependants -> 'public.visits') where policy = 'things'`,
  );
  await visits(e.db, EXPIRED, 1);
  await e.run(parts);
  expect(await exists(e.db, EXPIRED)).toBe(false);
  const { deletions } = await explainRow(e.services, 'public.visits_2025_12', key!);
  expect(deletions.map((d) => d.action)).toEqual(['delete', 'drop_partition']);
});
