/**
 * The rows that one declaration reaches and another does not, counted by the dry run's own pages: the same picking, the
 * same predicate, holds and files, with the other declaration's rows passed by. So what is counted is what a run would
 * delete because of the difference, and nothing is judged in a second way.
 */

import { count, Found } from '../../engine/statement/found';
import { hasOneCutoff, type Leg, legsOf, type Position } from '../../engine/statement/leg';
import { walkOf } from '../../engine/statement/legs';
import type { Kept } from '../../platform/outcome';
import type { Asking } from '../../platform/session';
import { anyOf, type Sql, sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { policyReach } from '../../policies/effective';

export interface Counting {
  /** READ ONLY. */
  readonly reading: Asking;
  readonly inTime: () => boolean;
  readonly coolingSeconds: number;
  /** Rows looked at, at most: what has more is answered as "more than". */
  readonly mostRows: number;
}

/** `complete`: exact; else at least so many. */
export interface Counts {
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  /** Rows that go along, by table. */
  readonly dependants: Readonly<Record<string, number>>;
  readonly kept: Readonly<Kept>;
  readonly complete: boolean;
}

/** Rows that `policy` may delete at `asOf` and `other` may not; every row of `policy` where there is no other. */
export async function countExcept(
  policy: Policy,
  other: Policy | null,
  asOf: Date,
  counting: Counting,
): Promise<Counts> {
  const { reading, coolingSeconds } = counting;
  const found = new Found();
  const look = {
    policy,
    legs: legsOf(policy, asOf, coolingSeconds),
    from: (leg: Leg) => startOf(policy, other, leg, asOf),
    only: other ? exceptBy(other, asOf, coolingSeconds) : undefined,
    asOf: asOf.toISOString(),
    reading,
    inTime: () => counting.inTime() && found.picked < counting.mostRows,
  };
  const { expired: rows, files, bytes, dependants, kept, complete } = await count(look, found);
  return { rows, files, bytes, dependants, kept, complete };
}

/** None of the other declaration's legs takes the row. */
function exceptBy(other: Policy, asOf: Date, coolingSeconds: number): Sql | undefined {
  const legs = legsOf(other, asOf, coolingSeconds);
  if (legs.length === 0) return undefined;
  return sql`${anyOf(...legs.map((leg) => walkOf(other, leg, asOf.toISOString()).takes))} is not true`;
}

/**
 * Where the walk may begin: with the same reach, everything of a rule before the other's cutoff is the other's. Of a clock
 * with a zone only: the others are compared in local time, and walk from their start,
 * as do rows that others keep.
 */
function startOf(policy: Policy, other: Policy | null, leg: Leg, asOf: Date): Position | null {
  const { type, in: elsewhere, orLaterIn } = policy.clock;
  if (!other || !hasOneCutoff(leg) || type !== 'timestamptz' || elsewhere || orLaterIn) return null;
  if (policyReach(policy) !== policyReach(other)) return null;
  const seconds = other.rules.find((r) => r.label === leg.rule.label)?.keepFor.seconds;
  if (seconds == null) return null;
  // A millisecond before it: the other's last row is passed by, its cutoff itself is not.
  return { clock: new Date(asOf.getTime() - seconds * 1000 - 1).toISOString(), key: [] };
}
