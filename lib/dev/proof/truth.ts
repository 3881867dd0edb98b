/**
 * What must happen to the seeded artifacts, as SQL written by hand from the requirement (P7) and not by the
 * engine: per tier what may go, and which files must be left.
 */
import type { Client } from 'pg';

export interface Tier {
  readonly label: string;
  readonly artifacts: number;
  readonly files: number;
  readonly bytes: number;
}

const JUDGED = `
  with tier as (
    select o.id as org,
      coalesce((select plan from subscriptions s where s.organization_id = o.id and s.status in ('active', 'trialing')), 'free') as plan
    from organizations o
  ),
  judged as (
    select a.*, case when v.tenant is not null then 'override' else t.plan end as label,
      coalesce(a.created_at < $1::timestamptz - case
        when v.tenant is not null then make_interval(secs => v.keep_seconds)
        when t.plan = 'free' then interval '30 days' when t.plan = 'basic' then interval '90 days' when t.plan = 'pro' then interval '365 days' end, false)
      and not exists (select 1 from retention.extension e where e.table_name = 'public.artifacts' and e.row_key = a.id::text and e.keep_until > $1::timestamptz)
      as goes
    from artifacts a join tier t on t.org = a.organization_id
    left join retention.period_override v on v.policy = 'artifacts' and v.tenant = a.organization_id::text
  )`;

/** Tiers of which something goes, in the order of their names. */
export async function tiersThatGo(client: Client, asOf: Date): Promise<Tier[]> {
  const { rows } = await client.query<Record<string, string>>(
    `${JUDGED}
    select j.label, count(*) as artifacts, sum((j.storage_key is not null)::int + f.n) as files,
      sum(coalesce(j.size_bytes, 0) + f.bytes) as bytes
    from judged j cross join lateral (
      select count(*) as n, coalesce(sum(size_bytes), 0) as bytes from artifact_files f where f.artifact_id = j.id
    ) f where j.goes group by 1 order by 1`,
    [asOf.toISOString()],
  );
  return rows.map((r) => ({
    label: r.label!,
    artifacts: Number(r.artifacts),
    files: Number(r.files),
    bytes: Number(r.bytes),
  }));
}

/** How many of the organizations lose something. */
export async function organizationsThatLose(client: Client, asOf: Date): Promise<number> {
  const { rows } = await client.query<{ n: string }>(
    `${JUDGED} select count(distinct organization_id) as n from judged where goes`,
    [asOf.toISOString()],
  );
  return Number(rows[0]?.n);
}

/** Paths named by a row that stays: afterwards these files must exist, and no other file of the artifacts. */
export async function pathsThatStay(client: Client, asOf: Date): Promise<Set<string>> {
  const { rows } = await client.query<{ path: string }>(
    `${JUDGED}
    select storage_key as path from judged where not goes and storage_key is not null
    union select f.storage_key from artifact_files f join judged j on j.id = f.artifact_id where not j.goes`,
    [asOf.toISOString()],
  );
  return new Set(rows.map((r) => r.path));
}

/** The same, asked of the rows that are there now. */
export async function pathsNamed(client: Client): Promise<Set<string>> {
  const { rows } = await client.query<{ path: string }>(
    'select storage_key as path from artifacts where storage_key is not null union select storage_key from artifact_files',
  );
  return new Set(rows.map((r) => r.path));
}
