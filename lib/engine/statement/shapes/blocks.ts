/**
 * A block range without dependants needs no locks taken first: the delete itself carries the whole predicate,
 * and PostgreSQL judges it again on any version that is newer than the one it saw (DELETION §2).
 */
import { allOf, cte, raw, type Sql, sql, typed } from '../../../platform/sql';
import { unindexed, withinBlocks } from '../heap';
import { mayGo } from '../predicate';
import { type Batch, token } from '../request';
import type { Shape } from './shape';
import { WAITS_SHORTLY } from './waiting';

export const blocks = (b: Batch): Shape => ({
  settings: [WAITS_SHORTLY],
  lead: [],
  rows: allOf(withinBlocks(b.request.blocks!), token(b), unindexed(mayGo(b.walk))),
  labels: 'gone',
  locked: sql`x.deleted`,
  seen: [seenInBlocks(b, sql`deleted::int`, 'totals')],
  instead: { when: 'busy', ask: { ...b.request, blocks: { ...b.request.blocks!, skipLocked: true } } },
});

/** What stays is counted by the look through all blocks that follows every heap walk. */
export function seenInBlocks({ request }: Batch, picked: Sql, of: 'totals' | 'locked'): Sql {
  const { to, end } = request.blocks!;
  const after = { ended: to >= end, clock: null, key: [], block: to };
  return cte(
    'seen',
    sql`
    select ${picked} as picked, '{}'::jsonb as kept, ${typed(JSON.stringify(after), 'jsonb')} as after from ${raw(of)}
  `,
    true,
  );
}
