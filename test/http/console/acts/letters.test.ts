import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  assignLetterRoute,
  discardLetterRoute,
  retryLetterRoute,
  retryLettersRoute,
} from '@/lib/http/console/letter-acts';
import { letterOf, letters } from '@/lib/http/console/lists';
import type { Policy } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV } from '@/test/support/console';
import { bound, chain, refusesStrangers, send, withoutRedis } from '@/test/support/deciding';
import { DAY, govern, left, things, thingsPolicy } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';

let e: Guarded;
let s: Services;
let policy: Policy;
let open: string[];
beforeEach(async () => {
  e = await guarded({ ...CONSOLE_ENV, LAPSE_MASS_DELETION_GUARD: 'off' });
  await govern(e.db);
  policy = thingsPolicy({ knownTriggers: ['refuse'] });
  s = { ...e.services, policies: [policy] };
  await bound(e.db);
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
      if old.note = 'bad' then raise exception 'no'; end if; return old; end $$`);
  await e.db.sql('create trigger refuse before delete on things for each row execute function refuse()');
  await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
  await e.db.sql("update things set note = 'bad'");
  await e.run(policy);
  open = (await letters(s, 'row')).entries.map((l) => l.id);
  expect(open).toHaveLength(3);
});
afterEach(() => e.stop());

const of = (id: string, more = {}) => ({ kind: 'row', id, reason: 'looked at, ticket 3', ...more });

it('a letter says why it could not go, and is tried again at once, once', async () => {
  expect(await letterOf(s, 'row', open[0]!)).toMatchObject({ policy: 'things', error: 'P0001', attempts: 1 });
  await e.db.sql('update things set note = null');
  expect((await send(s, retryLetterRoute, 'otto', of(open[0]!))).said).toMatchObject({
    done: true,
    text: 'It is due now: the next run of things tries it.',
  });
  expect((await send(s, retryLetterRoute, 'otto', of(open[0]!))).said?.text).toContain('due already');
  expect(await chain(e.db)).toEqual(['row.retried otto']);
  expect(await e.run(policy)).toMatchObject({ deleted: 1 });
  const gone = await send(s, retryLetterRoute, 'otto', of(open[0]!));
  expect(gone.said?.text).toContain('is not open any more');
});

it('all of a policy are tried again by one act', async () => {
  const all = { kind: 'row', policy: 'things', reason: 'mended' };
  await refusesStrangers(s, e.db, retryLettersRoute, all);
  expect((await send(s, retryLettersRoute, 'otto', all)).said?.text).toBe('3 rows due now.');
  expect((await send(s, retryLettersRoute, 'otto', all)).said?.text).toContain('all are due already');
  expect((await send(s, retryLettersRoute, 'otto', { ...all, policy: 'others' })).said?.done).toBe(false);
  expect(await chain(e.db)).toEqual(['rows.retried otto']);
});

it('is given to somebody by name, once, and to nobody who is no operator', async () => {
  const give = of(open[1]!, { to: 'anna' });
  expect((await send(s, assignLetterRoute, 'otto', give)).said?.text).toBe('anna looks after it now.');
  expect((await send(s, assignLetterRoute, 'otto', give)).said?.text).toBe('anna looks after it already.');
  const unknown = await send(s, assignLetterRoute, 'otto', of(open[1]!, { to: 'mallory' }));
  expect(unknown.said).toMatchObject({ done: false, field: 'to', typed: { to: 'mallory' } });
  await refusesStrangers(s, e.db, assignLetterRoute, give);
  expect((await letters(s, 'row')).entries.find((l) => l.id === open[1])).toMatchObject({
    assigned_to: 'anna',
  });
  expect(await chain(e.db)).toEqual(['row.assigned otto']);
});

it('is discarded with a reason, once: the row stays forever', async () => {
  const without = await send(s, discardLetterRoute, 'otto', of(open[2]!, { reason: '' }));
  expect(without.said).toMatchObject({ done: false, field: 'reason' });
  await refusesStrangers(s, e.db, discardLetterRoute, of(open[2]!));
  const answer = await send(withoutRedis(s), discardLetterRoute, 'otto', of(open[2]!));
  expect(answer).toMatchObject({ path: '/letters', said: { done: true } });
  expect((await send(s, discardLetterRoute, 'otto', of(open[2]!))).said?.text).toContain('not open any more');
  expect(await chain(e.db)).toEqual(['row.discarded otto']);
  await e.db.sql('update things set note = null');
  await send(s, retryLettersRoute, 'otto', { kind: 'row', policy: 'things', reason: 'mended' });
  expect(await e.run(policy)).toMatchObject({ deleted: 2 });
  expect(await left(e.db)).toBe(1);
});

it('an id that is none is refused, and files are listed apart', async () => {
  expect((await send(s, retryLetterRoute, 'otto', of('1'))).said).toMatchObject({ done: false, field: 'id' });
  expect((await send(s, retryLetterRoute, 'otto', of(open[0]!, { kind: 'file' }))).said?.done).toBe(false);
  await e.db.sql(`insert into retention.outbox (policy, table_name, row_key, url, state, error_class)
    values ('things', 'public.things', 'k', 'a/b', 'dead', 'http.500')`);
  const [file] = (await letters(s, 'file', { policy: 'things' })).entries;
  expect(file).toMatchObject({ error: 'http.500', row_key: 'k' });
  expect((await send(s, retryLetterRoute, 'otto', of(file!.id, { kind: 'file' }))).said?.done).toBe(true);
  expect((await send(s, retryLetterRoute, 'otto', of(file!.id, { kind: 'file' }))).said?.text).toContain(
    'not open any more',
  );
});
