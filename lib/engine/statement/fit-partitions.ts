/**
 * Is a partitioned table fit for its policy: by range of the clock, its partitions no longer than declared, each
 * open to the app, none half detached; and does the owner's grant name this policy, its zone and its columns?
 */
import { z } from 'zod';
import type { Problem } from '../../platform/errors';
import { literal, type Sql, sql, tableId, tableLabel } from '../../platform/sql';
import { goesWhole, type PARTITION_SPANS, type Policy } from '../../policies/contract';
import { goingFiles } from '../../policies/going';

const columns = z.array(z.string());
export const Partitioning = z.object({
  strategy: z.string(),
  columns,
  grant: z
    .object({
      policy: z.string().nullable(),
      zone: z.string(),
      key_columns: columns,
      organization_column: z.string().nullable(),
      user_column: z.string().nullable(),
      file_columns: columns,
    })
    .nullable(),
  /** Partitions that are not as they should be: name, and what is wrong. */
  shut: columns,
  pending: columns,
  foreign: columns,
  not_owned: columns,
  /** The longest partition, in days. */
  longest_days: z.number().nullable(),
});
export type Partitioning = z.infer<typeof Partitioning>;

/** An expression of type jsonb: a Partitioning of the relation, null when it is not partitioned. */
export const partitioningFacts = (oid: Sql): Sql => sql`(select jsonb_build_object('strategy', pt.partstrat,
      'columns', (select coalesce(jsonb_agg(coalesce(a.attname, '(expression)') order by k.ord), '[]')
        from unnest(pt.partattrs::int2[]) with ordinality k(attnum, ord)
        left join pg_attribute a on a.attrelid = pt.partrelid and a.attnum = k.attnum and k.attnum > 0),
      'grant', (select to_jsonb(g) from retention.partition_grant g, pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = pt.partrelid and g.table_name = n.nspname || '.' || c.relname),
      'shut', coalesce(jsonb_agg(b.relation::text order by b.schema_name, b.table_name) filter (where not b.may), '[]'),
      'pending', (select coalesce(jsonb_agg(i.inhrelid::regclass::text), '[]') from pg_inherits i
        where i.inhparent = pt.partrelid and i.inhdetachpending),
      'foreign', coalesce(jsonb_agg(b.relation::text) filter (where b.kind <> 'r'), '[]'),
      'not_owned', coalesce(jsonb_agg(b.relation::text) filter (where b.obstacle = 'not_owned'), '[]'),
      'longest_days', max(extract(epoch from b.upper_bound::timestamp - b.lower_bound::timestamp) / 86400)
        filter (where pt.partnatts = 1 and b.upper_bound ~ '^\\d{4,}-\\d\\d-\\d\\d' and b.lower_bound ~ '^\\d{4,}-\\d\\d-\\d\\d'))
    from pg_partitioned_table pt left join retention.partitions(pt.partrelid) b on true
    where pt.partrelid = ${oid} group by pt.partrelid, pt.partstrat, pt.partattrs::int2[], pt.partnatts)`;

const MOST_DAYS: Record<(typeof PARTITION_SPANS)[number], number> = {
  day: 1,
  week: 7,
  month: 31,
  quarter: 92,
  year: 366,
};
/** A local day of daylight saving is an hour longer. */
const SLACK_DAYS = 0.1;

interface Partitioned {
  readonly policy: Policy;
  readonly facts: Partitioning;
  /** The table, quoted. */
  readonly here: string;
}
type PartitionCheck = (p: Partitioned) => Problem[];

const isByClock: PartitionCheck = ({ policy, facts, here }) =>
  facts.strategy === 'r' && facts.columns.join() === policy.clock.column
    ? []
    : [
        {
          problem: `${here} is not partitioned by range of its clock ${policy.clock.column} alone, but by (${facts.columns.join(', ')})`,
          remedy: "say so in the policy: partitioned: { by: 'other' }; its rows then go one by one",
        },
      ];

const isOpen: PartitionCheck = ({ facts, here }) =>
  facts.shut.length === 0
    ? []
    : [
        {
          problem: `the role may not SELECT, UPDATE and DELETE rows of ${some(facts.shut)}`,
          remedy: `SELECT retention.open_partitions(${literal(here).text}); until it answers 0, and again whenever a partition is added, by what adds it`,
        },
      ];

const isWhole: PartitionCheck = ({ facts, here }) => [
  ...facts.pending.map((t) => ({
    problem: `the detaching of partition ${t} was begun and not finished: nothing governs its rows`,
    remedy: `ALTER TABLE ${here} DETACH PARTITION ${t} FINALIZE;`,
  })),
  ...facts.foreign.map((t) => ({
    problem: `partition ${t} is not a plain table`,
    remedy: 'detach it, and govern its rows where they are',
  })),
];

const mayBeDropped: PartitionCheck = ({ facts, here }) =>
  facts.not_owned.length === 0
    ? []
    : [
        {
          problem: `partitions of ${here} belong to another role than Lapse's own schema, which could not drop them: ${facts.not_owned.join(', ')}`,
          remedy: 'GRANT their owner TO the role that runs `npm run migrate`, or ALTER TABLE … OWNER TO it',
        },
      ];

const isAsLong: PartitionCheck = ({ policy, facts, here }) => {
  const { by: span } = policy.partitioned!;
  if (span === 'other') return [];
  if (facts.longest_days === null || facts.longest_days <= MOST_DAYS[span] + SLACK_DAYS) return [];
  return [
    {
      problem: `the policy says ${here} is partitioned by ${span}, a partition spans ${Math.round(facts.longest_days)} days`,
      remedy: 'correct partitioned.by in the policy',
    },
  ];
};

const isGranted: PartitionCheck = ({ policy, facts: { grant }, here }) => {
  const wanted = {
    policy: policy.name,
    zone: 'zone' in policy.clock ? policy.clock.zone : (grant?.zone ?? 'UTC'),
    key_columns: policy.key.map((k) => k.column),
    organization_column: policy.scope.organization ?? null,
    user_column: policy.scope.user ?? null,
    file_columns: goingFiles(policy.files).map((f) => f.column),
  };
  const granted =
    grant && Object.fromEntries(Object.keys(wanted).map((k) => [k, grant[k as keyof typeof wanted]]));
  if (JSON.stringify(granted) === JSON.stringify(wanted)) return [];
  const problem =
    grant === null
      ? `Lapse has no grant to drop partitions of ${here}`
      : `the grant to drop partitions of ${here} is not for this policy as it is declared: policy, zone or columns differ`;
  return [{ problem, remedy: grantOf(policy, wanted) }];
};

/** What every partition needs; and what one needs beside, to be dropped whole. */
const CHECKS: readonly PartitionCheck[] = [isOpen, isWhole];
const CHECKS_TO_DROP: readonly PartitionCheck[] = [isByClock, mayBeDropped, isAsLong, isGranted];

export function judgePartitioning(policy: Policy, kind: string, facts: Partitioning | null): Problem[] {
  const here = tableId(policy.table).text;
  const checks = goesWhole(policy) ? [...CHECKS, ...CHECKS_TO_DROP] : CHECKS;
  if (kind === 'p' && facts !== null) return checks.flatMap((check) => check({ policy, facts, here }));
  return [
    {
      problem: `${here} is not a partitioned table`,
      remedy: 'take `partitioned` out of the policy',
    },
  ];
}

/** A few by name, the others by number. */
function some(partitions: readonly string[]): string {
  const more = partitions.length - SHOWN;
  const shown = partitions.slice(0, SHOWN).join(', ');
  return `${partitions.length === 1 ? 'partition' : 'partitions'} ${shown}${more > 0 ? ` and ${more} more` : ''}`;
}
const SHOWN = 3;

/** What the owner of the tables runs, once. */
function grantOf(policy: Policy, wanted: Omit<NonNullable<Partitioning['grant']>, 'policy'>): string {
  const text = (value: string) => literal(value).text;
  const array = (values: readonly string[]) => text(`{${values.map((v) => JSON.stringify(v)).join(',')}}`);
  const maybe = (value: string | null) => (value === null ? 'null' : text(value));
  const periods = policy.rules.map((r) => r.keepFor.seconds).filter((s) => s !== null);
  // An age of none is no grant: a partition of expiries goes a second after its last one.
  const seconds = periods.length > 0 ? Math.max(1, Math.min(...periods)) : 365 * 86_400;
  const columns = ['policy', 'zone', 'key_columns', 'organization_column', 'user_column', 'file_columns'];
  const values = [
    text(policy.name),
    text(wanted.zone),
    array(wanted.key_columns),
    maybe(wanted.organization_column),
    maybe(wanted.user_column),
    array(wanted.file_columns),
  ];
  return `INSERT INTO retention.partition_grant (table_name, least_age, ${columns.join(', ')}) VALUES (${text(tableLabel(policy.table))}, '${seconds} seconds', ${values.join(', ')}) ON CONFLICT (table_name) DO UPDATE SET ${columns.map((c) => `${c} = excluded.${c}`).join(', ')};`;
}
