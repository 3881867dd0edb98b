/** A table partitioned by month with its policy: 30 days after `at`, counted from 1 March 2026. */

import { runPolicy } from '@/lib/engine/run/run';
import type { Database, Statement } from '@/lib/platform/database';
import { days, definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { TestDatabase } from './database';
import { type Engine, NOW, runRequest } from './engine';

/** Lies wholly before the cutoff of 30 January 02:00; */
export const EXPIRED = '2025-12';
/** lies on both sides of it. */
export const BOUNDARY = '2026-01';
const MONTHS = [EXPIRED, BOUNDARY, '2026-02', '2026-03'];

const next = (month: string): string => {
  const [year, m] = month.split('-').map(Number) as [number, number];
  return m === 12 ? `${year + 1}-01` : `${year}-${String(m + 1).padStart(2, '0')}`;
};
export const partitionOf = (month: string): string => `visits_${month.replace('-', '_')}`;

export async function addMonth(db: TestDatabase, month: string): Promise<void> {
  await db.sql(
    `create table ${partitionOf(month)} partition of visits for values from ('${month}-01Z') to ('${next(month)}-01Z')`,
  );
  await db.sql(`grant select, update, delete on ${partitionOf(month)} to lapse_app`);
  await db.sql(`select retention.protect('public.${partitionOf(month)}')`);
}

export async function partitioned(
  db: TestDatabase,
  changes: Partial<PolicyInput> = {},
  { files, at = 'timestamptz' }: { files?: string; at?: string } = {},
): Promise<Policy> {
  await db.sql(`create table visits (id uuid not null default gen_random_uuid(), at ${at} not null, org uuid, person uuid,
    file text, primary key (at, id)) partition by range (at)`);
  await db.sql('grant select, update, delete on visits to lapse_app');
  await db.sql(`select retention.protect('public.visits')`);
  for (const month of MONTHS) await addMonth(db, month);
  await db.sql(
    `insert into retention.partition_grant (table_name, policy, least_age, key_columns, organization_column, user_column, file_columns)
     values ('public.visits', 'visits', '30 days', '{id,at}', 'org', 'person', $1)`,
    [files ? [files] : []],
  );
  return visitsPolicy(changes);
}

export const visitsPolicy = (changes: Partial<PolicyInput> = {}): Policy =>
  definePolicy({
    name: 'visits',
    description: 'visits of the tests',
    justification: 'because a test wants it so',
    ground: 'test',
    schedule: { run: '0 2 * * *' },
    table: { name: 'visits' },
    key: [
      { column: 'id', type: 'uuid' },
      { column: 'at', type: 'timestamptz' },
    ],
    clock: { column: 'at', type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: days(30) }],
    scope: { organization: 'org', user: 'person' },
    partitioned: { by: 'month' },
    ...changes,
  });

/** `n` visits spread over the first ten hours of the tenth day of a month; gives their keys as holds name them. */
export async function visits(db: TestDatabase, month: string, n: number, org?: string): Promise<string[]> {
  const rows = await db.sql(
    `insert into visits (at, org) select $1::timestamptz + i * interval '36000 seconds' / $2::int, $3::uuid
     from generate_series(1, $2::int) i returning jsonb_build_array(id::text, (at at time zone 'UTC')::text || '+00')::text as key`,
    [`${month}-10T00:00:00Z`, n, org ?? null],
  );
  return rows.map((r) => String(r.key));
}

export const exists = async (db: TestDatabase, month: string): Promise<boolean> =>
  Boolean((await db.sql(`select to_regclass($1) is not null as there`, [partitionOf(month)]))[0]?.there);

/** Receipts in their order: what was done, how many rows, how many of them named, which partition. */
export const partitionReceipts = (db: TestDatabase) =>
  db.sql(
    `select action, deleted::int as deleted, cardinality(keys) as named, partition->>'name' as name from retention.receipt order by id`,
  );
export const receiptedRows = async (db: TestDatabase): Promise<number> =>
  Number((await db.sql('select coalesce(sum(deleted), 0)::int as n from retention.receipt'))[0]?.n);
export const DROPPED = { action: 'drop_partition', named: 0, name: 'public.visits_2025_12' };

/** What a caller may say when it drops, by its place in the call. */
const ARGUMENTS = { policy: 0, part: 6, cutoff: 7, at: 8, label: 9, most: 10 };
type Arguments = Partial<Record<keyof typeof ARGUMENTS, string | null>>;
type Answer = Record<string, unknown>[][];

/** The same engine with something done just before, or instead of, the request that drops; `send` may say something else. */
export function aroundDrop(
  e: Engine,
  act: (send: (other?: Arguments) => Promise<Answer>) => Promise<Answer>,
) {
  const inner = e.services.database;
  let times = 0;
  const database: Database = {
    transaction(statements, options) {
      const drops = statements.some((s) => s.text.includes('drop_partition('));
      const send = (other: Arguments = {}) =>
        inner.transaction(
          statements.map((s) => (s.text.includes('drop_partition(') ? saying(s, other) : s)),
          options,
        );
      times += drops ? 1 : 0;
      return drops && times === 1 ? act(send) : send();
    },
  };
  return (policy: Policy) => runPolicy({ ...e.services, database }, policy, runRequest(NOW));
}

function saying(statement: Statement, other: Arguments): Statement {
  const params = [...statement.params];
  for (const [what, value] of Object.entries(other)) params[ARGUMENTS[what as keyof Arguments]] = value;
  return { ...statement, params };
}
