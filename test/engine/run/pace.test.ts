import { afterEach, describe, expect, it } from 'vitest';
import { Company } from '@/lib/engine/run/company';
import { CEILING, FLOOR, startPace, TARGET_IN_COMPANY_MS, TARGET_MS } from '@/lib/engine/run/pace';
import { pressedBy, restMs } from '@/lib/engine/run/pressure';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { type Engine, engine, govern, NOW, runRequest } from '../../support/engine';

describe('pace', () => {
  it('grows toward the target by small steps, never over the ceiling', () => {
    const pace = startPace(1_000);
    pace.took(1);
    expect(pace.size).toBe(1_500);
    for (let i = 0; i < 20; i += 1) pace.took(1);
    expect(pace.size).toBe(CEILING);
    pace.took(TARGET_MS * 4);
    expect(pace.size).toBe(CEILING / 4);
  });

  it('halves when it was too much, and recovers by itself', () => {
    const pace = startPace(1_000);
    pace.tooMuch();
    expect(pace.size).toBe(500);
    pace.took(TARGET_MS / 2);
    expect(pace.size).toBe(750);
  });

  it('gives way down to the floor, and no further', () => {
    const pace = startPace(1_000);
    for (let i = 0; i < 20; i += 1) pace.giveWay();
    expect(pace.size).toBe(FLOOR);
  });

  it('keeps a size that was asked for', () => {
    const pace = startPace(7, true);
    pace.took(1);
    pace.giveWay();
    expect(pace.size).toBe(7);
  });
});

describe('company', () => {
  /** `others` and `own` transactions in each window of a quarter second; who was there after each. */
  const seenIn = (...windows: readonly (readonly [others: number, own: number])[]) => {
    const company = new Company();
    company.saw(1_000, 0);
    let number = 1_000;
    return windows.map(([others, own], i) => {
      for (let n = 0; n < own; n += 1) company.wrote();
      number += others + own;
      company.saw(number, (i + 1) * 250);
      return company.isHere;
    });
  };

  it('is none while only our own batches write, or almost no one else does', () => {
    expect(seenIn([0, 8], [1, 12], [0, 3])).toEqual([false, false, false]);
  });

  it('is noticed when others write, and gone when they stop', () => {
    expect(seenIn([0, 8], [20, 3], [2, 30], [0, 2])).toEqual([false, true, true, false]);
  });

  it('makes the next batch shorter', () => {
    const pace = startPace(1_000);
    pace.took(TARGET_MS, TARGET_IN_COMPANY_MS);
    expect(pace.size).toBe(100);
    // And four fifths of the time are the others'.
    expect(restMs('company', 40, { shareInCompany: 0.2 })).toBe(160);
  });

  it('keeps lanes and long batches away while another session writes, and all the work is done', async () => {
    const e = await engine({ env: { CLEANUP_LANES: '2', CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '90' } });
    try {
      const policy = await govern(e.db);
      // Fifteen rows a block: more than a first batch takes, so that there is something left to be short about.
      await e.db.sql('alter table things set (fillfactor = 10)');
      await e.db.sql(
        `insert into things (at) select $1::timestamptz - interval '40 days' from generate_series(1, 6000)`,
        [NOW.toISOString()],
      );
      await e.db.sql('vacuum analyze things');
      const other = await e.db.session();
      await other.sql('create table elsewhere as select 0 as n');
      let atWork = 0;
      let atOnce = 0;
      const database: Database = {
        async transaction(statements, options) {
          // Few enough rows to be counted at once: as where that takes too long, so that the walk is by blocks.
          if (statements.some((s) => s.text.includes('lapse.due'))) {
            throw new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout (test)');
          }
          const isBatch = statements.some((s) => s.text.includes('enter_batch'));
          if (isBatch) atWork += 1;
          atOnce = Math.max(atOnce, atWork);
          // Far more than eight transactions a second, however slow the machine is.
          await other.sql(
            'do $$ begin for i in 1..100 loop update elsewhere set n = n + 1; commit; end loop; end $$',
          );
          const rows = await e.services.database.transaction(statements, options);
          if (isBatch) atWork -= 1;
          return rows;
        },
      };
      const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
      other.end();
      expect(result).toMatchObject({ outcome: 'succeeded', deleted: 6_000, path: 'heap' });
      expect(atOnce).toBe(1);
      const [first, ...others] = await e.db.sql(
        'select deleted::int as n from retention.receipt order by seq',
      );
      // 128 blocks of fifteen rows, then no more than 750 rows each.
      expect(first).toEqual({ n: 1_920 });
      expect(Math.max(...others.map((r) => Number(r.n)))).toBeLessThanOrEqual(750);
    } finally {
      await e.stop();
    }
  });
});

describe('a busy database', () => {
  let e: Engine;
  afterEach(() => e?.stop());

  async function sizesWhileSomebodyWaits(): Promise<number[]> {
    e = await engine();
    const policy = await govern(e.db);
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - interval '40 days' from generate_series(1, 3000)`,
      [NOW.toISOString()],
    );
    await e.db.sql('analyze things');
    const [holder, waiter] = [await e.db.session(), await e.db.session()];
    await holder.sql('select pg_advisory_lock(1)');
    const wait = waiter.sql('select pg_advisory_lock(1)').catch(() => []);
    for (let seen = 0; seen === 0; ) {
      seen = Number(
        (
          await e.db.sql(
            `select count(*)::int as n from pg_locks join pg_stat_activity using (pid)
             where not granted and datname = current_database()`,
          )
        )[0]?.n,
      );
    }
    const result = await e.run(policy);
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 3_000 });
    const rows = await e.db.sql('select deleted::int as n from retention.receipt order by seq');
    await holder.sql('select pg_advisory_unlock(1)');
    await wait;
    holder.end();
    waiter.end();
    return rows.map((r) => Number(r.n));
  }

  it('gets smaller batches while a session waits for a lock, without one more request', async () => {
    const waiting = await sizesWhileSomebodyWaits();
    expect(waiting.slice(0, 4)).toEqual([1_000, 500, 250, 125]);
    expect(waiting.at(-2)).toBe(FLOOR);
  });

  it('gets smaller batches while many sessions are inside transactions, and all the work is done', async () => {
    e = await engine({ env: { CLEANUP_BUSY_SESSIONS: '2' } });
    const policy = await govern(e.db);
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - interval '40 days' from generate_series(1, 2000)`,
      [NOW.toISOString()],
    );
    await e.db.sql('analyze things');
    const others = await Promise.all([1, 2, 3].map(() => e.db.session()));
    for (const other of others) await other.sql('begin');
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2_000 });
    for (const other of others) other.end();
    const rows = await e.db.sql('select deleted::int as n from retention.receipt order by seq');
    expect(rows.map((r) => r.n).slice(0, 4)).toEqual([1_000, 500, 250, 125]);
  });

  it.each([
    ['a standby far behind', { waiting: 0, sessions: 0, lag: 31 }, 'lag', 1_000],
    ['a crowd', { waiting: 1, sessions: 21, lag: null }, 'sessions', 40],
    ['somebody who waits', { waiting: 1, sessions: 20, lag: 30 }, 'locks', 0],
    ['nobody', { waiting: 0, sessions: 20, lag: null }, null, 0],
  ] as const)('is told by %s', (_, seen, by, rest) => {
    expect(pressedBy(seen, { sessions: 20, lagSeconds: 30 })).toBe(by);
    expect(restMs(by, 40, { shareInCompany: 0.2 })).toBe(rest);
  });
});
