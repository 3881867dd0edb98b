/**
 * Manual resolution of dead letters: rows that could not be deleted, and outbox entries the store would not
 * delete. Retry makes it due now; discard leaves the row or file where it is, for good, with a reason; assign
 * says who looks after it.
 */
import { RequestError } from '../platform/errors';
import { typed } from '../platform/sql';
import { type Acting, type Done, decide } from './carry-out';
import { knownPolicy } from './switches';

export type Kind = 'row' | 'file';

export async function retryLetter(acting: Acting, kind: Kind, id: string): Promise<Done> {
  const now = acting.services.clock().toISOString();
  return found(kind, id, await decide(acting, 'retry_letter', [kind, id, typed(now, 'timestamptz')]));
}

/** All of a policy, the oldest first, up to `most`: what a store that was away for days leaves behind. */
export async function retryLetters(acting: Acting, kind: Kind, policy: string, most: number): Promise<Done> {
  // Orphans have entries of their own.
  if (policy !== 'blob-reconcile') knownPolicy(acting, policy);
  const now = acting.services.clock().toISOString();
  const done = await decide(acting, 'retry_letters', [
    kind,
    policy,
    typed(most, 'int'),
    typed(now, 'timestamptz'),
  ]);
  if (done) return done;
  throw new RequestError(404, 'unknown', `no ${kind} of "${policy}" waits to be tried again`, 'policy');
}

export async function discardLetter(acting: Acting, kind: Kind, id: string): Promise<Done> {
  return found(kind, id, await decide(acting, 'discard_letter', [kind, id]));
}

export async function assignLetter(acting: Acting, kind: Kind, id: string, to: string): Promise<Done> {
  if (!acting.services.settings.operators.some((o) => o.name === to)) {
    throw new RequestError(422, 'unknown_operator', `there is no operator "${to}"`, 'to');
  }
  return found(kind, id, await decide(acting, 'assign_letter', [kind, id, to]));
}

function found(kind: Kind, id: string, done: Done | null): Done {
  if (done) return done;
  throw new RequestError(404, 'unknown', `there is no unresolved dead letter ${id} of a ${kind}`, 'id');
}
