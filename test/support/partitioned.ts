/** A table partitioned by month with its policy: 30 days after `at`, counted from 1 March 2026. */
import { days, definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { TestDatabase } from './database';

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
  grant: { files?: string } = {},
): Promise<Policy> {
  await db.sql(`create table visits (id uuid not null default gen_random_uuid(), at timestamptz not null, org uuid, person uuid,
    file text, primary key (at, id)) partition by range (at)`);
  await db.sql('grant select, update, delete on visits to lapse_app');
  await db.sql(`select retention.protect('public.visits')`);
  for (const month of MONTHS) await addMonth(db, month);
  await db.sql(
    `insert into retention.partition_grant (table_name, least_age, key_columns, organization_column, user_column, file_columns)
     values ('public.visits', '30 days', '{id,at}', 'org', 'person', $1)`,
    [grant.files ? [grant.files] : []],
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
