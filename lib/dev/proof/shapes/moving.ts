/** Others who take a partition of the governed table off it while rows go, and put it back: a run passes it by, and finds it again. */
import type { Client } from 'pg';
import { type Shape, tableOf } from './shape';

interface Leaf {
  readonly leaf: string;
  readonly above: string;
  readonly bound: string;
}

/** Of a partition that a batch is at, each try waits for its lock; it has to be put back in the end. */
const MOST_TRIES = 20;

export async function moveAPartition(
  client: Client,
  { tables: [governed] }: Shape,
  n: number,
): Promise<void> {
  if (!governed?.partitions) return;
  const { rows } = await client.query<Leaf>(LEAVES, [tableOf(governed)]);
  const moved = rows[n % Math.max(1, rows.length)];
  if (!moved) return;
  const { leaf, above, bound } = moved;
  // What rows of another table refer to stays where it is; so does one that has just been dropped.
  const isOff = await client.query(`alter table ${above} detach partition ${leaf}`).then(
    () => true,
    () => false,
  );
  if (!isOff) return;
  for (let tries = 1; ; tries += 1) {
    try {
      await client.query(`alter table ${above} attach partition ${leaf} ${bound}`);
      return;
    } catch (error) {
      if (tries === MOST_TRIES) throw error;
    }
  }
}

const LEAVES = `with recursive p(oid) as (
    select $1::regclass::oid union all select i.inhrelid from p join pg_inherits i on i.inhparent = p.oid
  )
  select c.oid::regclass::text as leaf, i.inhparent::regclass::text as above, pg_get_expr(c.relpartbound, c.oid) as bound
  from p join pg_class c on c.oid = p.oid join pg_inherits i on i.inhrelid = c.oid where c.relkind = 'r' order by c.relname`;
