/** Rows that stay, masked or marked, some of them already, with the columns that takes; and rows that are archived first. */
import type { PolicyInput } from '../../../policies/contract';
import type { Rolls } from './rolls';
import type { Draft } from './tables';
import { NOW } from './times';
import type { ValueType } from './values';

/** Undefined: they leave. */
export function strategyOf(rolls: Rolls, draft: Draft): PolicyInput['strategy'] {
  // A partition is dropped whole: none of its rows could stay.
  if (draft.partitions?.isByClock || !rolls.chance(17)) return undefined;
  const done = new Date(NOW.getTime() - 86_400_000).toISOString();
  const instant: ValueType = {
    sql: 'timestamp with time zone',
    value: (_, r) => (r.chance(12) ? done : ''),
  };
  const mark = draft.add(draft.names.next('done_at'), instant, false);
  const along = rolls.chance(60) ? { dependants: 'go' as const } : {};
  if (rolls.chance(30))
    return { kind: 'soft-delete', column: mark, purgeAfter: { seconds: 86_400 }, ...along };
  const text: ValueType = { sql: 'text', value: (n) => `someone ${n}` };
  const columns = ['email', 'name', 'city'].slice(0, 1 + rolls.upTo(3)).map((plain) => ({
    column: draft.add(draft.names.next(plain), text, false),
    to: rolls.of([null, { constant: 'removed' }, { hash: 'a-purpose' }, { hash: `of-${plain}` }]),
  }));
  return { kind: 'mask', mark, columns, ...along };
}

/** Undefined: they go without one. An erasure reaches an archive by whose its rows are. */
export function archiveOf(rolls: Rolls, governed: Draft): PolicyInput['strategy'] {
  // Where the key has to be another one, what refers to the old one is no such reference any more.
  const isNamed = governed.key.every((k) => governed.columns.find((c) => c.name === k)!.notNull);
  if (governed.partitions?.isByClock || !isNamed || !rolls.chance(16)) return undefined;
  const names = governed.organization !== null || governed.person !== null;
  return {
    kind: 'archive',
    keepFor: { seconds: 86_400 * 365 },
    files: rolls.of(['move', 'copy', 'none'] as const),
    ...(names ? {} : { subjects: 'none' as const }),
  };
}
