/**
 * One row of each period of the calendar stays, for as long as its tier says: e.g. one a day for 30 days, one a week for a year,
 * one a month for ten years. Each tier looks at all rows of the period, so that none depends on what another has deleted: a row
 * stays as long as one tier keeps it, and the first, or last, of a month is never lost to the tier of weeks.
 */
import { z } from 'zod';
import { Period, periodInWords } from '../period';
import { identifier } from '../strategies/column';
import { type Governed, type Rank, UNITS } from './rank';

const Tier = z.object({
  keepOne: z.enum(UNITS),
  /** Counted from the end of the period. */
  until: Period.refine((p) => p.env === undefined, 'no variable of the environment is read here'),
});

export const Thin = z.object({
  tiers: z.array(Tier).min(1),
  /** The columns that name what is thinned out by itself, e.g. `server_id`; none: the whole table. */
  per: z.array(identifier).default([]),
  /** Which row of a period stays. */
  which: z.enum(['first', 'last']).default('last'),
  /** In which days begin. Of a clock without a zone that of the clock counts. */
  zone: z.string().optional(),
});
export type Thin = z.infer<typeof Thin>;

export const thinnedOf = ({ tiers, per, which, zone }: Thin, { clock }: Governed): Rank[] =>
  tiers.map(({ keepOne, until }) => ({
    reason: 'one_of_period',
    per,
    most: 1,
    which,
    period: {
      unit: keepOne,
      zone: 'zone' in clock ? clock.zone : (zone ?? 'UTC'),
      untilSeconds: until.seconds,
    },
  }));

export function thinProblems({ tiers, zone }: Thin, policy: Governed): string[] {
  const { clock, rules } = policy;
  const shortest = Math.min(...rules.map((r) => r.keepFor.seconds ?? Number.POSITIVE_INFINITY));
  const length = (i: number) => tiers[i]?.until.seconds ?? Number.POSITIVE_INFINITY;
  return [
    ...(clock.type === 'epoch' || clock.type === 'iso'
      ? [`thin: only by a clock of type timestamptz, timestamp or date, not ${clock.type}`]
      : []),
    ...(zone !== undefined && 'zone' in clock
      ? ['thin.zone: the clock has a zone of its own, which counts; leave it out']
      : []),
    ...(zone !== undefined && !isZone(zone) ? [`thin.zone: "${zone}" is not a time zone`] : []),
    ...tiers.flatMap(({ keepOne }, i) => {
      if (i === 0) {
        return length(0) > shortest
          ? []
          : ['thin.tiers.0.until: everything is kept that long already, by the shortest keepFor of rules'];
      }
      return [
        ...(UNITS.indexOf(keepOne) > UNITS.indexOf(tiers[i - 1]!.keepOne)
          ? []
          : [`thin.tiers.${i}.keepOne: must be a longer period than that of the tier before`]),
        ...(length(i) > length(i - 1)
          ? []
          : [`thin.tiers.${i}.until: must be longer than that of the tier before`]),
      ];
    }),
  ];
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

export const thinInWords = ({ tiers, per, which }: Thin): string =>
  `the ${which} row of each ${tiers
    .map(
      ({ keepOne, until }) =>
        `${keepOne} stays ${until.seconds === null ? 'forever' : `for ${periodInWords(until)}`}`,
    )
    .join(', of each ')}${per.length === 0 ? '' : `, each ${per.join(', ')} by itself`}`;
