/**
 * A table partitioned in any way is asked partition by partition, some of them a statement: asked as a whole it would be
 * planned, and locked, with all of its partitions, and PostgreSQL has room for some six thousand locks.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import type { Asking, Limits } from '../../platform/session';
import { constant, type Sql, sql, united } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { DUE_CAP } from './drained';
import type { Leg } from './leg';
import { type Walk, walkOf } from './legs';
import { byClock } from './legs/columns';
import { mayGo } from './predicate';

/** Each costs its planning, some tenths of a millisecond, and two or more locks. */
const TOGETHER = 200;
/** A statement of so many partitions on a cold catalog. */
const LIMITS: Limits = { statementMs: 15_000 };

/** A leg on a partition, with the policy as it is there. */
export interface OnLeaf {
  readonly leg: Leg;
  readonly policy: Policy;
}

const Found = z.object({ i: z.coerce.number().int() }).transform((row) => row.i);
const Counted = z.object({ n: z.coerce.number().int() }).transform((row) => row.n);

/** Directly within `exists` PostgreSQL would drop the order, and with it the index. */
const first = (w: Walk, where: Sql): Sql =>
  sql`exists (select 1 from (${w.each(sql`1`, where, sql` order by ${byClock(w.policy)} limit 1`)}) x)`;

const chunks = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / TOGETHER) }, (_, i) =>
    all.slice(i * TOGETHER, (i + 1) * TOGETHER),
  );

/** Numbers of those for which it is true. */
const numbersOf = (leaves: readonly OnLeaf[], asOf: string, where: (w: Walk) => Sql): Query<number[]> =>
  query(
    united(
      leaves.map(({ policy, leg }, i) => {
        const w = walkOf(policy, leg, asOf);
        return sql`select ${constant(i)} as i where ${first(w, where(w))}`;
      }),
    ),
    rows(Found),
  );

/** Those with a row before their cutoff, whatever keeps it. */
export async function withDueRows<L extends OnLeaf>(
  leaves: readonly L[],
  asOf: string,
  reading: Asking,
): Promise<L[]> {
  const found: L[] = [];
  for (const some of chunks(leaves)) {
    const numbers = await reading.askOne(
      numbersOf(some, asOf, (w) => w.due),
      LIMITS,
    );
    found.push(...some.filter((_, i) => numbers.includes(i)));
  }
  return found;
}

/** Whether a row that may go is left in any of them. */
export async function leftOnLeaves(
  leaves: readonly OnLeaf[],
  asOf: string,
  reading: Asking,
): Promise<boolean> {
  for (const some of chunks(leaves)) {
    if ((await reading.askOne(numbersOf(some, asOf, mayGo), LIMITS)).length > 0) return true;
  }
  return false;
}

/** Rows before their cutoff in all of them, held or not, counted up to DUE_CAP + 1. */
export async function countOnLeaves(
  leaves: readonly OnLeaf[],
  asOf: string,
  reading: Asking,
): Promise<number> {
  let total = 0;
  for (const some of chunks(leaves)) {
    const counts = some.map(({ policy, leg }) => {
      const w = walkOf(policy, leg, asOf);
      return sql`select 1 from (${w.each(sql`1`, w.past)}) x`;
    });
    const counted = sql`select count(*)::text as n from (${united(counts)} limit ${constant(DUE_CAP + 1)}) y`;
    const [n] = await reading.askOne(query(counted, rows(Counted)), LIMITS);
    total = Math.min(total + n!, DUE_CAP + 1);
    if (total > DUE_CAP) break;
  }
  return total;
}
