import { afterEach, beforeEach, expect, it } from 'vitest';
import '@/lib/example/policies'; // asks for its permanent table: this test goes with it
import { findEntryRoute, removeEntryRoute } from '@/lib/http/console/blacklist-acts';
import { numberOf } from '@/lib/http/console/right';
import { addressHash } from '@/lib/operators/permanent';
import { CONSOLE_ENV, form } from '@/test/support/console';
import { bound, chain, refusesStrangers, send } from '@/test/support/deciding';
import { left } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';

const KEY = '5a'.repeat(32);
const TABLE = 'public.email_blacklist';
let e: Guarded;
beforeEach(async () => {
  e = await guarded({ ...CONSOLE_ENV, LAPSE_RIGHTS_KEY: KEY });
  await e.db.sql(
    "insert into email_blacklist (id, email, reason) values (gen_random_uuid(), 'a@example.com', 'bounce')",
  );
  await bound(e.db);
});
afterEach(() => e.stop());

const hash = addressHash([KEY], ' A@example.com ')!;
const remove = (more = {}) => ({
  table: TABLE,
  addressHash: hash,
  confirm: numberOf(hash),
  reason: 'request 8',
  ...more,
});

it('an address is found by its hash, and stands in no address of a page', async () => {
  const find = { table: TABLE, address: 'A@example.com' };
  await refusesStrangers(e.services, e.db, findEntryRoute, find);
  const answer = await findEntryRoute(() => e.services).POST(await form(e.services, 'anna', find));
  expect(answer.headers.get('location')).toContain(`hash=${hash}`);
  expect(answer.headers.get('location')).not.toContain('example');
});

it('without a key nothing is found', async () => {
  const settings = { ...e.services.settings, rightsKeys: [] };
  const answer = await send({ ...e.services, settings }, findEntryRoute, 'anna', {
    table: TABLE,
    address: 'a@example.com',
  });
  expect(answer.said).toMatchObject({ done: false, field: 'address' });
});

it('an entry is removed once, by its hash typed and with a reason', async () => {
  await refusesStrangers(e.services, e.db, removeEntryRoute, remove());
  const wrong = await send(e.services, removeEntryRoute, 'anna', remove({ confirm: 'x' }));
  expect(wrong.said).toMatchObject({ done: false, field: 'confirm' });
  expect(await left(e.db, 'email_blacklist')).toBe(1);
  expect((await send(e.services, removeEntryRoute, 'anna', remove())).said?.done).toBe(true);
  expect(await left(e.db, 'email_blacklist')).toBe(0);
  const again = await send(e.services, removeEntryRoute, 'anna', remove());
  expect(again.said).toMatchObject({ done: false, text: expect.stringContaining('has no row') });
  expect(await chain(e.db)).toEqual(['blacklist.removed anna']);
});
