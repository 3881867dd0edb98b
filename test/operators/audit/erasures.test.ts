import { afterEach, beforeEach, expect, it } from 'vitest';
import { verify } from '@/lib/operators/audit/verify';
import { type Engine, engine } from '@/test/support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const named = async () => (await verify(e.services.database)).problems.map((p) => p.message).join('\n');
const ask = async (scope: 'organization' | 'user', rows: number): Promise<string> => {
  const [row] = await e.db.sql<{ it: { id: string } }>(
    "select retention.request_erasure($1, gen_random_uuid()::text, 'request 12', 'alice', $2) as it",
    [scope, rows],
  );
  return row!.it.id;
};
const call = (what: string, ...args: string[]) =>
  e.db.sql(`select retention.${what}(${args.map((_, i) => `$${i + 1}`).join(', ')})`, args);
/** As somebody with the owner's rights would do it. */
const tamper = (set: string) =>
  e.db.sql(`begin; set local session_replication_role = replica; ${set}; commit`);

it('names nothing while requests went through the doors, in each of their states', async () => {
  const person = await ask('user', 3);
  expect(await named()).toBe('');
  const org = await ask('organization', 3);
  const other = await ask('organization', 3);
  await call('confirm_erasure', org, 'checked', 'bob');
  expect(await named()).toBe('');
  for (const id of [person, org]) await call('begin_erasure', id, 'cron');
  expect(await named()).toBe('');
  const clean = { next: null, entry: null, found: {}, unread: [], filesFound: 0, filesOpen: 0 };
  await call('note_erasure_check', person, JSON.stringify(clean));
  await call('finish_erasure', person, 'cron', '{}');
  await call('withdraw_erasure', org, 'a mistake', 'alice');
  await call('withdraw_erasure', other, 'a mistake', 'alice');
  expect(await named()).toBe('');
});

it.each([
  [
    'a request that nobody asked for',
    "insert into retention.erasure (scope, subject, reason, requested_by, state) values ('user', 'u', 'x', 'bob', 'open')",
    'has no entry that says who asked for it',
  ],
  ['another subject', "update retention.erasure set subject = 'u2'", 'not what entries'],
  ['another operator', "update retention.erasure set requested_by = 'bob'", 'not what entries'],
  [
    'a confirmation by nobody',
    "update retention.erasure set state = 'confirmed'",
    'no entry says that a second',
  ],
  [
    'an end without a second operator',
    "update retention.erasure set state = 'done', finished_at = now()",
    'no entry says that a second',
  ],
  ['a request that is gone', 'delete from retention.erasure', 'is gone'],
])('names %s', async (_, change, told) => {
  await ask('organization', 3);
  await tamper(change);
  expect(await named()).toContain(told);
});
