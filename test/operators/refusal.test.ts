/** What the database refuses is told to whoever asked, as far as it is theirs to mend. */
import { afterEach, expect, it } from 'vitest';
import { refusal } from '@/lib/operators/carry-out';
import { DatabaseError } from '@/lib/platform/errors';
import { govern } from '../support/engine';
import { type Guarded, guarded } from '../support/guarded';
import { act, OPERATORS } from '../support/operators';

let e: Guarded | undefined;
afterEach(async () => {
  await e?.stop();
  e = undefined;
});

const refused = (failure: DatabaseError['failure'], sqlState: string | null) =>
  refusal(new DatabaseError(failure, sqlState, 'said by the database'));

it.each([
  ['55P03', 'busy', 409, 'busy'],
  ['LP015', 'fatal', 409, 'second_person'],
  ['LP016', 'fatal', 403, 'unproven'],
  ['23505', 'poisoned', 409, 'exists'],
  ['23503', 'poisoned', 409, 'referenced'],
  ['23514', 'poisoned', 422, 'refused'],
  ['22P02', 'poisoned', 422, 'refused'],
] as const)('%s is answered as %s: %i %s', (sqlState, failure, status, code) => {
  expect(refused(failure, sqlState)).toMatchObject({ status, code });
});

it('what is nobody’s fault but ours stays an error', () => {
  const lost = new DatabaseError('unknown', null, 'no answer');
  expect(refusal(lost)).toBe(lost);
  const other = new Error('broken');
  expect(refusal(other)).toBe(other);
});

it('while a batch keeps its locks for too long, a hold is refused and nothing was changed', async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  const policy = await govern(e.db);
  const services = { ...e.services, policies: [policy] };
  const batch = await e.db.session();
  await batch.sql('begin');
  await batch.sql('select pg_advisory_xact_lock_shared(7001, 0)');
  const answer = await act(services, 'alice', {
    action: 'hold.place',
    scope: 'user',
    subject: '00000000-0000-4000-8000-000000000001',
    force: true,
    reason: 'case 1',
  });
  expect([answer.status, answer.body.error?.code]).toEqual([409, 'busy']);
  await batch.sql('rollback');
  expect(await e.db.sql('select 1 from retention.hold')).toEqual([]);
});
