/** Policies that keep the newest of a group, or one row of each day, week or month. */
import type { PolicyInput } from '../../../policies/contract';
import type { Rolls } from './rolls';
import type { Draft } from './tables';
import { DAY } from './times';
import type { ValueType } from './values';

export type Sparing = Pick<PolicyInput, 'keepAtLeast' | 'thin'>;

export function sparingOf(rolls: Rolls, draft: Draft, keepSeconds: number): Sparing {
  const { clock } = draft;
  // A partition is dropped whole, also what should stay of it; an index has a group in the order of one column.
  if (draft.partitions?.isByClock || !clock || clock.second || !rolls.chance(16)) return {};
  const coarse: ValueType = { sql: 'integer', value: (n) => String(n % 3) };
  const per = rolls.chance(70) ? [draft.add(draft.names.next('parent'), coarse, true)] : [];
  const keepAtLeast = { newest: 1 + rolls.upTo(3), per };
  const counts = clock.type === 'timestamptz' || clock.type === 'timestamp' || clock.type === 'date';
  if (!counts || rolls.chance(50)) return { keepAtLeast };
  const month = {
    keepOne: 'month' as const,
    until: { seconds: rolls.chance(30) ? null : keepSeconds + 300 * DAY },
  };
  const thin = {
    tiers: [
      { keepOne: rolls.of(['day', 'week'] as const), until: { seconds: keepSeconds + 60 * DAY } },
      month,
    ],
    per,
    which: rolls.of(['first', 'last'] as const),
    ...(clock.type === 'timestamptz' ? { zone: rolls.of(['UTC', 'Europe/Zurich', 'Asia/Kolkata']) } : {}),
  };
  return { thin, ...(rolls.chance(30) ? { keepAtLeast } : {}) };
}
