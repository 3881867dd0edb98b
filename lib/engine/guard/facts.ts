/**
 * What the guard rails need to know, read in the run's first request: periods that count, the rollout's step,
 * the table's size, the usual run, an open approval. Declares the version on the way, when the run may begin.
 */
import { z } from 'zod';
import { nothing, oneRow, type Query, query } from '../../platform/query';
import { empty, type Sql, sql, type TableName, table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { periodsOf, policyReach } from '../../policies/effective';
import { recordOf } from '../../policies/recorded';

export const Approval = z.object({
  id: z.uuid(),
  digest: z.string(),
  expired: z.number().int(),
  used: z.boolean(),
  as_of: z.iso.datetime(),
  expires_at: z.iso.datetime(),
  /** Rows that went under it so far. */
  gone: z.number().int(),
});
export type Approval = z.infer<typeof Approval>;

export const AdmissionFacts = z.object({
  periods: z.record(z.string(), z.number().int().nullable()),
  waits_until: z.iso.datetime().nullable(),
  clean_runs: z.number().int(),
  /** Rows of the table by the planner's statistics; -1 when never analyzed, null when there is no table. */
  estimate: z.number().nullable(),
  usual: z.object({ runs: z.number().int(), median: z.number().nullable() }),
  approval: Approval.nullable(),
});
export type AdmissionFacts = z.infer<typeof AdmissionFacts>;

/** Nothing ever counts a partitioned table itself; its partitions are analyzed, or are empty. Found by name, as there. */
const partitionsEstimate = ({
  schema,
  name,
}: TableName): Sql => sql` || (select jsonb_build_object('estimate', case
      when bool_or(c.reltuples < 0 and pg_relation_size(c.oid) > 0) then -1 else coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint end)
    from pg_namespace n join pg_class r on r.relnamespace = n.oid cross join lateral retention.parts_of(r.oid) t
    join pg_class c on c.oid = t.relid where n.nspname = ${schema} and r.relname = ${name} and t.isleaf)`;

/** `at` is the run's start; changes nothing, so a dry run asks it too. */
export function admissionFacts(
  policy: Policy,
  version: string,
  at: Date,
  coolingSeconds: number,
): Query<AdmissionFacts> {
  const named = table(policy.table);
  const text = sql`select retention.admission(${policy.name}, ${version}, ${policyReach(policy)}, ${JSON.stringify(periodsOf(policy))}::jsonb,
    least(${at.toISOString()}::timestamptz, retention.clock()), make_interval(secs => ${coolingSeconds}::float8), ${named})${
      policy.partitioned ? partitionsEstimate(policy.table) : empty
    } as admission`;
  return query(text, (rows) => one(rows).admission);
}
const one = oneRow(z.object({ admission: AdmissionFacts }));

/** Only for the run that has just begun: a refused one declares nothing. */
export const declareVersion = (policy: Policy, version: string, runId: string, by: string): Query<void> =>
  query(
    sql`select retention.declare_version(${policy.name}, ${version}, ${policyReach(policy)}, ${JSON.stringify(periodsOf(policy))}::jsonb, ${by},
        ${JSON.stringify(recordOf(policy))}::jsonb)
      from retention.policy_state where policy = ${policy.name} and run_now = ${runId}::uuid`,
    nothing,
  );
