/**
 * Approvals (G3): an operator names the digest of a complete dry run. What it stands for is read from the dry
 * run's own record, never from the request; each digest can be approved once, and not after it has expired.
 */
import { RequestError } from '../errors';
import { type Acting, carryOut, type Done } from './carry-out';

export async function giveApproval(acting: Acting, a: { policy: string; digest: string }): Promise<Done> {
  const done = await carryOut(
    acting,
    'approval.given',
    (p) => `insert into retention.approval
        (policy, version, preview, digest, as_of, expired, facts, expires_at, approved_by, reason, approved_at)
      select r.policy, r.policy_version, r.id, r.preview #>> '{approvable,digest}', r.as_of, (r.preview ->> 'expired')::bigint,
        r.preview, (r.preview #>> '{approvable,expiresAt}')::timestamptz, ${p.add(acting.operator)}, ${p.add(acting.reason)}, retention.clock()
      from retention.run r
      where r.policy = ${p.add(a.policy)} and r.mode = 'dry_run' and r.preview #>> '{approvable,digest}' = ${p.add(a.digest)}
        and (r.preview #>> '{approvable,expiresAt}')::timestamptz > retention.clock()
      limit 1
      returning id::text, jsonb_build_object('policy', policy, 'version', version, 'digest', digest, 'as_of', as_of,
        'expired', expired, 'expires_at', expires_at)`,
  );
  if (done) return done;
  throw new RequestError(
    404,
    'unknown_digest',
    'no dry run of this policy has this digest, or it has expired: make a new dry run and approve its digest',
    'digest',
  );
}

export async function withdrawApproval(acting: Acting, id: string): Promise<Done> {
  const done = await carryOut(
    acting,
    'approval.withdrawn',
    (
      p,
    ) => `update retention.approval set voided_at = retention.clock(), void_reason = 'withdrawn: ' || ${p.add(acting.reason)}
      where id = ${p.add(id, 'uuid')} and done_at is null and voided_at is null
      returning id::text, jsonb_build_object('policy', policy, 'digest', digest, 'used_by', used_by)`,
  );
  if (done) return done;
  throw new RequestError(404, 'unknown', 'there is no open approval with this id', 'id');
}
