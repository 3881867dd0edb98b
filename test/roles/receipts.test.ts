/** A receipt is evidence of the batch that wrote it: the app can write no other. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verify } from '@/lib/operators/audit/verify';
import type { Policy } from '@/lib/policies/contract';
import { type AppLogin, appLogin } from '../support/app-login';
import { DAY, type Engine, engine, govern, left, things } from '../support/engine';

let e: Engine;
let app: AppLogin;
let policy: Policy;
beforeEach(async () => {
  e = await engine();
  app = await appLogin(e.db);
  policy = await govern(e.db);
  await app.sql("set statement_timeout = '10s'; set lock_timeout = '1s'");
});
afterEach(async () => {
  await app.end();
  await e.stop();
});

/** A run of the app's own making, which may delete now. */
async function openRun(): Promise<{ run: string; fence: string }> {
  const run = randomUUID();
  const [begun] = await app.sql(
    "select fence::text from retention.begin_run('things', $1, 'v1', now(), 'cron', 'cron', 'c')",
    [run],
  );
  return { run, fence: String(begun?.fence) };
}

const write = (run: string, seq = 1, deleted = 1) =>
  app.refusal(
    `select retention.write_receipt($1, $2, 'delete', 'retention', now(), 'public.things', null, '', '{}', '{}',
       $3, $3, 0, 0, 0, 1, '{}', '{}')`,
    [run, seq, deleted],
  );

const entering = (run: string, fence: string, seq = 1) =>
  `select retention.enter_batch('things', ${fence}, '${run}', ${seq}, 'v1')`;

it('the app writes no receipt by itself, whatever it says', async () => {
  const { run, fence } = await openRun();
  await app.sql('begin');
  await app.sql(entering(run, fence));
  expect(
    await app.refusal(
      `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, uuid_keys,
         locked, deleted, picked) values ($1, 1, 'things', 'v1', 'delete', 'cron', 'retention', now(), 'public.things', '{}', 1, 1, 1)`,
      [run],
    ),
  ).toBe('42501');
  await app.sql('rollback');
  expect(
    await e.db.sql(
      "select p from unnest(array['INSERT', 'UPDATE']) p where has_any_column_privilege('lapse_app', 'retention.receipt', p)",
    ),
  ).toEqual([]);
});

it('the app adds no receipt to a run that is sealed', async () => {
  await things(e.db, [40 * DAY]);
  const { runId } = await e.run(policy);
  expect(await write(runId!, 2)).toBe('LP012');
  expect(await verify(e.services.database)).toMatchObject({ ok: true, receipts: 1 });
});

it('the app writes no receipt outside the transaction of its batch', async () => {
  const { run, fence } = await openRun();
  expect(await write(run)).toBe('LP012');
  await app.sql(`begin; ${entering(run, fence)}; commit`);
  expect(await write(run)).toBe('LP012');
});

it('within its batch the app writes no receipt with another number', async () => {
  const { run, fence } = await openRun();
  await app.sql('begin');
  await app.sql(entering(run, fence));
  expect(await write(run, 2)).toBe('LP012');
  await app.sql('rollback');
});

it('within its batch the app writes no receipt of another run', async () => {
  const { run, fence } = await openRun();
  const other = randomUUID();
  await e.db.sql("insert into retention.policy_state (policy) values ('artifacts')");
  await e.db.sql(
    `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at)
     values ($1, 'artifacts', 'delete', 'cron', 'alice', 'c', 1, 'v9', now(), now())`,
    [other],
  );
  await app.sql('begin');
  await app.sql(entering(run, fence));
  expect(await write(other)).toBe('LP012');
  await app.sql('rollback');
});

it('what a statement deletes while it enters a batch goes without a receipt no more than what went before it', async () => {
  await things(e.db, [DAY, 2 * DAY]);
  const { run, fence } = await openRun();
  const [enter] = entering(run, fence).match(/retention.*/)!;
  for (const text of [
    `with gone as (delete from things returning 1), counted as (select count(*) from gone) select ${enter} from counted`,
    `delete from things returning ${enter}`,
    `delete from things; select ${enter}`,
  ]) {
    await app.sql('begin');
    expect(await app.refusal(text), text).toBe('LP012');
    await app.sql('rollback');
  }
  expect(await left(e.db)).toBe(2);
});

it('a run that has ended in the middle of its batch gets no receipt', async () => {
  const { run, fence } = await openRun();
  await app.sql('begin');
  await app.sql(entering(run, fence));
  await app.sql("select retention.end_run('things', $1, 'succeeded', null, now(), 0, '{}', 'within_sla')", [
    run,
  ]);
  expect(await write(run)).toBe('LP012');
  await app.sql('rollback');
});

it('a receipt names the policy, version and actor of its run, and nothing that went leaves none', async () => {
  const { run, fence } = await openRun();
  await app.sql('begin');
  await app.sql(entering(run, fence));
  expect(await write(run, 1, 0)).toEqual([{ write_receipt: '' }]);
  expect(await app.sql('select 1 from retention.receipt')).toEqual([]);
  expect(await write(run)).toEqual([{ write_receipt: '' }]);
  expect(await app.sql('select policy, policy_version, actor, deleted::int from retention.receipt')).toEqual([
    { policy: 'things', policy_version: 'v1', actor: 'cron', deleted: 1 },
  ]);
  await app.sql('rollback');
});

it('the app finishes, reopens or falsifies no run by itself, and ends none of another policy', async () => {
  const { run } = await openRun();
  for (const text of [
    'update retention.run set deleted = 7',
    "update retention.run set finished_at = null, outcome = null, by_rule = '{}'",
    'delete from retention.run',
    "insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at) values (gen_random_uuid(), 'things', 'delete', 'cron', 'cron', 'c', 9, 'v1', now(), now())",
    'update retention.policy_state set fence = 99',
    'update retention.policy_version set clean_runs = 99',
  ]) {
    expect(await app.refusal(text), text).toBe('42501');
  }
  await app.sql(
    "select retention.end_run('artifacts', $1, 'succeeded', null, now(), 0, '{}', 'within_sla')",
    [run],
  );
  expect(await e.db.sql('select finished_at from retention.run')).toEqual([{ finished_at: null }]);
});

it('rows are set aside only within the batch that tried them', async () => {
  const { run } = await openRun();
  expect(
    await app.refusal(
      "select retention.set_aside('things', 'public.things', $1, 1, now(), '{k}', '{23503}', '{c}')",
      [run],
    ),
  ).toBe('LP012');
  expect(await left(e.db, 'retention.dead_letter')).toBe(0);
});

describe('the app queues no file', () => {
  const queue = (run: string | null, seq: number | null) =>
    app.refusal(
      `insert into retention.outbox (run, seq, policy, table_name, row_key, url, bytes, prefix)
       values ($1, $2, 'things', 'public.things', 'k', 'https://store.example/backups/db.dump', 1, 'backups/')`,
      [run, seq],
    );

  it('without a batch, or outside the transaction of its batch', async () => {
    const { run, fence } = await openRun();
    expect(await queue(null, null)).toBe('LP012');
    expect(await queue(randomUUID(), 1)).toBe('LP012');
    expect(await queue(run, 1)).toBe('LP012');
    await app.sql(`begin; select retention.enter_batch('things', ${fence}, '${run}', 1, 'v1'); commit`);
    expect(await queue(run, 1)).toBe('LP012');
  });

  it('that the receipt of its batch does not count', async () => {
    const { run, fence } = await openRun();
    await app.sql('begin');
    await app.sql("select retention.enter_batch('things', $1, $2, 1, 'v1')", [fence, run]);
    await write(run);
    expect(await queue(run, 1)).toBe('LP012');
    await app.sql('rollback');
    expect(await left(e.db, 'retention.outbox')).toBe(0);
  });

  it('by renaming one that is queued', async () => {
    await e.db.sql(
      "insert into retention.outbox (policy, table_name, row_key, url) values ('things', 'public.things', 'k', 'a.pdf')",
    );
    for (const column of ['url', 'prefix', 'row_key', 'run']) {
      expect(await app.refusal(`update retention.outbox set ${column} = null`), column).toBe('42501');
    }
  });
});
