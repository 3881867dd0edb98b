/**
 * The demo's own count of what must go, written apart from the engine: plain SQL over the example schema,
 * and the checks that exactly that went.
 */
import type { Client } from 'pg';

/** Of a partitioned table: the clock, by which a row is found in the bounds of a dropped partition. */
const CLOCK: Record<string, string> = { 'usage-events': 'occurred_at' };

/** Rows of each policy that must go as of an instant. */
const EXPIRED: Record<string, string> = {
  'quiz-responses': `select id from quiz_responses where completed_at < $1::timestamptz - interval '720 hours' and completed_at > '-infinity'`,
  'magic-links': `select id from magic_links where issued_at < $1::timestamptz - interval '24 hours'`,
  'webhook-events': `select id from webhook_events where status = 'failed' and received_at < $1::timestamptz - interval '168 hours'
    union all select id from webhook_events where status = 'processed' and received_at < $1::timestamptz - interval '720 hours'`,
  'render-jobs': `select id from render_jobs where created_at < $1::timestamptz - interval '168 hours'`,
  'generated-pdfs': `select id from generated_pdfs where created_at < $1::timestamptz - case purchase_status
    when 'purchased' then interval '61320 hours' when 'refunded' then interval '4320 hours' else interval '720 hours' end`,
  artifacts: `select a.id from artifacts a left join subscriptions s on s.organization_id = a.organization_id and s.status in ('active', 'trialing')
    where coalesce(s.plan, 'free') <> 'enterprise' and a.created_at < $1::timestamptz - case coalesce(s.plan, 'free')
      when 'basic' then interval '2160 hours' when 'pro' then interval '8760 hours' else interval '720 hours' end`,
  documents: `select id from documents where deleted_at is null and last_opened_at < $1::timestamptz - interval '8760 hours'`,
  'usage-events': `select id from usage_events where occurred_at < $1::timestamptz - interval '9480 hours'`,
  'documents-purge': `select id from documents where deleted_at < $1::timestamptz - interval '720 hours'`,
};
const TABLE: Record<string, string> = {
  'quiz-responses': 'quiz_responses',
  'magic-links': 'magic_links',
  'webhook-events': 'webhook_events',
  'render-jobs': 'render_jobs',
  'generated-pdfs': 'generated_pdfs',
  artifacts: 'artifacts',
  documents: 'documents',
  'usage-events': 'usage_events',
  'documents-purge': 'documents',
};

export interface Truth {
  readonly expired: number;
  readonly total: number;
}

export const isKnown = (policy: string): boolean => policy in EXPIRED;

/** Remembers which rows must go and which must stay, in tables of its own. */
export async function remember(owner: Client, policy: string, asOf: string): Promise<Truth> {
  const table = TABLE[policy]!;
  await owner.query('create schema if not exists demo');
  await owner.query(
    `create table demo."${policy}" (id uuid primary key, expired boolean not null, at timestamptz)`,
  );
  await owner.query(`create temp table e (id uuid primary key)`);
  await owner.query(`insert into e ${EXPIRED[policy]}`, [asOf]);
  await owner.query(
    `insert into demo."${policy}" select t.id, e.id is not null, ${CLOCK[policy] ? `t.${CLOCK[policy]}` : 'null'} from ${table} t left join e using (id)`,
  );
  await owner.query('drop table e');
  const count = await owner.query(
    `select count(*) filter (where expired)::int as expired, count(*)::int as total from demo."${policy}"`,
  );
  return count.rows[0];
}

/** What differs from what was remembered, one sentence each; none means that exactly the right rows were deleted. */
export async function differences(owner: Client, policy: string): Promise<string[]> {
  const table = TABLE[policy]!;
  const here =
    policy === 'documents'
      ? `${table} where deleted_at is null or id not in (select id from demo.documents where expired)`
      : table;
  const soft = policy === 'documents' ? ' and t.deleted_at is null' : '';
  const counts = await owner.query(
    `with named as materialized (
       select (case when k like '[%' then k::jsonb ->> 0 else k end)::uuid as id
       from retention.receipt r cross join lateral unnest(retention.keys_of(r)) k where r.policy = $1
       union all
       select d.id from demo."${policy}" d join retention.receipt r on r.policy = $1 and r.action = 'drop_partition'
         and d.at >= (r.partition ->> 'from')::timestamptz and d.at < (r.partition ->> 'to')::timestamptz
     )
     select
      (select count(*) from demo."${policy}" d join ${table} t using (id) where d.expired${soft})::int as left_over,
      (select count(*) from demo."${policy}" d where not d.expired and not exists (select 1 from (select id from ${here}) t where t.id = d.id))::int as lost,
      (select count(*) from named)::int as named, (select count(distinct id) from named)::int as named_once,
      (select count(*) from demo."${policy}" d where d.expired and not exists (select 1 from named n where n.id = d.id))::int as unnamed,
      (select coalesce(sum(deleted), 0) from retention.receipt where policy = $1)::int as counted,
      (select count(*) from demo."${policy}" where expired)::int as expired`,
    [policy],
  );
  const c = counts.rows[0] as Record<string, number>;
  return [
    c.left_over ? `${c.left_over} expired rows are still there` : '',
    c.lost ? `${c.lost} rows went that had not expired` : '',
    c.named !== c.named_once ? `${c.named! - c.named_once!} ids are in more than one receipt` : '',
    c.unnamed ? `${c.unnamed} deleted ids are in no receipt` : '',
    c.counted !== c.expired ? `receipts count ${c.counted} rows, ${c.expired} had expired` : '',
    c.named !== c.expired ? `receipts name ${c.named} ids, ${c.expired} had expired` : '',
  ].filter(Boolean);
}
