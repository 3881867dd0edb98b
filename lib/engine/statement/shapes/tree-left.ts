/** What the walk down a tree leaves in settings of the transaction (retention.leave_tree). */
import { literal, type Sql, sql } from '../../../platform/sql';

export const setting = (called: string): Sql =>
  sql`nullif(current_setting(${literal(`lapse.${called}`)}, true), '')`;

/** Every row that was found: its place in the tree, where it lies, and the governed row it goes with. */
export const TREE_LEFT: Sql = sql`unnest(${setting('tree_n')}::int[], ${setting('tree_o')}::oid[], ${setting('tree_c')}::tid[], ${setting('tree_r')}::tid[]) x(n, o, c, r)`;
