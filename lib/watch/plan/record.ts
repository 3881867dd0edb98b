/** What production last ran of each policy: the version in force in `retention.policy_version`, and when a run last used it. */
import { z } from 'zod';
import { query, rows } from '../../platform/query';
import { sql, utc } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { policyReach, withPeriods } from '../../policies/effective';
import { readRecord } from '../../policies/recorded';

const Line = z.object({
  policy: z.string(),
  version: z.string(),
  reach: z.string(),
  periods: z.record(z.string(), z.number().nullable()),
  declaration: z.unknown(),
  since: z.string(),
  by: z.string(),
  last_run: z.string().nullable(),
});
export type Line = z.infer<typeof Line>;

/** Also of a database that has no column for declarations yet: production is behind the branch until it is deployed. */
export const lastRun = query(
  sql`select v.policy, v.version, v.reach, v.periods, to_jsonb(v) -> 'declaration' as declaration, v.declared_by as by,
      ${utc(sql`v.declared_at`, 's')} as since,
      ${utc(sql`l.started_at`, 's')} as last_run
    from retention.policy_version v left join retention.last_run l on l.policy = v.policy
    where v.superseded_at is null order by v.policy`,
  rows(Line),
);

/** Whether the login has the rights of the owner of schema retention, with which nothing that is only recorded may run. */
export const ownerRights = query(
  sql`select pg_has_role(current_user, nspowner, 'USAGE') or (select rolsuper from pg_roles where rolname = current_user) as owner
    from pg_namespace where nspname = 'retention'`,
  (answer) => z.array(z.object({ owner: z.boolean() })).parse(answer)[0]?.owner ?? null,
);

/**
 * The declaration that production last ran. With the same reach it is the branch's own with other periods; else it has to
 * stand in the record. Null: the record does not say.
 */
export function declarationIn(line: Line, branch: Policy | null): Policy | null {
  const recorded = readRecord(line.declaration)?.policy ?? null;
  if (recorded || !branch || policyReach(branch) !== line.reach) return recorded;
  return withPeriods(branch, line.periods);
}
