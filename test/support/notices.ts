/** Things of organizations with an address each, under a policy that tells them before theirs go. */
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { TestDatabase } from './database';
import { protect, thingsPolicy } from './engine';

export const ORGS = {
  acme: '00000000-0000-4000-8000-0000000000a1',
  bolt: '00000000-0000-4000-8000-0000000000b2',
} as const;

export const noticed = (changes: Partial<PolicyInput> = {}): Policy =>
  thingsPolicy({
    rules: [
      { label: 'free', keepFor: days(30) },
      { label: 'pro', keepFor: days(60) },
    ],
    tenants: { table: { name: 'orgs' }, key: { column: 'id', type: 'uuid' }, column: 'org', label: 'o.tier' },
    notice: {
      thresholdsDays: [7, 1],
      requiredDays: 7,
      extendDays: 30,
      to: { address: 'mail', zone: 'zone' },
    },
    ...changes,
  });

/** Tables `orgs(id, tier, mail, zone)` and `things(id, at, org, person, note)`. */
export async function organizations(db: TestDatabase, policy: Policy = noticed()): Promise<Policy> {
  await db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), tier text not null default 'free', mail text, zone text);
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create table things (id uuid primary key default gen_random_uuid(), at timestamptz, org uuid references orgs (id), person uuid, note text);
    create index on things (org, at, id);
    grant select on orgs to lapse_app;
    grant select, update, delete on things to lapse_app;
    insert into orgs (id, mail, zone) values ('${ORGS.acme}', 'acme@example.com', 'Europe/Vienna'), ('${ORGS.bolt}', 'bolt@example.com', null)`);
  await protect(db, policy);
  return policy;
}

/** Things of one organization, of these ages in days. */
export async function ofOrganization(
  db: TestDatabase,
  org: keyof typeof ORGS,
  ages: readonly number[],
  from: Date,
): Promise<string[]> {
  const rows = await db.sql(
    `insert into things (org, at) select $1, $2::timestamptz - make_interval(secs => a * 86400)
     from unnest($3::float8[]) with ordinality x(a, n) order by n returning id::text`,
    [ORGS[org], from.toISOString(), ages as unknown[]],
  );
  return rows.map((r) => String(r.id));
}

/** As if a message about everything before `before` had been delivered then. */
export async function told(
  db: TestDatabase,
  org: keyof typeof ORGS,
  {
    delivered,
    before,
    keepDays = 30,
    policy = 'things',
    threshold = 7,
  }: { delivered: Date; before: Date; keepDays?: number; policy?: string; threshold?: number },
): Promise<void> {
  await db.sql(
    `with n as (
       insert into retention.notice (tenant, recipient, required, claimed_until, state, settled_at, sending)
       values ($1, repeat('a', 64), true, $2, 'delivered', $2, false) returning id
     ) insert into retention.notice_part (notice, policy, tenant, threshold_days, keep_seconds, since, before, found, digest, goes_at, announced_at, delivered_at)
       select id, $4, $1, $6, $5 * 86400, '-infinity', $3, 1, repeat('0', 64), $3, $2, $2 from n`,
    [ORGS[org], delivered.toISOString(), before.toISOString(), policy, keepDays, threshold],
  );
}
