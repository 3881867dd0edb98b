/**
 * Each policy that ships, on hundreds to thousands of rows of its table, against what a person wrote down in plain SQL
 * (lib/dev/demo/truth.ts): exactly those rows go that have expired and are not held. Beside the seed there are rows an
 * hour, a minute and a microsecond on either side of every cutoff, whose fate is written here and nowhere else.
 */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { differences, isKnown, remember } from '@/lib/dev/demo/truth';
import type { RunResult } from '@/lib/engine/run/result';
import { examplePolicies } from '@/lib/example/policies';
import { seed } from '@/lib/example/seed';
import type { Policy } from '@/lib/policies/contract';
import { withDerived } from '@/lib/policies/derived';
import { databaseClock, type Engine, engine, NOW } from '../support/engine';

const shipped = withDerived(examplePolicies);
const AS_OF = NOW.toISOString();

/** Every period that ships, in hours, and the rows that are put around its cutoff. */
const PERIODS: readonly { policy: string; hours: number; into: string; values: string }[] = [
  {
    policy: 'quiz-responses',
    hours: 720,
    into: 'quiz_responses (id, completed_at, quiz)',
    values: `'edge'`,
  },
  {
    policy: 'magic-links',
    hours: 24,
    into: 'magic_links (id, issued_at, token_hash)',
    values: 'gen_random_uuid()::text',
  },
  ...[
    { status: 'failed', hours: 168 },
    { status: 'processed', hours: 720 },
  ].map(({ status, hours }) => ({
    policy: 'webhook-events',
    hours,
    into: 'webhook_events (id, received_at, provider, kind, status)',
    values: `'stripe', 'edge', '${status}'`,
  })),
  {
    policy: 'render-jobs',
    hours: 168,
    into: 'render_jobs (id, created_at, status)',
    values: `'done'`,
  },
  ...[
    { status: 'unpurchased', hours: 720 },
    { status: 'purchased', hours: 61_320 },
    { status: 'refunded', hours: 4_320 },
  ].map(({ status, hours }) => ({
    policy: 'generated-pdfs',
    hours,
    into: 'generated_pdfs (id, created_at, purchase_status)',
    values: `'${status}'`,
  })),
  ...[
    { plan: 'none', hours: 720 },
    { plan: 'canceled', hours: 720 },
    { plan: 'free', hours: 720 },
    { plan: 'basic', hours: 2_160 },
    { plan: 'pro', hours: 8_760 },
  ].map(({ plan, hours }) => ({
    policy: 'artifacts',
    hours,
    into: 'artifacts (id, created_at, organization_id, kind)',
    values: `md5('edge ${plan}')::uuid, 'video_clip'`,
  })),
  {
    policy: 'documents',
    hours: 8_760,
    into: 'documents (id, last_opened_at, title)',
    values: `'edge'`,
  },
  {
    policy: 'documents-purge',
    hours: 720,
    into: 'documents (id, deleted_at, title)',
    values: `'edge'`,
  },
  {
    policy: 'usage-events',
    hours: 9_480,
    into: 'usage_events (id, occurred_at, organization_id, kind)',
    values: `md5('edge none')::uuid, 'edge'`,
  },
];
/** What has been kept for longer than its period, by however little, goes; what has been kept for exactly that long stays. */
const GO = ['-1 hour', '-1 minute', '-1 microsecond'];
const STAY = ['0', '1 microsecond', '1 minute', '1 hour'];

/** An organization of each plan; one has none, one has let its subscription end. What an enterprise has made is kept forever. */
const ORGANIZATIONS = `with plans as (
    insert into organizations (id, name) select md5('edge ' || p)::uuid, p
    from unnest(array['none', 'canceled', 'free', 'basic', 'pro', 'enterprise']) p returning id, name
  ) insert into subscriptions (organization_id, plan, status)
    select id, case name when 'canceled' then 'pro' else name end, case name when 'canceled' then name else 'active' end
    from plans where name <> 'none'`;

async function around(sql: Engine['db']['sql']): Promise<void> {
  await sql(ORGANIZATIONS);
  await sql(
    `insert into artifacts (created_at, organization_id, kind) values ($1::timestamptz - interval '30 years', md5('edge enterprise')::uuid, 'video_clip')`,
    [AS_OF],
  );
  for (const [n, period] of PERIODS.entries()) {
    await sql(
      `insert into ${period.into} select md5($3 || o)::uuid, $1::timestamptz - make_interval(hours => $2) + o::interval, ${period.values}
       from unnest($4::text[]) o`,
      [AS_OF, period.hours, `edge ${n} `, [...GO, ...STAY]],
    );
  }
}

/** Of a policy's rows around its cutoffs: those that are still there (not marked, for a soft delete), `period offset`. */
async function stillThere(sql: Engine['db']['sql'], policy: string): Promise<string[]> {
  const found: string[] = [];
  for (const [n, period] of PERIODS.entries()) {
    if (period.policy !== policy) continue;
    const marked = policy === 'documents' ? ' where deleted_at is null' : '';
    const rows = await sql(
      `select o from unnest($2::text[]) with ordinality x(o, i)
       join (select id from ${period.into.split(' ')[0]}${marked}) t on t.id = md5($1 || o)::uuid order by i`,
      [`edge ${n} `, [...GO, ...STAY]],
    );
    found.push(...rows.map((r) => `${period.hours} hours ${r.o}`));
  }
  return found;
}

/** By which columns of its table a policy's rows are held; and children whose own hold keeps their row. */
const SCOPES: Record<
  string,
  { organization?: true; user?: true; children?: [table: string, parent: string] }
> = {
  'quiz-responses': { organization: true, user: true },
  'magic-links': { user: true },
  'webhook-events': {},
  'render-jobs': { organization: true, user: true, children: ['render_job_logs', 'render_job_id'] },
  'generated-pdfs': { organization: true, user: true },
  artifacts: { organization: true, user: true, children: ['artifact_files', 'artifact_id'] },
  documents: { organization: true, user: true },
  'documents-purge': { organization: true, user: true },
  'usage-events': { organization: true, user: true },
};

/** Holds expired rows in each way there is, none of those around a cutoff, and takes what is held out of what must go. Gives how many rows that are. */
async function hold(sql: Engine['db']['sql'], policy: Policy): Promise<number> {
  const scope = SCOPES[policy.name]!;
  const table = policy.table.name;
  const memory = `demo."${policy.name}"`;
  const expired = `from ${memory} d join ${table} t using (id) where d.expired`;
  const place = (kind: string, subject: string, of = 'null', most = 1) =>
    sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by)
       select '${kind}', ${subject}, ${of}, 'matter 7', 'alice' ${expired} and ${subject} is not null
         and t.id not in (select md5('edge ' || n || ' ' || o)::uuid from generate_series(0, $1::int) n, unnest($2::text[]) o)
       order by md5(t.id::text) limit ${most}`,
      [PERIODS.length, GO],
    );
  const key =
    policy.name === 'usage-events'
      ? `jsonb_build_array(t.id::text, (t.occurred_at at time zone 'UTC')::text || '+00')::text`
      : 't.id::text';
  await place('item', key, `'public.${table}'`, 2);
  const held = [`${key} in (select subject from retention.hold where table_name = 'public.${table}')`];
  for (const kind of ['organization', 'user'] as const) {
    if (!scope[kind]) continue;
    await place(kind, `t.${kind}_id::text`);
    held.push(`t.${kind}_id::text in (select subject from retention.hold where scope = '${kind}')`);
  }
  if (scope.children) {
    const [children, parent] = scope.children;
    await sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by)
       select 'item', c.id::text, 'public.${children}', 'matter 7', 'alice' from ${children} c
       where c.${parent} in (select id from ${memory} where expired) order by md5(c.id::text) limit 1`,
    );
    held.push(
      `t.id in (select c.${parent} from ${children} c join retention.hold h on h.subject = c.id::text)`,
    );
  }
  const kept = await sql(
    `update ${memory} m set expired = false where expired and id in (select t.id from ${table} t where ${held.join(' or ')}) returning 1`,
  );
  return kept.length;
}

let e: Engine;
let owner: Client;
async function prepare(rows: number): Promise<void> {
  e = await engine();
  await databaseClock(e.db, NOW);
  await seed(e.db.ownerUrl, { rows, asOf: NOW });
  await around(e.db.sql);
  owner = new Client(e.db.ownerUrl);
  await owner.connect();
}
async function end(): Promise<void> {
  await owner?.end();
  await e?.stop();
}

/** A dry run's numbers, by the names that a run gives them. */
const said = ({ preview }: RunResult) => ({
  deleted: preview!.expired,
  byRule: Object.fromEntries(
    Object.entries(preview!.byRule).map(([rule, { expired, bytes }]) => [rule, { deleted: expired, bytes }]),
  ),
  bytes: preview!.bytes,
  files: preview!.files,
  along: Object.values(preview!.dependants).reduce((sum, n) => sum + n, 0),
});

/** Its dry run and its run say the same, and what the run did is exactly what was written down. */
async function expectExactly(policy: Policy, request: { batchSize?: number }): Promise<number> {
  await remember(owner, policy.name, AS_OF);
  expect(await hold(e.db.sql, policy)).toBeGreaterThan(1);
  const [truth] = await e.db.sql(`select count(*)::int as n from demo."${policy.name}" where expired`);
  const dry = await e.run(policy, { dryRun: true });
  const run = await e.run(policy, request);
  expect(run).toMatchObject({ outcome: 'succeeded', deleted: truth!.n });
  expect(await differences(owner, policy.name)).toEqual([]);
  expect(await stillThere(e.db.sql, policy.name)).toEqual(
    PERIODS.filter((p) => p.policy === policy.name).flatMap((p) => STAY.map((o) => `${p.hours} hours ${o}`)),
  );
  expect(said(dry)).toEqual({
    deleted: run.deleted,
    byRule: run.byRule,
    bytes: run.bytesFreed,
    files: run.filesQueued,
    along: run.dependantsDeleted,
  });
  return run.deleted;
}

it('each has its truth in plain SQL, its cutoffs and its scopes written down by hand', () => {
  const names = shipped.map((p) => p.name).sort();
  expect(names.filter(isKnown)).toEqual(names);
  expect([...new Set(PERIODS.map((p) => p.policy))].sort()).toEqual(names);
  expect(Object.keys(SCOPES).sort()).toEqual(names);
});

describe('on thousands of rows', () => {
  beforeAll(() => prepare(40_000));
  afterAll(end);

  it.each(shipped.map((p) => [p.name, p] as const))(
    '%s deletes exactly what has expired, to the microsecond, and nothing more when it runs again',
    async (_, policy) => {
      await expectExactly(policy, {});
      expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
      expect(await differences(owner, policy.name)).toEqual([]);
    },
  );
});

describe('on few rows', () => {
  beforeAll(() => prepare(100));
  afterAll(end);

  it.each(shipped.map((p) => [p.name, p] as const))(
    '%s does the same two rows at a time',
    async (_, policy) => {
      expect(await expectExactly(policy, { batchSize: 2 })).toBeGreaterThan(2);
    },
  );
});
