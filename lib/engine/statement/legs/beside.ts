/** The walk of a leg as a dry run asks it: rows that other legs of the run take do not keep what they would go with. */
import { anyOf } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import { treeOf } from '../../../policies/tree';
import type { Leg } from '../leg';
import { type Walk, walkOf } from './index';

export function walkBeside(policy: Policy, leg: Leg, legs: readonly Leg[], asOf: string): Walk {
  const walk = walkOf(policy, leg, asOf);
  const others = legs.filter((other) => other !== leg && other.kind === 'rule');
  if (!treeOf(policy).takesGoverned || others.length === 0) return walk;
  return { ...walk, besides: anyOf(...others.map((other) => walkOf(policy, other, asOf).takes)) };
}
