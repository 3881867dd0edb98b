/**
 * Approvals (G3): an operator names the digest of a complete dry run. What it stands for is read from the dry
 * run's own record, never from the request; each digest can be approved once, and not after it has expired.
 */
import { RequestError } from '../platform/errors';
import { typed } from '../platform/sql';
import { type Acting, type Done, decide } from './carry-out';
import { knownPolicy } from './switches';

export async function giveApproval(
  acting: Acting,
  approval: { policy: string; digest: string },
): Promise<Done> {
  const done = await decide(acting, 'give_approval', [approval.policy, approval.digest]);
  if (done) return done;
  throw new RequestError(
    404,
    'unknown_digest',
    'no dry run of this policy has this digest, or it has expired: make a new dry run and approve its digest',
    'digest',
  );
}

/** One step of the rollout, from the step that was looked at: `seen` clean runs. */
export async function raiseRollout(
  acting: Acting,
  { policy, version, seen }: { policy: string; version: string; seen: number },
): Promise<Done> {
  knownPolicy(acting, policy);
  const done = await decide(acting, 'raise_rollout', [policy, version, typed(seen, 'int')]);
  if (done) return done;
  throw new RequestError(
    409,
    'changed',
    'the rollout is not at this step any more, or this version has not run yet: look again; nothing was changed',
    'seen',
  );
}

export async function withdrawApproval(acting: Acting, id: string): Promise<Done> {
  const done = await decide(acting, 'withdraw_approval', [typed(id, 'uuid')]);
  if (done) return done;
  throw new RequestError(404, 'unknown', 'there is no open approval with this id', 'id');
}
