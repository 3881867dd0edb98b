/**
 * Every guard of a batch's transaction by itself, in plain SQL: what another guard behind it would catch as well does
 * not count here.
 */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, type TestSession, testDatabase } from '../../support/database';

let db: TestDatabase;
beforeEach(async () => {
  db = await testDatabase();
});
afterEach(() => db.stop());

const LIMITS = `set local statement_timeout = '5s'; set local lock_timeout = '300ms'`;

/** Begins a run of policy `things`; returns its id and fence. */
async function begin(id = randomUUID(), version = 'v1'): Promise<{ id: string; fence: string }> {
  const [row] = await db.sql<{ fence: string }>(
    `select fence::text from retention.begin_run('things', $1::uuid, $2, now(), 'cron', 'cron', 'test')`,
    [id, version],
  );
  return { id, fence: row!.fence };
}

const end = (id: string, outcome = 'succeeded') =>
  db.sql(`select retention.end_run('things', $1::uuid, $2, null, now(), 0, '{}', 'within_sla')`, [
    id,
    outcome,
  ]);

const enterSql = (run: { id: string; fence: string }, seq = 1, version = 'v1', policy = 'things') =>
  `select retention.enter_batch('${policy}', ${run.fence}, '${run.id}', ${seq}, '${version}')`;

/** In a transaction of its own that is undone. */
async function within(
  work: (s: TestSession) => Promise<unknown>,
  start = `begin; ${LIMITS}`,
): Promise<unknown> {
  const s = await db.session();
  try {
    await s.sql(start);
    return await work(s);
  } finally {
    s.end();
  }
}
const entering = (...args: Parameters<typeof enterSql>) => within((s) => s.sql(enterSql(...args)));
const code = (sqlState: string) => expect.objectContaining({ code: sqlState });

const receipt = (run: string, seq: number, changes: Record<string, string> = {}) => {
  const all: Record<string, string> = {
    run: `'${run}'`,
    seq: String(seq),
    policy: `'things'`,
    policy_version: `'v1'`,
    action: `'delete'`,
    actor: `'cron'`,
    reason: `'retention'`,
    as_of: 'now()',
    table_name: `'public.things'`,
    keys: `'{a,b}'`,
    locked: '2',
    deleted: '2',
    picked: '2',
    ...changes,
  };
  return `insert into retention.receipt (${Object.keys(all).join(', ')}) values (${Object.values(all).join(', ')})`;
};

describe('a batch is refused', () => {
  it('after its run has ended', async () => {
    const run = await begin();
    await end(run.id);
    await db.sql(`update retention.policy_state set fence = $1::bigint`, [run.fence]);
    await expect(entering(run)).rejects.toEqual(code('LP002'));
  });

  it('under another version than its run began with', async () => {
    await expect(entering(await begin(), 1, 'v2')).rejects.toEqual(code('LP002'));
  });

  it('with another fence, whatever run may delete now', async () => {
    const run = await begin();
    await expect(entering({ ...run, fence: String(Number(run.fence) + 1) })).rejects.toEqual(code('LP002'));
    await expect(entering({ ...run, fence: String(Number(run.fence) - 1) })).rejects.toEqual(code('LP002'));
  });

  it('of another run, whatever the fence', async () => {
    const run = await begin();
    await expect(entering({ ...run, id: randomUUID() })).rejects.toEqual(code('LP002'));
  });

  it('of a policy nobody knows', async () => {
    await expect(entering(await begin(), 1, 'v1', 'other')).rejects.toEqual(code('LP001'));
  });

  it('while its policy is paused', async () => {
    const run = await begin();
    await db.sql(
      `update retention.policy_state set paused = true, paused_by = 'a', paused_reason = 'r', paused_at = now()`,
    );
    await expect(entering(run)).rejects.toEqual(code('LP003'));
  });

  it('while everything is stopped', async () => {
    const run = await begin();
    await db.sql(
      `update retention.kill_switch set stopped = true, stopped_by = 'a', reason = 'r', stopped_at = now()`,
    );
    await expect(entering(run)).rejects.toEqual(code('LP003'));
  });

  it('when its receipt is there', async () => {
    const run = await begin();
    await db.sql(receipt(run.id, 1));
    await expect(entering(run, 1)).rejects.toEqual(code('LP004'));
    await expect(entering(run, 2)).resolves.toBeDefined();
  });

  it.each(['repeatable read', 'serializable'])(
    'under %s, where it would judge by an old look',
    async (level) => {
      const run = await begin();
      const start = `begin isolation level ${level}; ${LIMITS}`;
      await expect(within((s) => s.sql(enterSql(run)), start)).rejects.toEqual(code('LP005'));
    },
  );

  it.each([
    ['statement_timeout', `begin; set local lock_timeout = '1s'; set local statement_timeout = 0`],
    ['lock_timeout', `begin; set local statement_timeout = '1s'; set local lock_timeout = 0`],
  ])('without %s', async (_, start) => {
    const run = await begin();
    await expect(within((s) => s.sql(enterSql(run)), start)).rejects.toEqual(code('LP006'));
  });
});

describe('the instant a run counts back from', () => {
  const asOf = (started: string) =>
    db.sql<{ past: boolean }>(
      `select as_of <= clock_timestamp() as past from retention.begin_run('things', $1::uuid, 'v1', ${started}, 'cron', 'cron', 'test')`,
      [randomUUID()],
    );

  it('is never that of a clock that runs ahead', async () => {
    expect(await asOf(`now() + interval '1 day'`)).toEqual([{ past: true }]);
    expect(await asOf(`now() - interval '1 day'`)).toEqual([{ past: true }]);
  });
});

describe('while a batch is running, waits', () => {
  const pause = `update retention.policy_state set paused = true, paused_by = 'a', paused_reason = 'r', paused_at = now()`;
  const newRun = () =>
    `select * from retention.begin_run('things', '${randomUUID()}', 'v1', now(), 'cron', 'cron', 'test')`;

  it.each([
    ['a pause of its policy', pause],
    ['a run that takes over', newRun()],
    [
      'the switch for all',
      `update retention.kill_switch set stopped = true, stopped_by = 'a', reason = 'r', stopped_at = now()`,
    ],
    [
      'a hold',
      `insert into retention.hold (scope, subject, reason, placed_by) values ('user', 'u', 'm', 'a')`,
    ],
    [
      'an extension',
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.things', 'k', now(), 'm', 'a')`,
    ],
    [
      'a period of one tenant',
      `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by) values ('things', 't', 1, 'm', 'a')`,
    ],
    ['a second sending of the same batch', null],
  ])('%s', async (_, change) => {
    const run = await begin();
    const batch = await db.session();
    await batch.sql(`begin; ${LIMITS}`);
    await batch.sql(enterSql(run));
    const other = await db.session();
    const asked = change ?? enterSql(run);
    await other.sql(`begin; ${LIMITS}`);
    await expect(other.sql(asked)).rejects.toEqual(code('55P03'));
    await other.sql('rollback');
    await batch.sql('rollback');
    await other.sql(`begin; ${LIMITS}`);
    await expect(other.sql(asked)).resolves.toBeDefined();
  });

  it('nothing of another policy, nor the next batch of the same run', async () => {
    const run = await begin();
    await db.sql(`insert into retention.policy_state (policy) values ('other')`);
    const batch = await db.session();
    await batch.sql(`begin; ${LIMITS}`);
    await batch.sql(enterSql(run));
    await expect(entering(run, 2)).resolves.toBeDefined();
    await expect(within((s) => s.sql(`${pause} where policy = 'other'`))).resolves.toBeDefined();
  });
});

describe('a batch rolls back when', () => {
  it.each([
    ['fewer rows were deleted than locked', { locked: '3' }, 0],
    ['its receipt names fewer rows than were deleted', { keys: `'{a}'` }, 0],
    ['its receipt names more rows than were deleted', { keys: `'{a,b,c}'` }, 0],
    ['a row it names is still there', {}, 1],
  ])('%s', async (_, changes, still) => {
    const run = await begin();
    await expect(
      within(async (s) => {
        await s.sql(enterSql(run));
        await s.sql('create temp table gone as select generate_series(1, 2) as id');
        await s.sql(receipt(run.id, 1, changes));
        await s.sql(`select retention.confirm_batch('${run.id}', 1, ${still})`);
      }),
    ).rejects.toEqual(code('LP007'));
  });
});

it('a batch rolls back when its receipt counts rows that went along and does not name them', async () => {
  const run = await begin();
  await expect(
    within(async (s) => {
      await s.sql(enterSql(run));
      await s.sql('create table things (id int); create table notes (id int)');
      await s.sql('insert into things values (1), (2); insert into notes values (1), (2), (3)');
      await s.sql('delete from things; delete from notes');
      await s.sql(receipt(run.id, 1, { dependants_deleted: '3', dependants: `'{"public.notes": ["1"]}'` }));
      await s.sql(`select retention.confirm_batch('${run.id}', 1, 0)`);
    }),
  ).rejects.toEqual(code('LP013'));
});

describe('the end of a run', () => {
  const record = async (id: string) =>
    (
      await db.sql(
        `select outcome, reason, sealed_at is not null as sealed from retention.run where id = $1::uuid`,
        [id],
      )
    )[0];

  it('that was closed as lost does not rewrite its record', async () => {
    const a = await begin();
    await begin();
    await end(a.id);
    expect(await record(a.id)).toMatchObject({ outcome: 'interrupted', reason: 'lost' });
  });

  it('that another run followed leaves that one the right to delete', async () => {
    const a = await begin();
    const b = await begin();
    await end(a.id);
    expect(await db.sql('select run_now from retention.policy_state')).toEqual([{ run_now: b.id }]);
    await expect(entering(b)).resolves.toBeDefined();
  });

  it('of another policy is nobody’s to end', async () => {
    const run = await begin();
    await db.sql(`insert into retention.policy_state (policy) values ('other')`);
    await db.sql(
      `select retention.end_run('other', $1::uuid, 'succeeded', null, now(), 0, '{}', 'within_sla')`,
      [run.id],
    );
    expect(await record(run.id)).toMatchObject({ outcome: null });
    await expect(entering(run)).resolves.toBeDefined();
  });

  it('seals nothing while the run may still delete', async () => {
    const a = await begin();
    await db.sql(receipt(a.id, 1));
    await db.sql(`select retention.close_run($1::uuid, 'succeeded', null, now(), 0, '{}', 'within_sla')`, [
      a.id,
    ]);
    expect(await record(a.id)).toMatchObject({ outcome: 'succeeded', sealed: false });
    await end(a.id);
    await db.sql(`select retention.seal_run($1::uuid)`, [a.id]);
    expect(await record(a.id)).toMatchObject({ sealed: true });
  });

  it('that is closed late does not stand for the last run', async () => {
    const a = await begin();
    await db.sql(`update retention.run set started_at = now() - interval '1 day' where id = $1::uuid`, [
      a.id,
    ]);
    const b = await begin(randomUUID());
    await end(b.id);
    expect(await db.sql('select run from retention.last_run')).toEqual([{ run: b.id }]);
    await db.sql(
      `update retention.run set finished_at = null, outcome = null, reason = null, sealed_at = null where id = $1::uuid`,
      [a.id],
    );
    await db.sql(`select retention.close_run($1::uuid, 'interrupted', 'lost', now(), 0, '{}', null)`, [a.id]);
    expect(await db.sql('select run from retention.last_run')).toEqual([{ run: b.id }]);
  });
});
