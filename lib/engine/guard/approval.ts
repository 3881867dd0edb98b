/**
 * Using an approval (G3): the data is counted again at the approved cutoff; the same digest, and the run may
 * delete exactly that many rows at exactly that cutoff; anything else voids the approval. Claimed once, by the
 * first run; later runs resume its pass with what is left of it.
 */

import { z } from 'zod';
import { oneRow, type Query, query } from '../../platform/query';
import type { Asking } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { count } from '../statement/found';
import type { Leg } from '../statement/leg';
import { digestOf } from './digest';
import type { Approval } from './facts';

const LIMITS = { statementMs: 5_000 };

export type ApprovalUse =
  | { readonly counts: true; readonly rows: number; readonly asOf: string; readonly id: string }
  | { readonly counts: false; readonly why: string };

export interface ApprovedRun {
  readonly policy: Policy;
  readonly version: string;
  readonly runId: string;
  readonly legs: (asOf: string) => Leg[];
  readonly asking: Asking;
  readonly reading: Asking;
  readonly inTime: () => boolean;
}

export async function redeemApproval(approval: Approval, run: ApprovedRun): Promise<ApprovalUse> {
  const { id, as_of: asOf } = approval;
  if (!approval.used) {
    const again = await count({ ...run, legs: run.legs(asOf), asOf });
    if (!again.complete) return { counts: false, why: 'there was no time to count again what was approved' };
    const { expired, bytes, files, byRule, dependants, rowsSha256 } = again;
    const digest = digestOf({
      policy: run.policy.name,
      version: run.version,
      asOf,
      expiresAt: approval.expires_at,
      ...{ expired, bytes, files, byRule, dependants, rowsSha256 },
    });
    if (digest !== approval.digest) {
      const others =
        expired === approval.expired
          ? ', not all of them the same, or not with the same files and dependants'
          : '';
      const why = `the data has changed since: ${approval.expired} rows were approved, ${expired} would go${others}`;
      await run.asking.askOne(voided(id, why), LIMITS);
      return { counts: false, why };
    }
  }
  const { done } = await run.asking.askOne(used(id, run.runId), LIMITS);
  if (done !== true) return { counts: false, why: 'another run has used it, or it was withdrawn' };
  return { counts: true, rows: approval.expired - approval.gone, asOf, id };
}

const Done = z.object({ done: z.boolean().nullable() });
type Done = z.infer<typeof Done>;

const voided = (id: string, why: string): Query<Done> =>
  query(sql`select retention.void_approval(${id}::uuid, ${why}) as done`, oneRow(Done));

/** The lease and the fence allow one run of a policy at a time, so a used approval is only ever resumed. */
const used = (id: string, runId: string): Query<Done> =>
  query(sql`select retention.claim_approval(${id}::uuid, ${runId}::uuid) as done`, oneRow(Done));
