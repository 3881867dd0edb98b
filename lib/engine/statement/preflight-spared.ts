/**
 * Can rows be spared for the sake of their group? Each has one, and an index has the rows of a group in their order: so that a
 * group of a million rows costs no more than a small one.
 */
import type { Problem } from '../../platform/errors';
import { name } from '../../platform/sql';
import { ranksOf } from '../../policies/spared';
import { type Check, quoted } from './preflight-facts';
import { createIndex, walks } from './preflight-indexes';

export const groups: Check = ({ policy, governed }) => {
  if (!governed) return [];
  const order = [policy.clock.column, ...policy.key.map((k) => k.column)];
  return ranksOf(policy).flatMap(({ per, reason }): Problem[] => {
    // Within a group what names it is the same.
    const then = [...new Set(order)].filter((c) => !per.includes(c));
    const field = reason === 'newest' ? 'keepAtLeast' : 'thin';
    const open = per.filter((c) => governed.columns[c]?.not_null === false);
    const columns = [...per, ...then];
    const isServed = governed.indexes.some((i) => walks(i, policy, [], per, then));
    return [
      ...open.map((c) => ({
        problem: `${field}.per: ${name(c)} of ${quoted(governed)} may be NULL: such a row would be of no group`,
        remedy: `ALTER TABLE ${quoted(governed)} ALTER COLUMN ${name(c)} SET NOT NULL;`,
      })),
      ...(isServed
        ? []
        : [
            {
              problem: `${quoted(governed)} has no index on (${columns.map(name).join(', ')}): each row would be held against its whole group`,
              remedy: createIndex(governed, columns.map(name).join(', ')),
            },
          ]),
    ];
  });
};
