/**
 * A pass walks a policy leg by leg. A leg is one rule with its cutoff, in the order of (clock, key), or all
 * tenants, in the order of (tenant, clock, key), each with the cutoff of its own rule. Rules that keep for
 * ever have no leg: what they keep costs nothing.
 * A subject's leg walks in the order of the key alone: its rows need no clock.
 * What each kind means for a statement stands in legs/, a file a kind.
 */
import { z } from 'zod';
import type { Sql, TableName } from '../../platform/sql';
import type { Policy, Rule } from '../../policies/contract';

interface OfLeaf {
  /** Of a partitioned table: the partition whose rows this leg walks. */
  readonly leaf?: TableName;
}

export interface RuleLeg extends OfLeaf {
  readonly kind: 'rule';
  readonly rule: Rule;
  readonly cutoff: string;
  /** Where only a stretch of it is walked: nothing from this clock on. */
  readonly until?: string;
}

export interface TenantsLeg extends OfLeaf {
  readonly kind: 'tenants';
  readonly cutoffs: Readonly<Record<string, string | null>>;
  /** A label or override that ended less than this long ago still counts, if it keeps longer (G6). */
  readonly coolingSeconds: number;
  /** Where only a stretch of it is walked: no tenant behind this one. */
  readonly until?: string;
}

/** Everything of one organization or user, whatever its age and tier; only holds keep it (erasure). */
export interface SubjectLeg extends OfLeaf {
  readonly kind: 'subject';
  /** Whether a row `t` is one of them: by a column of its own, or by the rows it refers to (lib/rights/graph). */
  readonly theirs: Sql;
  /** Whether a hold on the subject, or on a row through which `t` is reached, holds it. */
  readonly held: Sql;
}

export type Leg = RuleLeg | TenantsLeg | SubjectLeg;

/** One cutoff and one label for all its rows: such a leg may go by blocks, and by whole partitions. */
export const hasOneCutoff = (leg: Leg): leg is RuleLeg => leg.kind === 'rule';
/** G6: unless LAPSE_COOLING_OFF_DAYS says otherwise. */
const COOLING_OFF_SECONDS = 7 * 86_400;

/** Where a leg continues, all values as PostgreSQL's text: nothing is rounded on the way (PLATFORM §B2). */
export const Position = z.object({
  /** Tenants only. With `clock` null, everything of this tenant is behind us. */
  tenant: z.string().optional(),
  clock: z.string().nullable(),
  /** Empty, with a clock: that clock is still ahead, with every key. */
  key: z.array(z.string()),
  /** The next row that may go has more than a batch below it, and is taken apart. */
  apart: z.literal(true).optional(),
  /** Heap walk only: everything before this block is behind us; `clock` is null then. */
  block: z.number().int().nonnegative().optional(),
  /** Heap walk only: the first block that is not walked, and the file the blocks are in. */
  end: z.number().int().nonnegative().optional(),
  filenode: z.string().optional(),
});
export type Position = z.infer<typeof Position>;

/** The instant before which rows under a period may go: exact seconds back from `asOf`, in no time zone. */
const cutoffOf = (asOf: Date, seconds: number): string =>
  new Date(asOf.getTime() - seconds * 1000).toISOString();

export function legsOf(policy: Policy, asOf: Date, coolingSeconds = COOLING_OFF_SECONDS): Leg[] {
  if (policy.tenants) {
    const cutoffs = Object.fromEntries(
      policy.rules.map((r) => [
        r.label,
        r.keepFor.seconds === null ? null : cutoffOf(asOf, r.keepFor.seconds),
      ]),
    );
    return [{ kind: 'tenants', cutoffs, coolingSeconds }];
  }
  return policy.rules.flatMap((rule) =>
    rule.keepFor.seconds === null
      ? []
      : [{ kind: 'rule' as const, rule, cutoff: cutoffOf(asOf, rule.keepFor.seconds) }],
  );
}
