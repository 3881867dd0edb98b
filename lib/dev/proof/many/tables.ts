/** Tables of many partitions: by day of the clock, and by list of regions, each by hash. Some rows in some of them. */
import type { Client } from 'pg';
import { days, type PolicyInput } from '../../../policies/contract';

/** Instants are counted back from here. */
export const NOW = new Date('2026-03-01T02:00:00.000Z');
const DAY_MS = 86_400_000;
/** In one transaction: each takes some locks, of which the server has room for six thousand. */
const AT_A_TIME = 500;

export interface ManyTable {
  readonly name: string;
  /** Statements, each a transaction of its own. */
  readonly made: readonly string[];
  readonly policy: PolicyInput;
  /** The condition that a row is past its period. */
  readonly due: string;
}

const dayBack = (n: number): string =>
  new Date(Math.floor(NOW.getTime() / DAY_MS) * DAY_MS - n * DAY_MS).toISOString();

const common = {
  justification: 'because a proof wants it so',
  ground: 'proof',
  schedule: { run: '0 2 * * *' },
  rules: [{ label: 'all', keepFor: days(400) }],
  guard: { rows: 10_000_000, share: 1 },
  rollout: false,
};

function inSteps(from: number, to: number, one: (i: number) => string): string[] {
  const steps: string[] = [];
  for (let at = from; at < to; at += AT_A_TIME)
    steps.push(Array.from({ length: Math.min(AT_A_TIME, to - at) }, (_, i) => one(at + i)).join(';'));
  return steps;
}

/** The newest partition is the one of today; a row in every seventh, two in each of the first twenty. */
export function byDay(n: number): ManyTable {
  return {
    name: 'public.visits_many',
    made: [
      `create table visits_many (id bigint generated always as identity, at timestamptz not null, person uuid, note text, primary key (at, id)) partition by range (at)`,
      'create index on visits_many (person)',
      ...inSteps(
        0,
        n,
        (i) =>
          `create table visits_many_${i} partition of visits_many for values from ('${dayBack(i)}') to ('${dayBack(i - 1)}')`,
      ),
      `insert into visits_many (at) select '${dayBack(0)}'::timestamptz - make_interval(days => i) + interval '1 hour' from generate_series(0, ${n - 1}) i where i % 7 = 0`,
      'grant select, delete, update (id, at) on visits_many to lapse_app',
      `insert into retention.partition_grant (table_name, policy, least_age, key_columns, user_column) values ('public.visits_many', 'visits-many', '400 days', '{id,at}', 'person')`,
    ],
    policy: {
      ...common,
      name: 'visits-many',
      description: 'visits in one partition a day',
      table: { name: 'visits_many' },
      key: [
        { column: 'id', type: 'bigint' },
        { column: 'at', type: 'timestamptz' },
      ],
      clock: { column: 'at', type: 'timestamptz' },
      scope: { user: 'person' },
      partitioned: { by: 'day' },
    },
    due: `at < '${NOW.toISOString()}'::timestamptz - interval '400 days'`,
  };
}
/** Regions of a hundred parts each; a tenth of all parts have rows that are due. */
export function nested(n: number): ManyTable {
  const regions = Math.max(1, Math.ceil(n / 100));
  const each = Math.ceil(n / regions);
  return {
    name: 'public.parts_many',
    made: [
      `create table parts_many (id int not null, region int not null, at timestamptz, note text, primary key (region, id)) partition by list (region)`,
      'create index on parts_many (at, id, region)',
      ...inSteps(
        0,
        regions,
        (r) =>
          `create table parts_many_${r} partition of parts_many for values in (${r}) partition by hash (id)`,
      ),
      ...inSteps(0, regions * each, (i) => {
        const [r, h] = [Math.floor(i / each), i % each];
        return `create table parts_many_${r}_${h} partition of parts_many_${r} for values with (modulus ${each}, remainder ${h})`;
      }),
      ...inSteps(
        0,
        regions,
        (r) =>
          `insert into parts_many select i, ${r}, '${NOW.toISOString()}'::timestamptz - make_interval(days => case when i <= ${Math.ceil(each / 10)} then 500 else 5 end) from generate_series(1, ${each}) i`,
      ),
      'grant select, delete, update (id, region) on parts_many to lapse_app',
    ],
    policy: {
      ...common,
      name: 'parts-many',
      description: 'parts of regions, each by hash',
      table: { name: 'parts_many' },
      key: [
        { column: 'id', type: 'integer' },
        { column: 'region', type: 'integer' },
      ],
      clock: { column: 'at', type: 'timestamptz' },
      partitioned: { by: 'other' },
    },
    due: `at < '${NOW.toISOString()}'::timestamptz - interval '400 days'`,
  };
}

export async function make(owner: Client, table: ManyTable): Promise<void> {
  for (const statement of table.made) await owner.query(statement);
}
