/**
 * Is what a batch reads as a whole in few enough places? Of a partitioned table that is not walked partition by partition, a
 * dependant, what rows are spared for, PostgreSQL locks every partition with its indexes in each batch, and it has room for some
 * six thousand locks of all sessions together: a run with lanes beside others would end in "out of shared memory".
 */
import type { Problem } from '../../platform/errors';
import { ranksOf } from '../../policies/spared';
import { type Check, quoted, type Relation } from './preflight-facts';

/** Of one batch: a fourth of what a server has as it comes. */
const MOST_LOCKS = 1_500;

/** Each partition with its own indexes, which are at least those of the whole. */
const locksOf = (r: Relation): number => r.parts * (1 + r.indexes.length);

export const lockable: Check = ({ policy, governed, children }) => [
  ...children.flatMap(({ relation }) => (relation ? judge(relation, 'of each row that goes') : [])),
  ...(governed && ranksOf(policy).length > 0 ? judge(governed, 'of its group') : []),
];

function judge(r: Relation, sought: string): Problem[] {
  if (r.kind !== 'p' || locksOf(r) <= MOST_LOCKS) return [];
  return [
    {
      problem: `${quoted(r)} lies in ${r.parts - 1} partitions: each batch would look ${sought} in all of them, and take ${locksOf(r)} locks, of which a server has some 6000 for all its sessions`,
      remedy: `put its rows into fewer partitions, at most ${Math.floor(MOST_LOCKS / (1 + r.indexes.length)) - 1}`,
    },
  ];
}
