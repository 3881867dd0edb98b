/** The newest so many rows of each group stay, whatever their age: e.g. of each document its last five versions. */
import { z } from 'zod';
import { identifier } from '../strategies/column';
import type { Rank } from './rank';

export const KeepAtLeast = z.object({
  newest: z.number().int().min(1).max(1_000),
  /** The columns that name the parent, e.g. `document_id`; none: of the whole table. */
  per: z.array(identifier).default([]),
});
export type KeepAtLeast = z.infer<typeof KeepAtLeast>;

export const newestOf = ({ newest, per }: KeepAtLeast): Rank[] => [
  { reason: 'newest', per, most: newest, which: 'last', period: null },
];

export const newestInWords = ({ newest, per }: KeepAtLeast): string =>
  `the newest ${newest === 1 ? 'row' : `${newest} rows`}${per.length === 0 ? '' : ` of each ${per.join(', ')}`} ${newest === 1 ? 'stays' : 'stay'} whatever ${newest === 1 ? 'its' : 'their'} age`;
