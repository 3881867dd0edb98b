/** The ways people delete a backlog today, each on a fresh copy of the same table, and Lapse's own. */
import { availableParallelism } from 'node:os';
import type { Client } from 'pg';
import { DUE_CAP } from '../../engine/statement/drained';
import { runLapse } from './lapse';

export interface WayFigures {
  readonly gone: number;
  /** The longest transaction, in milliseconds: the time its row locks were held. */
  readonly longestLockMs: number;
  /** Statements or HTTP requests a client sent. */
  readonly requests: number;
}

export interface Way {
  readonly name: string;
  /** Deletes every quiz completed before `cutoff`. */
  run(owner: Client, cutoff: string, env: Record<string, string>): Promise<WayFigures>;
  /** Deleting row by row takes too long for a million rows: only so many; its rows/s are still compared. */
  readonly most?: number;
}

const PROCEDURE = `create procedure bench_delete(cutoff timestamptz, n int, inout gone bigint, inout longest float8) language plpgsql as $$
declare k int; began timestamptz;
begin
  loop
    began := clock_timestamp();
    delete from quiz_responses where ctid in (select ctid from quiz_responses where completed_at < cutoff and completed_at > '-infinity' limit n);
    get diagnostics k = row_count;
    exit when k = 0;
    gone := gone + k;
    commit;
    longest := greatest(longest, extract(epoch from clock_timestamp() - began) * 1000);
  end loop;
end $$`;

const due = `completed_at < $1 and completed_at > '-infinity'`;

/** Sends statements one by one, each a transaction of its own, and keeps the longest. */
function timed(owner: Client) {
  const seen = { longestLockMs: 0, requests: 0 };
  return {
    seen,
    async query(text: string, params: readonly unknown[] = []) {
      const began = performance.now();
      const result = await owner.query(text, [...params]);
      seen.longestLockMs = Math.max(seen.longestLockMs, performance.now() - began);
      seen.requests += 1;
      return result;
    },
  };
}

export async function byProcedure(owner: Client, cutoff: string, n: number): Promise<WayFigures> {
  await owner.query(PROCEDURE);
  const { rows } = await owner.query(`call bench_delete($1, $2, 0, 0)`, [cutoff, n]);
  return { gone: Number(rows[0].gone), longestLockMs: Number(rows[0].longest), requests: 1 };
}

export async function byKeyset(owner: Client, cutoff: string): Promise<WayFigures> {
  const { seen, query } = timed(owner);
  for (let gone = 0; ; ) {
    const r = await query(
      `delete from quiz_responses where id in (select id from quiz_responses where ${due} order by completed_at, id limit 1000)`,
      [cutoff],
    );
    if (!r.rowCount) return { gone, ...seen };
    gone += r.rowCount;
  }
}

export async function byOneDelete(owner: Client, cutoff: string): Promise<WayFigures> {
  const { seen, query } = timed(owner);
  const r = await query(`delete from quiz_responses where ${due}`, [cutoff]);
  return { gone: r.rowCount ?? 0, ...seen };
}

/** One core is left to the client and to everybody else; with two cores a second lane still gains. */
export const LANES = [1, 2, 3].filter((lanes) => lanes <= Math.max(2, availableParallelism() - 1));

const byLapse = (path: 'index' | 'heap', lanes: number): Way => ({
  name: `Lapse, ${path}, ${lanes} lane${lanes === 1 ? '' : 's'}`,
  async run(_, cutoff, env) {
    const run = await runLapse(env, cutoff, { path: path === 'index' ? 'index' : 'auto', lanes });
    if (run.path !== path) throw new Error(`a walk by the ${path} went by the ${run.path}`);
    return {
      gone: run.deleted,
      longestLockMs: run.longestLockMs,
      requests: run.requests.postgres + run.requests.redis,
    };
  },
});

/** Six in ten rows are overdue, and a run goes by the blocks of a table only when more than DUE_CAP are. */
export const LEAST_ROWS = 2 * DUE_CAP;

export const ways: readonly Way[] = [
  { name: 'one unbounded DELETE', run: byOneDelete },
  ...[1_000, 5_000, 20_000].map((n) => ({
    name: `PL/pgSQL procedure, ${n} a commit`,
    run: (owner: Client, cutoff: string) => byProcedure(owner, cutoff, n),
  })),
  { name: 'keyset batches of 1000 without a cursor', run: byKeyset },
  {
    name: 'row by row, as an ORM does',
    most: 5_000,
    run: async (owner, cutoff) => {
      const { seen, query } = timed(owner);
      const rows = await owner.query(
        `select id from quiz_responses where ${due} order by completed_at limit 5000`,
        [cutoff],
      );
      for (const { id } of rows.rows) await query('delete from quiz_responses where id = $1', [id]);
      return { gone: rows.rows.length, ...seen };
    },
  },
  {
    name: 'copy to an archive table, then DELETE',
    run: async (owner, cutoff) => {
      await owner.query('create table bench_archive (like quiz_responses)');
      const began = performance.now();
      await owner.query('begin');
      await owner.query(`insert into bench_archive select * from quiz_responses where ${due}`, [cutoff]);
      const r = await owner.query(`delete from quiz_responses where ${due}`, [cutoff]);
      await owner.query('commit');
      return { gone: r.rowCount ?? 0, longestLockMs: performance.now() - began, requests: 4 };
    },
  },
  ...(['index', 'heap'] as const).flatMap((path) => LANES.map((lanes) => byLapse(path, lanes))),
];
