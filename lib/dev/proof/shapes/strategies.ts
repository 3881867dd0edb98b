/** Rows that stay: masked or marked, some of them already, with the columns that takes. */
import type { PolicyInput } from '../../../policies/contract';
import type { Rolls } from './rolls';
import type { Draft } from './tables';
import { NOW } from './times';
import type { ValueType } from './values';

/** Undefined: they leave. */
export function strategyOf(rolls: Rolls, draft: Draft): PolicyInput['strategy'] {
  // A partition is dropped whole: none of its rows could stay.
  if (draft.partitions?.isByClock || !rolls.chance(14)) return undefined;
  const done = new Date(NOW.getTime() - 86_400_000).toISOString();
  const instant: ValueType = {
    sql: 'timestamp with time zone',
    value: (_, r) => (r.chance(12) ? done : ''),
  };
  const mark = draft.add(draft.names.next('done_at'), instant, false);
  const along = rolls.chance(60) ? { dependants: 'go' as const } : {};
  if (rolls.chance(35))
    return { kind: 'soft-delete', column: mark, purgeAfter: { seconds: 86_400 }, ...along };
  const text: ValueType = { sql: 'text', value: (n) => `someone ${n}` };
  const columns = ['email', 'name', 'city'].slice(0, 1 + rolls.upTo(3)).map((plain) => ({
    column: draft.add(draft.names.next(plain), text, false),
    to: rolls.of([null, { constant: 'removed' }]),
  }));
  return { kind: 'mask', mark, columns, ...along };
}
