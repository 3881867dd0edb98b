import { afterEach, describe, expect, it } from 'vitest';
import { ALONE, FLOOR, IN_COMPANY, type Pace, startPace } from '@/lib/engine/run/pace';
import { pressedBy, restMs } from '@/lib/engine/run/pressure';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database } from '@/lib/platform/database';
import { type Engine, engine, govern, NOW, runRequest } from '../../support/engine';

describe('pace', () => {
  const sizes = (pace: Pace, batches: number, tookMs: (rows: number) => number, within = ALONE) =>
    Array.from({ length: batches }, () => {
      const rows = pace.next(within);
      pace.took(rows, tookMs(rows), within);
      return rows;
    });

  it('grows toward the target from below, whatever a row costs, and is bounded by time alone', () => {
    for (const microseconds of [2, 8, 100, 1_000]) {
      const took = (rows: number) => 4 + (rows * microseconds) / 1_000;
      const all = sizes(startPace(1_000), 30, took);
      // A first batch of a thousand rows is what it is; a second too long by the 4 ms that no row costs.
      expect(Math.max(...all.slice(1).map(took))).toBeLessThanOrEqual(ALONE.targetMs + 4);
      expect(took(all.at(-1)!)).toBeGreaterThan(ALONE.targetMs * 0.95);
      expect(took(all.at(-1)!)).toBeLessThan(ALONE.targetMs * 1.02);
    }
  });

  it('doubles at most, and takes no more rows than a receipt may hold', () => {
    const all = sizes(startPace(1_000), 20, () => 1);
    expect(all.slice(0, 3)).toEqual([1_000, 2_000, 4_000]);
    expect(Math.max(...all)).toBe(40_000);
  });

  it('shrinks at once by as much as was too long', () => {
    expect(sizes(startPace(10_000), 2, () => ALONE.targetMs * 4)).toEqual([10_000, 2_500]);
  });

  it('reckons with the rows that were sent, where something else bounds them', () => {
    const pace = startPace(10_000);
    pace.took(2_000, ALONE.targetMs, ALONE);
    expect(pace.next(ALONE)).toBe(2_000);
  });

  it('grows from where another lane gave way to, not from what its own batch took', () => {
    const pace = startPace(10_000);
    pace.giveWay();
    pace.giveWay();
    pace.took(10_000, 1, ALONE);
    expect(pace.next(ALONE)).toBe(5_000);
  });

  it('halves when it was too much, and recovers by itself', () => {
    const pace = startPace(1_000);
    pace.tooMuch();
    expect(sizes(pace, 2, () => ALONE.targetMs / 4)).toEqual([500, 1_000]);
  });

  it('gives way down to the floor, and no further', () => {
    const pace = startPace(1_000);
    for (let i = 0; i < 20; i += 1) pace.giveWay();
    expect(pace.next(ALONE)).toBe(FLOOR);
  });

  it('keeps a size that was asked for', () => {
    const pace = startPace(7, true);
    pace.giveWay();
    expect(sizes(pace, 2, () => 1)).toEqual([7, 7]);
    expect(startPace(5_000, true).next(IN_COMPANY)).toBe(5_000);
  });

  it('begins below the floor when it was told to, and may grow from there', () => {
    const pace = startPace(2);
    pace.giveWay();
    expect(sizes(pace, 2, () => 1_000)).toEqual([2, 2]);
    expect(sizes(pace, 2, () => 1)).toEqual([2, 4]);
  });

  it('makes the next batch short in company: 2,000 rows or 15 ms, whichever is less', () => {
    const pace = startPace(10_000);
    expect(sizes(pace, 3, () => 1, IN_COMPANY)).toEqual([2_000, 2_000, 2_000]);
    expect(sizes(pace, 2, () => 60, IN_COMPANY)).toEqual([2_000, 500]);
  });
});

describe('a busy database', () => {
  let e: Engine;
  afterEach(() => e?.stop());

  const sizes = async () =>
    (await e.db.sql('select deleted::int as n from retention.receipt order by seq')).map((r) => Number(r.n));

  async function fill(env: Record<string, string> = {}) {
    e = await engine({ env });
    const policy = await govern(e.db);
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - interval '40 days' from generate_series(1, 3000)`,
      [NOW.toISOString()],
    );
    await e.db.sql('analyze things');
    return policy;
  }

  const until = (condition: string) => `do $$ begin loop exit when exists (
    select from pg_locks where relation = 'things'::regclass and ${condition}); end loop; end $$`;

  it('gets smaller batches while a session waits for a lock of ours, without one more request', async () => {
    const policy = await fill();
    const waiter = await e.db.session();
    let requests = 0;
    const database: Database = {
      async transaction(statements, options) {
        requests += 1;
        if (!statements.some((s) => s.text.includes('enter_batch'))) {
          return e.services.database.transaction(statements, options);
        }
        // Comes when the batch has begun to delete, and the batch looks when the session waits for it.
        const comes = waiter.sql(`begin; ${until("mode = 'RowExclusiveLock' and granted")};
          lock table things in share mode; commit`);
        const wait = { text: until('not granted'), params: [] };
        const rows = await e.services.database.transaction(
          [...statements.slice(0, -1), wait, ...statements.slice(-1)],
          options,
        );
        await comes;
        return [...rows.slice(0, -2), ...rows.slice(-1)];
      },
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
    waiter.end();
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 3_000 });
    const all = await sizes();
    expect(all.slice(0, 4)).toEqual([1_000, 500, 250, 125]);
    expect(all.at(-2)).toBe(FLOOR);
    // Its begin, its batches, the look that proves it, its end.
    expect(requests).toBeLessThanOrEqual(all.length + 4);
  });

  it('makes no room for a session that waits for a lock of another', async () => {
    const policy = await fill();
    const [holder, waiter] = [await e.db.session(), await e.db.session()];
    await holder.sql('select pg_advisory_lock(1)');
    const wait = waiter.sql('select pg_advisory_lock(1)').catch(() => []);
    await holder.sql(`do $$ begin loop exit when exists (select from pg_locks where not granted
      and database = (select oid from pg_database where datname = current_database())); end loop; end $$`);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 3_000 });
    await holder.sql('select pg_advisory_unlock(1)');
    await wait;
    holder.end();
    waiter.end();
    expect((await sizes())[0]).toBe(1_000);
    expect(Math.min(...(await sizes()).slice(0, -1))).toBeGreaterThan(500);
  });

  it('asks how busy it is four times a second, by the clock, and with each batch while it is', async () => {
    const policy = await fill({ CLEANUP_BUSY_SESSIONS: '2' });
    let now = NOW.getTime();
    let others: Awaited<ReturnType<typeof e.db.session>>[] = [];
    const asked: boolean[] = [];
    const database: Database = {
      async transaction(statements, options) {
        const isBatch = statements.some((s) => s.text.includes('enter_batch'));
        if (isBatch) asked.push(statements.some((s) => s.text.includes('pg_locks')));
        if (isBatch && asked.length === 7) {
          others = await Promise.all([1, 2, 3].map(() => e.db.session()));
          for (const other of others) await other.sql('begin');
        }
        if (isBatch && asked.length === 11) for (const other of others) other.end();
        now += 100;
        return e.services.database.transaction(statements, options);
      },
    };
    const services = { ...e.services, database, clock: () => new Date(now) };
    await runPolicy(services, policy, runRequest(NOW, { batchSize: 200 }));
    // 250 ms are over with each third batch; from the seventh on it is crowded, which the first that looks finds.
    expect(asked.slice(0, 11).map(Number)).toEqual([1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1]);
  });

  it('gets smaller batches while many sessions are inside transactions, and all the work is done', async () => {
    const policy = await fill({ CLEANUP_BUSY_SESSIONS: '2' });
    const others = await Promise.all([1, 2, 3].map(() => e.db.session()));
    for (const other of others) await other.sql('begin');
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 3_000 });
    for (const other of others) other.end();
    expect((await sizes()).slice(0, 4)).toEqual([1_000, 500, 250, 125]);
  });

  it.each([
    ['a standby far behind', { waiting: 0, sessions: 0, lag: 31 }, 'lag', 1_000],
    ['a crowd', { waiting: 1, sessions: 21, lag: null }, 'sessions', 40],
    ['somebody who waits', { waiting: 1, sessions: 20, lag: 30 }, 'locks', 0],
    ['nobody', { waiting: 0, sessions: 20, lag: null }, null, 0],
  ] as const)('is told by %s', (_, seen, by, rest) => {
    expect(pressedBy(seen, { sessions: 20, lagSeconds: 30 })).toBe(by);
    expect(restMs(by, 40, 0.2)).toBe(rest);
  });
});
