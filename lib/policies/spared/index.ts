/** Rows that stay for the sake of their group: the one place that asks which kinds a policy declares. */
import { isOneColumn } from '../clocks';
import { type KeepAtLeast, newestInWords, newestOf } from './newest';
import type { Governed, Rank } from './rank';
import { type Thin, thinInWords, thinnedOf, thinProblems } from './thinned';

export { KeepAtLeast } from './newest';
export type { Rank } from './rank';
export { Thin } from './thinned';

interface Sparing extends Governed {
  readonly keepAtLeast?: KeepAtLeast | undefined;
  readonly thin?: Thin | undefined;
}

export const ranksOf = (policy: Sparing): Rank[] => [
  ...(policy.keepAtLeast ? newestOf(policy.keepAtLeast) : []),
  ...(policy.thin ? thinnedOf(policy.thin, policy) : []),
];

/** The columns that name its groups. */
export const groupColumns = (policy: Sparing): string[] => [
  ...new Set(ranksOf(policy).flatMap((rank) => rank.per)),
];

/** What its declaration breaks, each naming the field. */
export function sparedProblems(policy: Sparing): string[] {
  const fields = (['keepAtLeast', 'thin'] as const).filter((field) => policy[field] !== undefined);
  return [
    ...fields.flatMap((field) => [
      ...(policy.partitioned && policy.partitioned.by !== 'other'
        ? [
            `${field}: a partition is dropped whole, also those of its rows that should stay; say partitioned: { by: 'other' }, and its rows go one by one`,
          ]
        : []),
      ...(isOneColumn(policy.clock)
        ? []
        : [`${field}: only by a clock of one column, by which an index has each group in its order`]),
    ]),
    ...(policy.thin ? thinProblems(policy.thin, policy) : []),
  ];
}

/** E.g. `the newest 5 rows of each document_id stay whatever their age`; one a kind. */
export const sparedInWords = (policy: Sparing): string[] => [
  ...(policy.keepAtLeast ? [newestInWords(policy.keepAtLeast)] : []),
  ...(policy.thin ? [thinInWords(policy.thin)] : []),
];
