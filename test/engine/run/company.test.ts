import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { Company } from '@/lib/engine/run/company';
import { restMs } from '@/lib/engine/run/pressure';
import { runPolicy } from '@/lib/engine/run/run';
import { PROGRESS, Progress } from '@/lib/engine/statement/pressure';
import type { Database, Row } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { sql } from '@/lib/platform/sql';
import type { Services } from '@/lib/services';
import { type Engine, engine, govern, NOW, runRequest, thingsPolicy } from '../../support/engine';

describe('company', () => {
  /** What happened in each quarter of a second; who was there after each. */
  interface Window {
    readonly others?: number;
    /** Batches of this run that left a receipt, and such that left none. */
    readonly mine?: number;
    readonly empty?: number;
    /** Batches of another run of Lapse. */
    readonly second?: number;
  }
  const seenIn = (...windows: readonly Window[]) => {
    const company = new Company('mine');
    let ended = 1_000;
    const runs: Record<string, number> = { mine: 7, second: 90 };
    company.saw({ ended, runs: { ...runs } }, 0);
    return windows.map(({ others = 0, mine = 0, empty = 0, second = 0 }, i) => {
      for (let n = 0; n < empty; n += 1) company.wrote();
      ended += others + mine + empty + second;
      runs.mine! += mine;
      runs.second! += second;
      company.saw({ ended, runs: { ...runs } }, (i + 1) * 250);
      return { isHere: company.isHere, mayBeHere: company.mayBeHere, runs: company.runs };
    });
  };
  const hereIn = (...windows: readonly Window[]) => seenIn(...windows).map((w) => w.isHere);

  it('is none while only our own batches write, with or without a receipt, or almost no one else does', () => {
    expect(hereIn({ mine: 8 }, { empty: 12, others: 1 }, { mine: 3, empty: 9 }, { mine: 4 })).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it('is there after two windows in a row in which others write, and gone after two in which none does', () => {
    expect(
      hereIn({ others: 20 }, { mine: 4 }, { others: 20 }, { others: 2 }, { mine: 9 }, { others: 2 }, {}, {}),
    ).toEqual([false, false, false, true, true, true, true, false]);
  });

  it('may be there from the first of the two on, until the second of the two that end it', () => {
    const windows = seenIn({}, { others: 20 }, {}, { others: 20 }, { others: 20 }, {}, {});
    expect(windows.map((w) => w.mayBeHere)).toEqual([false, true, false, true, true, true, false]);
  });

  it('is not another run of Lapse, which is counted, for they share what one alone may take', () => {
    expect(seenIn({ mine: 5, second: 30 }, { mine: 5, second: 30 }, { mine: 5 })).toEqual([
      { isHere: false, mayBeHere: false, runs: 2 },
      { isHere: false, mayBeHere: false, runs: 2 },
      { isHere: false, mayBeHere: false, runs: 1 },
    ]);
    // And it hides no one.
    expect(hereIn({ second: 30, others: 5 }, { second: 30, others: 5 })).toEqual([false, true]);
  });

  it('is judged again only when a quarter of a second has passed, or the clock was set back', () => {
    const company = new Company('mine');
    company.saw({ ended: 0, runs: {} }, 1_000);
    company.saw({ ended: 100, runs: {} }, 1_020);
    company.saw({ ended: 200, runs: {} }, 1_200);
    expect(company.isHere).toBe(false);
    company.saw({ ended: 900, runs: {} }, 0);
    company.saw({ ended: 901, runs: {} }, 250);
    expect(company.isHere).toBe(false);
    company.saw({ ended: 1_901, runs: {} }, 500);
    company.saw({ ended: 2_901, runs: {} }, 750);
    expect(company.isHere).toBe(true);
  });

  it('leaves the others as much when two runs share a share', () => {
    expect(restMs('company', 40, 0.5)).toBe(40);
    expect(restMs('company', 40, 0.5 / 2)).toBe(120);
  });
});

describe('on a real database', () => {
  let e: Engine;
  afterEach(() => e?.stop());

  const insert = async (table: string, rows: number): Promise<void> => {
    await e.db.sql(
      `insert into ${table} (at) select $1::timestamptz - interval '40 days' from generate_series(1, ${rows})`,
      [NOW.toISOString()],
    );
    await e.db.sql(`vacuum analyze ${table}`);
  };

  interface Rested {
    readonly by: string;
    readonly share: number;
  }
  /** Other tests write on the same server: what ended there, as if only the batches of this database had. */
  async function withoutOthers(rows: Row[][]): Promise<Row[][]> {
    const [counted] = await e.db.sql('select count(*)::int as n from retention.receipt');
    const told = (row: Row): Row =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => {
          if (name === 'pressure') return [name, told(value as Row)];
          return [name, name === 'progress' ? { ...(value as Row), ended: counted!.n } : value];
        }),
      );
    return rows.map((answer) => answer.map(told));
  }

  /** A Lapse by whose clock each request takes a third of a second; `before` runs before each. */
  function beside(
    before: (isBatch: boolean) => Promise<void>,
    heard: (rows: Row[][]) => Promise<Row[][]> = async (rows) => rows,
  ): { services: Services; rests: Rested[] } {
    let now = NOW.getTime();
    const rests: Rested[] = [];
    const write = (line: string) => {
      const { event, by, share } = JSON.parse(line);
      if (event === 'run.rested') rests.push({ by, share });
    };
    const database: Database = {
      async transaction(statements, options) {
        await before(statements.some((s) => s.text.includes('enter_batch')));
        now += 300;
        return heard(await e.services.database.transaction(statements, options));
      },
    };
    const log = pino({ level: 'debug' }, { write });
    return { services: { ...e.services, database, log, clock: () => new Date(now) }, rests };
  }

  /** Far more than eight transactions in a third of a second, by a session that is none of ours. */
  async function writer() {
    const other = await e.db.session();
    await other.sql('create table elsewhere as select 0 as n');
    return {
      write: () =>
        other.sql(
          'do $$ begin for i in 1..100 loop update elsewhere set n = n + 1; commit; end loop; end $$',
        ),
      end: () => other.end(),
    };
  }

  it('keeps lanes and long batches away while another session writes, and all the work is done', async () => {
    e = await engine({ env: { CLEANUP_LANES: '2', CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '90' } });
    const policy = await govern(e.db);
    // Fifteen rows a block: more than a first batch takes, so that there is something left to be short about.
    await e.db.sql('alter table things set (fillfactor = 10)');
    await insert('things', 6_000);
    const other = await writer();
    let atWork = 0;
    let atOnce = 0;
    const { services, rests } = beside(async () => void (await other.write()));
    const database: Database = {
      async transaction(statements, options) {
        // Few enough rows to be counted at once: as where that takes too long, so that the walk is by blocks.
        if (statements.some((s) => s.text.includes('lapse.due'))) {
          throw new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout (test)');
        }
        const isBatch = statements.some((s) => s.text.includes('enter_batch'));
        if (isBatch) atWork += 1;
        atOnce = Math.max(atOnce, atWork);
        const rows = await services.database.transaction(statements, options);
        if (isBatch) atWork -= 1;
        return rows;
      },
    };
    const result = await runPolicy({ ...services, database }, policy, runRequest(NOW));
    other.end();
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 6_000, path: 'heap' });
    expect(atOnce).toBe(1);
    expect(rests.length).toBeGreaterThan(0);
    expect(new Set(rests.map((r) => r.by))).toEqual(new Set(['company']));
    const sizes = await e.db.sql('select deleted::int as n from retention.receipt order by seq');
    expect(Math.max(...sizes.map((r) => Number(r.n)))).toBeLessThanOrEqual(2_000);
  });

  it('works half of the time by the index while another session writes', async () => {
    e = await engine({ env: { CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '80' } });
    const policy = await govern(e.db);
    await insert('things', 6_000);
    const other = await writer();
    const { services, rests } = beside(async () => void (await other.write()));
    const result = await runPolicy(services, policy, runRequest(NOW, { limit: 100_000 }));
    other.end();
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 6_000, path: 'index' });
    expect(rests[0]).toEqual({ by: 'company', share: 0.5 });
  });

  /** Two policies, the second of which sends ten batches behind each of the first's; what the first rested for. */
  async function twoRuns(
    alsoBefore: () => Promise<unknown>,
    heard?: (rows: Row[][]) => Promise<Row[][]>,
  ): Promise<Rested[]> {
    const first = await govern(e.db);
    await e.db.sql('create table more (like things including all)');
    await e.db.sql('grant select, update, delete on more to lapse_app');
    await e.db.sql(`select retention.protect('public.more')`);
    const second = thingsPolicy({ name: 'more', table: { name: 'more' } });
    await insert('things', 2_000);
    await insert('more', 1_000);
    let granted = 0;
    let isOver = false;
    let wake = () => {};
    let arrived = () => {};
    const behind: Database = {
      async transaction(statements, options) {
        if (statements.some((s) => s.text.includes('enter_batch')) && !isOver) {
          if (granted === 0) {
            arrived();
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
          granted -= 1;
        }
        return e.services.database.transaction(statements, options);
      },
    };
    const { services, rests } = beside(async (isBatch) => {
      await alsoBefore();
      if (!isBatch) return;
      const waits = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      granted = 10;
      wake();
      await Promise.race([waits, secondEnded]);
    }, heard);
    const begun = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const running = runPolicy({ ...e.services, database: behind }, second, runRequest(NOW, { batchSize: 5 }));
    const secondEnded = running.then(() => undefined);
    await begun;
    const result = await runPolicy(services, first, runRequest(NOW, { batchSize: 100 }));
    isOver = true;
    wake();
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 2_000 });
    expect(await running).toMatchObject({ outcome: 'succeeded', deleted: 1_000 });
    return rests;
  }

  it('counts the transactions that have ended, not those under way, its own among them', async () => {
    e = await engine();
    const { write, end } = await writer();
    await write();
    const [open, asking] = [await e.db.session(), await e.db.session()];
    for (const session of [open, asking]) await session.sql('begin; select pg_current_xact_id()');
    await write();
    // Told by PostgreSQL, number by number, of the same snapshot.
    const [from, to] = [
      sql`pg_snapshot_xmin(pg_current_snapshot())`,
      sql`pg_snapshot_xmax(pg_current_snapshot())`,
    ];
    const oracle = sql`select ${PROGRESS} as progress, ${from}::text::float8 + (
        select count(*) from generate_series(${from}::text::bigint, ${to}::text::bigint - 1) n
        where pg_visible_in_snapshot(n::text::xid8, pg_current_snapshot()) and n::text <> pg_current_xact_id()::text
      ) as ended, ${to}::text::float8 as next`;
    const [seen] = await asking.sql(oracle.text);
    expect(Progress.parse(seen!.progress)).toEqual({ ended: seen!.ended, runs: {} });
    expect(Number(seen!.next) - Number(seen!.ended)).toBeGreaterThanOrEqual(2);
    end();
  });

  it('does not take another run of ours for company', async () => {
    e = await engine({ env: { CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '80' } });
    expect(await twoRuns(async () => {}, withoutOthers)).toEqual([]);
  });

  it('shares its share with another run of ours while others write', async () => {
    e = await engine({ env: { CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '80' } });
    const other = await writer();
    const rests = await twoRuns(other.write);
    other.end();
    expect(rests[0]).toEqual({ by: 'company', share: 0.25 });
  });
});
