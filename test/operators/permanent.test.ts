import { afterEach, beforeEach, expect, it } from 'vitest';
import '@/lib/example/policies'; // asks for its permanent table: this test goes with it
import type { Database } from '@/lib/platform/database';
import { type Guarded, guarded } from '@/test/support/guarded';
import { act, OPERATORS } from '@/test/support/operators';

const ID = '7b0c1d5e-aaaa-4bbb-8ccc-dddddddddddd';
let e: Guarded;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  await e.db.sql(
    "insert into email_blacklist (id, email, reason) values ($1, 'a@example.com', 'bounce'), (gen_random_uuid(), 'b@example.com', 'bounce')",
    [ID],
  );
});
afterEach(() => e.stop());

const remove = (more: object = {}) =>
  act(e.services, 'alice', {
    action: 'blacklist.remove',
    table: 'public.email_blacklist',
    key: ID.toUpperCase(),
    reason: 'entered by mistake, ticket 12',
    ...more,
  });
const emails = async () =>
  (await e.db.sql('select email from email_blacklist order by email')).map((r) => r.email);
const entries = () => e.db.sql('select n::int, actor, action, subject, reason from retention.audit_entry');

it('one entry is removed by its key, on the record, without the address', async () => {
  const answer = await remove();
  expect([answer.status, answer.body.entry]).toEqual([200, 1]);
  expect(await emails()).toEqual(['b@example.com']);
  expect(await entries()).toEqual([
    {
      n: 1,
      actor: 'alice',
      action: 'blacklist.removed',
      subject: `public.email_blacklist ${ID}`,
      reason: 'entered by mistake, ticket 12',
    },
  ]);
  expect((await remove()).body.error?.code).toBe('unknown');
  expect(await entries()).toHaveLength(1);
});

it.each([
  ['a table that is not permanent', { table: 'public.users' }, 422, 'unknown_table'],
  ['what is no key', { key: 'a@example.com' }, 422, 'no_such_value'],
  ['two values', { key: [ID, ID] }, 422, 'no_such_value'],
  ['a row that is not there', { key: '00000000-0000-4000-8000-000000000000' }, 404, 'unknown'],
])('%s is refused, and nothing is removed', async (_, more, status, code) => {
  const answer = await remove(more);
  expect([answer.status, answer.body.error?.code]).toEqual([status, code]);
  expect(await emails()).toHaveLength(2);
  expect(await entries()).toEqual([]);
});

it('without the permission of the owner nothing is removed, and the answer has the statement that grants it', async () => {
  await e.db.sql('delete from retention.permanent_table');
  const answer = await remove();
  expect([answer.status, answer.body.error?.code]).toEqual([409, 'not_permitted']);
  expect(answer.body.error?.message).toContain('INSERT INTO retention.permanent_table');
  expect(await emails()).toHaveLength(2);
});

it('a cascade that would delete more undoes the removal', async () => {
  await e.db.sql(`create table bounces (id int primary key, entry uuid references email_blacklist on delete cascade);
    insert into bounces values (1, '${ID}')`);
  expect((await remove()).body.error?.code).toBe('takes_more');
  expect(await emails()).toHaveLength(2);
  expect(await entries()).toEqual([]);
});

it('a key that is not unique removes nothing', async () => {
  await e.db.sql("update retention.permanent_table set key_columns = '{reason}'");
  expect((await remove({ key: 'bounce' })).body.error?.code).toBe('takes_more');
  expect(await emails()).toHaveLength(2);
});

it('while everything is stopped nothing is removed', async () => {
  await act(e.services, 'alice', { action: 'all.stop', reason: 'incident' });
  expect((await remove()).body.error?.code).toBe('stopped');
  expect(await emails()).toHaveLength(2);
});

it('neither the app nor an operator can delete there or permit it, and the app removes nothing', async () => {
  const as = (database: Database) => (text: string) =>
    database.transaction([{ text, params: [] }], { timeoutMs: 5_000 });
  const [asApp, asOperator] = [as(e.services.database), as(e.services.deciding)];
  for (const asWhom of [asApp, asOperator]) {
    await expect(asWhom('delete from email_blacklist')).rejects.toMatchObject({ sqlState: '42501' });
    await expect(
      asWhom(
        "insert into retention.permanent_table (table_name, key_columns) values ('public.users', '{id}')",
      ),
    ).rejects.toMatchObject({ sqlState: '42501' });
  }
  const removal = `select * from retention.remove_permanent('alice', 'r', 'public.email_blacklist', array['${ID}'])`;
  await expect(asApp(removal)).rejects.toMatchObject({ sqlState: '42501' });
  await expect(
    asOperator(`select * from retention.remove_permanent('alice', 'r', 'public.users', array['${ID}'])`),
  ).rejects.toMatchObject({ sqlState: 'LP011' });
  await expect(
    asOperator(
      `select * from retention.remove_permanent('cron', 'r', 'public.email_blacklist', array['${ID}'])`,
    ),
  ).rejects.toMatchObject({ sqlState: '22023' });
  expect(await emails()).toHaveLength(2);
});

it('a row that others refer to stays, and the answer says why', async () => {
  await e.db.sql(`create table bounces (id int primary key, entry uuid references email_blacklist);
    insert into bounces values (1, '${ID}')`);
  const answer = await remove();
  expect([answer.status, answer.body.error?.code]).toEqual([409, 'referenced']);
  expect(await emails()).toHaveLength(2);
  expect(await entries()).toEqual([]);
});
