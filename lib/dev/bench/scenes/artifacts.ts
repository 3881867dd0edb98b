/**
 * Artifacts of many organizations, written as time went by. All tiers keep thirty days here, so that a walk by tenant and
 * one by the index delete the same rows; the tier of each organization is looked up all the same.
 */
import type { Client } from 'pg';
import { artifacts as declared } from '../../../example/policies/artifacts';
import { days, definePolicy } from '../../../policies/contract';
import type { Template } from './scene';

const KEPT_DAYS = 30;
const ROWS_OF_AN_ORGANIZATION = 100;
const rules = declared.rules.map((rule) => ({ ...rule, keepFor: days(KEPT_DAYS) }));

export const withFiles = { ...declared, rules };
export const byTenant = { ...withFiles, dependants: [], files: [] };

const { tenants: _, ...untiered } = declared;
export const byIndex = definePolicy({
  ...untiered,
  name: 'bench-artifacts',
  rules: [{ label: 'all', keepFor: days(KEPT_DAYS) }],
  dependants: [],
  files: [],
});

/** A hundred artifacts an organization over 75 days, of every tier and of none; each with a file where `files` are wanted. */
export const artifactsOf = (rows: number, files: boolean): Template => ({
  name: files ? 'artifacts_with_files' : 'artifacts',
  table: 'artifacts',
  async make(owner) {
    const organizations = Math.ceil(rows / ROWS_OF_AN_ORGANIZATION);
    await owner.query('truncate organizations cascade');
    if (!files) await owner.query('drop table artifact_files');
    await owner.query(
      `insert into organizations (id, name) select md5('org' || i)::uuid, 'Organization ' || i from generate_series(1, $1::int) i`,
      [organizations],
    );
    await owner.query(
      `insert into subscriptions (organization_id, plan, status)
       select md5('org' || i)::uuid, (array['free', 'basic', 'pro', 'enterprise'])[1 + i % 4], 'active'
       from generate_series(1, $1::int) i where i % 10 <> 9`,
      [organizations],
    );
    await owner.query(
      `insert into artifacts (organization_id, kind, storage_key, size_bytes, created_at)
       select md5('org' || 1 + i * 7919::bigint % $2::int)::uuid, 'video_clip',
         case when $3 then 'artifacts/a-' || substr(md5('suffix' || i), 1, 30) || '.bin' end, case when $3 then 100 end,
         now() - interval '75 days' * (1 - i::float8 / $1::int)
       from generate_series(1, $1::int) i`,
      [rows, organizations, files],
    );
    // What the walk by the index asks for; the walk by tenant has its own.
    await owner.query('create index artifacts_created_at on artifacts (created_at, id)');
  },
});

/** An hour before the periods' end: what expires while the bench runs counts for neither. */
export async function cutoffOfArtifacts(owner: Client): Promise<string> {
  const { rows } = await owner.query(`select now() - interval '${KEPT_DAYS} days 1 hour' as at`);
  return (rows[0].at as Date).toISOString();
}
