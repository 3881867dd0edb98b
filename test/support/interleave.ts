/**
 * Random interleavings of holds and batches on real sessions: a policy is run in small batches while holds are
 * placed by organization through the operators' door, each while a random batch is under way, or before the first or
 * after the last. A violation is a row of a held organization that went after the call that placed the hold had returned.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { runPolicy } from '@/lib/engine/run/run';
import { placeHold } from '@/lib/operators/holds';
import type { Database } from '@/lib/platform/database';
import { days, definePolicy } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';

export interface Interleaved {
  readonly rounds: number;
  /** Holds that came in time for some of their rows, and holds whose rows had all gone before. */
  readonly holdsWithRowsLeft: number;
  readonly holdsTooLate: number;
  /** Organization, rows when the hold returned, rows at the end. */
  readonly violations: readonly string[];
}

/** In the past, so that the database's own clock is never the earlier one. */
const NOW = new Date('2026-03-01T02:00:00.000Z');
const EXPIRED = new Date(NOW.getTime() - 40 * 86_400_000).toISOString();
const policy = definePolicy({
  name: 'things',
  description: 'things of a race between holds and batches',
  justification: 'because a proof wants it so',
  ground: 'test',
  schedule: { run: '0 2 * * *' },
  table: { name: 'things' },
  key: [{ column: 'id', type: 'uuid' }],
  clock: { column: 'at', type: 'timestamptz' },
  rules: [{ label: 'all', keepFor: days(30) }],
  scope: { organization: 'org' },
});
const ORGS_A_ROUND = 3;
const ROWS_AN_ORG = 6;

/** Expects the table `things`; makes it when it is not there. */
export async function interleave(
  db: { sql<R extends Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<R[]> },
  services: Services,
  options: { rounds: number; seed: number; told?: (violations: readonly string[]) => void },
): Promise<Interleaved> {
  await db.sql(`create table if not exists things (id uuid primary key default gen_random_uuid(), at timestamptz, org uuid, person uuid, note text);
    create index if not exists things_at on things (at, id); create index if not exists things_org on things (org); grant select, update, delete on things to lapse_app;
    select retention.protect('public.things')`);
  let state = options.seed >>> 0;
  const roll = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * n);
  };
  const quiet: Services = {
    ...services,
    policies: [policy],
    clock: () => NOW,
    settings: { ...services.settings, guards: { massDeletion: false, rollout: false, coolingOffSeconds: 0 } },
  };
  const rowsOf = async (org: string): Promise<number> =>
    Number((await db.sql('select count(*)::int as n from things where org = $1::uuid', [org]))[0]?.n);
  const violations: string[] = [];
  let known = 0;
  let [withRows, tooLate] = [0, 0];

  for (let round = 0; round < options.rounds; round += 1) {
    const orgs = (
      await db.sql<{ id: string }>('select gen_random_uuid()::text as id from generate_series(1, $1)', [
        ORGS_A_ROUND,
      ])
    ).map((o) => o.id);
    // Rows of all organizations mixed, so that every batch has some of each.
    await db.sql(
      `insert into things (at, org) select $1::timestamptz - make_interval(secs => i), ($2::uuid[])[1 + i % $3] from generate_series(1, $4) i`,
      [EXPIRED, orgs, ORGS_A_ROUND, ORGS_A_ROUND * ROWS_AN_ORG],
    );
    const held: { org: string; rows: number }[] = [];
    const place = async (org: string) => {
      await placeHold(
        { services: quiet, operator: 'alice', token: '', reason: 'race' },
        { scope: 'organization', subject: org, force: true },
      );
      held.push({ org, rows: await rowsOf(org) });
    };
    const batchSize = 1 + roll(4);
    const batches = Math.ceil((ORGS_A_ROUND * ROWS_AN_ORG) / batchSize);
    // By batches, not by time: on every machine some come before the first and some after the last.
    let waiting = orgs.slice(0, 2).map((org) => ({ org, at: roll(batches + 3), afterMs: roll(4) }));
    const due = (n: number) => {
      const now = waiting.filter((w) => w.at <= n);
      waiting = waiting.filter((w) => w.at > n);
      return now;
    };
    for (const { org } of due(0)) await place(org);
    const placing: Promise<void>[] = [];
    const whileBatch = (n: number) => {
      for (const { org, afterMs } of due(n)) placing.push(sleep(afterMs).then(() => place(org)));
    };
    await runPolicy({ ...quiet, database: watched(quiet.database, whileBatch) }, policy, {
      trigger: 'cron',
      actor: 'cron',
      correlationId: `round-${round}`,
      deadline: new Date(NOW.getTime() + 240_000),
      dryRun: false,
      batchSize,
    });
    await Promise.all(placing);
    for (const { org } of waiting) await place(org);
    for (const { org, rows } of held) {
      const after = await rowsOf(org);
      if (after !== rows)
        violations.push(`round ${round}: ${org} had ${rows} rows when its hold returned and has ${after}`);
      if (rows > 0) withRows += 1;
      else tooLate += 1;
    }
    await db.sql('truncate things');
    await db.sql(
      "update retention.hold set released_by = 'bob', released_at = now(), release_reason = 'next round' where released_at is null",
    );
    options.told?.(violations.slice(known));
    known = violations.length;
  }
  return { rounds: options.rounds, holdsWithRowsLeft: withRows, holdsTooLate: tooLate, violations };
}

/** Tells the number of each batch when it is sent. */
function watched(database: Database, sent: (n: number) => void): Database {
  let n = 0;
  return {
    transaction: (statements, options) => {
      if (statements.some((s) => s.text.includes('retention.enter_batch'))) {
        n += 1;
        sent(n);
      }
      return database.transaction(statements, options);
    },
  };
}
