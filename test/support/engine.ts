/**
 * A whole Lapse on a database of its own, with the clock passed in. `govern` makes a small table and the
 * policy that governs it, for the cases the shipped policies do not show.
 */
import { randomUUID } from 'node:crypto';
import type { RunResult } from '@/lib/engine/run/result';
import { type RunRequest, runPolicy } from '@/lib/engine/run/run';
import { catalogFacts, judgeFacts } from '@/lib/engine/statement/preflight';
import type { Problem } from '@/lib/platform/errors';
import { table } from '@/lib/platform/sql';
import { permanentTables } from '@/lib/policies';
import { days, definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { createServices, type Services } from '@/lib/services';
import { type TestDatabase, testDatabase } from './database';
import { REVIEW } from './order-review';

/** In the past, so that the database's own clock is never the earlier one. */
export const NOW = new Date('2026-03-01T02:00:00.000Z');
export const ago = (seconds: number, from = NOW): string =>
  new Date(from.getTime() - seconds * 1000).toISOString();
export const DAY = 86_400;

export interface Engine {
  readonly db: TestDatabase;
  readonly services: Services;
  run(policy: Policy, request?: Partial<RunRequest>): Promise<RunResult>;
  stop(): Promise<void>;
}

export async function engine(
  options: { now?: Date; env?: Record<string, string>; db?: TestDatabase } = {},
): Promise<Engine> {
  const db = options.db ?? (await testDatabase());
  const services: Services = {
    ...createServices({
      ...db.env,
      CRON_SECRET: 'a-secret-of-the-tests',
      VERCEL_ENV: 'production',
      LOG_LEVEL: 'silent',
      // The guard rails have tests of their own; the engine's are about what happens once they let go.
      LAPSE_MASS_DELETION_GUARD: 'off',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
      LAPSE_COOLING_OFF_DAYS: '0',
      // Other tests write on the same server: they are no company to make room for.
      CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '100',
      LAPSE_NAMESPACE: `test-${randomUUID()}`,
      ...options.env,
    }),
    orderReview: REVIEW,
    clock: () => options.now ?? NOW,
    // The same attempts, without the waiting.
    backoff: { retries: 8, minTimeout: 1, maxTimeout: 5, factor: 1, randomize: false },
  };
  return {
    db,
    services,
    run: async (policy, request) => {
      await protect(db, policy);
      return runPolicy(services, policy, runRequest(options.now ?? NOW, request));
    },
    stop: () => db.stop(),
  };
}

/** What its owner runs for each table that rows leave by a batch. */
export async function protect(db: TestDatabase, policy: Policy): Promise<void> {
  const going = policy.dependants.filter((d) => d.fate === 'delete').map((d) => d.table);
  const contents = (policy.contents ?? []).map((c) => c.table);
  const names = [policy.table, ...going, ...contents].map(table);
  await db.sql(`select retention.protect(t) from unnest($1::text[]) t where to_regclass(t) is not null`, [
    names,
  ]);
}

/** Sets the clock of this test's own database, by which marks, cooling-offs and grace periods begin and end. */
export async function databaseClock(db: TestDatabase, at: Date): Promise<void> {
  await db.sql(`create or replace function retention.clock() returns timestamptz language sql volatile
    set search_path = pg_catalog, pg_temp as $$ select '${at.toISOString()}'::timestamptz $$`);
}

export const runRequest = (now: Date, request: Partial<RunRequest> = {}): RunRequest => ({
  trigger: 'cron',
  actor: 'cron',
  correlationId: randomUUID(),
  deadline: new Date(now.getTime() + 240_000),
  dryRun: false,
  ...request,
});

/** Table `things(id, at, org, person)` with its policy: 30 days after `at`. */
export async function govern(db: TestDatabase, changes: Partial<PolicyInput> = {}): Promise<Policy> {
  await db.sql(`create table things (
    id uuid primary key default gen_random_uuid(), at timestamptz, org uuid, person uuid, note text
  )`);
  await db.sql('create index on things (at, id)');
  await db.sql('grant select, update, delete on things to lapse_app');
  await db.sql(`select retention.protect('public.things')`);
  return thingsPolicy(changes);
}

export const thingsPolicy = (changes: Partial<PolicyInput> = {}): Policy =>
  definePolicy({
    name: 'things',
    description: 'things of the tests',
    justification: 'because a test wants it so',
    ground: 'test',
    schedule: { run: '0 2 * * *' },
    table: { name: 'things' },
    key: [{ column: 'id', type: 'uuid' }],
    clock: { column: 'at', type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: days(30) }],
    scope: { organization: 'org', user: 'person' },
    ...changes,
  });

/** Inserts things of the given ages in seconds; gives their ids in that order. */
export async function things(
  db: TestDatabase,
  ages: readonly (number | null)[],
  from = NOW,
): Promise<string[]> {
  const rows = await db.sql(
    `insert into things (at) select case when a is null then null else $2::timestamptz - make_interval(secs => a) end
     from unnest($1::float8[]) with ordinality x(a, n) order by n returning id::text`,
    [ages as unknown[], from.toISOString()],
  );
  return rows.map((r) => String(r.id));
}

/** Ids named by receipts, each with how often. */
export async function receipted(db: TestDatabase): Promise<Map<string, number>> {
  const rows = await db.sql(
    'select k, count(*)::int as n from retention.receipt r, unnest(retention.keys_of(r)) k group by k',
  );
  return new Map(rows.map((r) => [String(r.k), Number(r.n)]));
}

export const left = async (db: TestDatabase, table = 'things'): Promise<number> =>
  Number((await db.sql(`select count(*)::int as n from ${table}`))[0]?.n);

/** What keeps a policy from deleting in a migrated database; empty when it fits. */
export async function fitsDatabase(e: Engine, policy: Policy): Promise<readonly Problem[]> {
  const [rows] = await e.services.database.transaction([catalogFacts(policy)], {
    readOnly: true,
    timeoutMs: 10_000,
  });
  return judgeFacts(policy, rows?.[0]?.facts, permanentTables);
}
