/**
 * Partial indexes: on rows for which the policy's `where` is true, on those whose clock is set, and on the rows of a value of
 * `match`. Rolled on their own, so that shapes without one stay as they are.
 */
import type { PolicyInput } from '../../../policies/contract';
import { clockIndexes } from './declare';
import { Rolls } from './rolls';
import { quoted, type ShapeTable } from './shape';

export interface Indexed {
  readonly policy: PolicyInput;
  readonly indexes: readonly string[];
}

/** The policy with the index by which its rows are found. */
export function indexesOf(
  [seed, number]: readonly [number, number],
  t: ShapeTable,
  policy: PolicyInput,
): Indexed {
  const rolls = new Rolls(seed + 13_000_003, number);
  const whole = clockIndexes(t, policy);
  const alias = /\bt\./g;
  const isPlain = policy.partitioned === undefined && !t.clock?.in;
  if (isPlain && policy.where && rolls.chance(45)) {
    const index = whole.map((i) => `${i} where ${policy.where!.replaceAll(alias, '')}`);
    // Who does not know the word is told of it; or is told that the index has other rows, too.
    if (rolls.chance(30)) return { policy, indexes: index };
    return { policy: { ...policy, whereIndexed: true }, indexes: rolls.chance(75) ? index : whole };
  }
  if (isPlain && !t.clock?.second && rolls.chance(15)) {
    const there = `${quoted(t.clock!.column)} is not null`;
    return { policy, indexes: whole.map((i) => `${i} where ${there}`) };
  }
  return { policy, indexes: whole };
}
