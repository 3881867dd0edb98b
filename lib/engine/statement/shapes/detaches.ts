/**
 * As locked, and rows that stay lose their reference to those that go, in statements between the two. What may not go after
 * all is let out first, so that nothing is taken from a row whose parent stays.
 */
import { list, sql, withParts } from '../../../platform/sql';
import { detaching } from '../detach';
import type { Batch } from '../request';
import { LOCKED_PLACES, locked, lockedAgain } from './locked';
import type { Shape } from './shape';

export function detaches(b: Batch): Shape {
  const labels = sql`set_config('lapse.labels', coalesce((select array_agg(label)::text from locked), '{}'), true)`;
  return {
    ...locked(b),
    between: [
      sql`${withParts(lockedAgain(b))}
  select ${list(
    sql`set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true)`,
    b.walk.ownLabel === null && labels,
    sql`set_config('lapse.detached', '', true)`,
  )}`,
      ...detaching(b.policy, LOCKED_PLACES),
    ],
  };
}
