/** What the walk down a tree has left to the statements behind it. */
import { cte, raw, type Sql, sql } from '../../../platform/sql';
import { type Batch, token } from '../request';
import { stillFree } from './locked';
import { TREE_LEFT } from './tree-left';

/** Part `tree(n, o, c, r)`: every row that goes, as far as it was locked, and the governed row it goes with, one of those of part `roots`. */
export const treeOfRows = (b: Batch, roots: 'clear' | 'locked'): Sql =>
  cte(
    'tree',
    sql`
    select x.n, x.o, x.c, x.r from ${TREE_LEFT}
    where ${token(b)} and x.r in (select c from ${raw(roots)})
  `,
    true,
  );

/** Part `clear(c)`: the locked rows that may still go. */
export const clear = (b: Batch): Sql => stillFree(b, 'clear', sql`t.ctid as c`);
