/** The ways people delete a backlog today, each on a fresh copy of the same table, and Lapse's own. */
import type { Client } from 'pg';
import { runLapse } from './lapse';

export interface Way {
  readonly name: string;
  /** Deletes every quiz completed before `cutoff`; gives how many. */
  run(owner: Client, cutoff: string, env: Record<string, string>): Promise<number>;
  /** Row by row does not do a million: this many, and its rows/s are compared all the same. */
  readonly most?: number;
}

const PROCEDURE = `create procedure bench_delete(cutoff timestamptz, n int, inout gone bigint) language plpgsql as $$
declare k int;
begin
  loop
    delete from quiz_responses where ctid in (select ctid from quiz_responses where completed_at < cutoff and completed_at > '-infinity' limit n);
    get diagnostics k = row_count;
    exit when k = 0;
    gone := gone + k;
    commit;
  end loop;
end $$`;

const due = `completed_at < $1 and completed_at > '-infinity'`;

export const ways: readonly Way[] = [
  {
    name: 'one unbounded DELETE',
    run: async (owner, cutoff) =>
      (await owner.query(`delete from quiz_responses where ${due}`, [cutoff])).rowCount ?? 0,
  },
  ...[1_000, 5_000, 20_000].map((n) => ({
    name: `PL/pgSQL procedure, ${n} a commit`,
    run: async (owner: Client, cutoff: string) => {
      await owner.query(PROCEDURE);
      const done = await owner.query(`call bench_delete($1, ${n}, 0)`, [cutoff]);
      return Number(done.rows[0].gone);
    },
  })),
  {
    name: 'keyset batches of 1000 without a cursor',
    run: async (owner, cutoff) => {
      for (let gone = 0; ; ) {
        const r = await owner.query(
          `delete from quiz_responses where id in (select id from quiz_responses where ${due} order by completed_at, id limit 1000)`,
          [cutoff],
        );
        if (!r.rowCount) return gone;
        gone += r.rowCount;
      }
    },
  },
  {
    name: 'row by row, as an ORM does',
    most: 5_000,
    run: async (owner, cutoff) => {
      const rows = await owner.query(
        `select id from quiz_responses where ${due} order by completed_at limit 5000`,
        [cutoff],
      );
      for (const { id } of rows.rows) await owner.query('delete from quiz_responses where id = $1', [id]);
      return rows.rows.length;
    },
  },
  {
    name: 'copy to an archive table, then DELETE',
    run: async (owner, cutoff) => {
      await owner.query('create table bench_archive (like quiz_responses)');
      await owner.query('begin');
      await owner.query(`insert into bench_archive select * from quiz_responses where ${due}`, [cutoff]);
      const r = await owner.query(`delete from quiz_responses where ${due}`, [cutoff]);
      await owner.query('commit');
      return r.rowCount ?? 0;
    },
  },
  ...(['index', 'heap, 1 lane', 'heap, 2 lanes'] as const).map((how) => ({
    name: `Lapse, ${how}`,
    run: (_: Client, cutoff: string, env: Record<string, string>) => lapse(how, cutoff, env),
  })),
];

async function lapse(how: string, cutoff: string, env: Record<string, string>): Promise<number> {
  const lanes = how.includes('2') ? 2 : 1;
  return (await runLapse(env, cutoff, { path: how === 'index' ? 'index' : 'auto', lanes })).deleted;
}
