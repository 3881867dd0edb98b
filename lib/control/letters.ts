/**
 * Manual resolution of dead letters: rows that could not be deleted, and outbox entries the store would not
 * delete. Retry makes it due now; discard leaves the row or file where it is, for good, with a reason; assign
 * says who looks after it.
 */
import { RequestError } from '../errors';
import { type Acting, carryOut, type Done } from './carry-out';

export type Kind = 'row' | 'file';

export async function retryLetter(acting: Acting, kind: Kind, id: string): Promise<Done> {
  const now = acting.services.clock().toISOString();
  return found(
    kind,
    id,
    await carryOut(acting, `${kind}.retried`, (p) =>
      kind === 'row'
        ? `update retention.dead_letter set state = 'open', next_attempt_at = ${p.add(now, 'timestamptz')}
          where id = ${uuid(id, p)} and state in ('open', 'discarded')
          returning id::text, jsonb_build_object('table', table_name, 'attempts', attempts)`
        : `update retention.outbox set state = 'pending', attempts = 0, next_attempt_at = ${p.add(now, 'timestamptz')}, resolution = null
          where id = ${number(id, p)} and state = 'dead'
          returning id::text, jsonb_build_object('table', table_name)`,
    ),
  );
}

export async function discardLetter(acting: Acting, kind: Kind, id: string): Promise<Done> {
  return found(
    kind,
    id,
    await carryOut(acting, `${kind}.discarded`, (p) =>
      kind === 'row'
        ? `update retention.dead_letter set state = 'discarded', resolution = ${p.add(acting.reason)}
          where id = ${uuid(id, p)} and state = 'open'
          returning id::text, jsonb_build_object('table', table_name, 'sql_state', sql_state)`
        : `update retention.outbox set state = 'kept', resolution = ${p.add(acting.reason)}
          where id = ${number(id, p)} and state = 'dead'
          returning id::text, jsonb_build_object('table', table_name, 'error_class', error_class)`,
    ),
  );
}

export async function assignLetter(acting: Acting, kind: Kind, id: string, to: string): Promise<Done> {
  if (!acting.services.settings.operators.some((o) => o.name === to)) {
    throw new RequestError(422, 'unknown_operator', `there is no operator "${to}"`, 'to');
  }
  const [table, key, state] = kind === 'row' ? ['dead_letter', uuid, 'open'] : ['outbox', number, 'dead'];
  return found(
    kind,
    id,
    await carryOut(
      acting,
      `${kind}.assigned`,
      (p) => `update retention.${table} set assigned_to = ${p.add(to)}
        where id = ${(key as typeof uuid)(id, p)} and state = '${state}'
        returning id::text, jsonb_build_object('table', table_name, 'to', assigned_to)`,
    ),
  );
}

type P = { add(value: string, type?: string): string };
const uuid = (id: string, p: P) => p.add(id, 'uuid');
const number = (id: string, p: P) => p.add(id, 'bigint');

function found(kind: Kind, id: string, done: Done | null): Done {
  if (done) return done;
  throw new RequestError(404, 'unknown', `there is no unresolved dead letter ${id} of a ${kind}`, 'id');
}
