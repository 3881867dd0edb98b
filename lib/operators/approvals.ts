/**
 * Approvals (G3): an operator names the digest of a complete dry run. What it stands for is read from the dry
 * run's own record, never from the request; each digest can be approved once, and not after it has expired.
 */
import { RequestError } from '../platform/errors';
import { typed } from '../platform/sql';
import { type Acting, type Done, decide } from './carry-out';

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

export async function withdrawApproval(acting: Acting, id: string): Promise<Done> {
  const done = await decide(acting, 'withdraw_approval', [typed(id, 'uuid')]);
  if (done) return done;
  throw new RequestError(404, 'unknown', 'there is no open approval with this id', 'id');
}
