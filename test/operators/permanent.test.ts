import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import '@/lib/example/policies'; // asks for its permanent table: this test goes with it
import type { Database } from '@/lib/platform/database';
import { createLog } from '@/lib/platform/log';
import { type Guarded, guarded } from '@/test/support/guarded';
import { act, OPERATORS } from '@/test/support/operators';

const KEY = '5a'.repeat(32);
const ID = '7b0c1d5e-aaaa-4bbb-8ccc-dddddddddddd';
let e: Guarded;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS, LAPSE_RIGHTS_KEY: KEY });
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
const entries = () =>
  e.db.sql('select n::int, actor, action, subject, reason from retention.audit_entry order by n');

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
  const removal = `select * from retention.remove_permanent('alice', 'r', 'public.email_blacklist', array['${ID}'], null, null, null)`;
  await expect(asApp(removal)).rejects.toMatchObject({ sqlState: '42501' });
  await expect(
    asOperator(
      `select * from retention.remove_permanent('alice', 'r', 'public.users', array['${ID}'], null, null, null)`,
    ),
  ).rejects.toMatchObject({ sqlState: 'LP011' });
  await expect(
    asOperator(
      `select * from retention.remove_permanent('cron', 'r', 'public.email_blacklist', array['${ID}'], null, null, null)`,
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

describe('by the keyed hash of an address', () => {
  const by = (more: object) => remove({ key: undefined, ...more });
  const hashOf = async () =>
    (await e.db.sql('select detail from retention.audit_entry'))[0]?.detail as { hmac_sha256: string };

  it('the entry is removed, in whatever case it is written, and the address is kept nowhere', async () => {
    const said: string[] = [];
    const log = createLog({ level: 'trace', destination: { write: (line) => void said.push(line) } });
    Object.assign(e.services, { log });
    const answer = await by({ address: ' A@Example.com ' });
    expect([answer.status, answer.body.entry]).toEqual([200, 1]);
    expect(await emails()).toEqual(['b@example.com']);
    const { hmac_sha256: hash } = await hashOf();
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    const [entry] = await e.db.sql('select x::text as written from retention.audit_entry x');
    expect(entry?.written).toContain(`public.email_blacklist hmac-sha256:${hash}`);
    expect(said.join()).toContain('blacklist.removed');
    for (const kept of [...said, JSON.stringify(answer), String(entry?.written)]) {
      expect(kept).not.toMatch(/a@example|7b0c1d5e/i);
    }
  });

  it('the address reaches the database in no statement and no parameter', async () => {
    const sent: string[] = [];
    const { deciding: real } = e.services;
    const deciding: Database = {
      ...real,
      transaction: (statements, options) => {
        sent.push(JSON.stringify(statements));
        return real.transaction(statements, options);
      },
    };
    Object.assign(e.services, { deciding });
    expect((await by({ address: 'a@example.com' })).status).toBe(200);
    expect(sent.length).toBeGreaterThan(0);
    expect(sent.join()).not.toMatch(/a@example/i);
  });

  it('the hash that an entry names removes the same address again', async () => {
    await by({ address: 'a@example.com' });
    const { hmac_sha256: addressHash } = await hashOf();
    await e.db.sql("insert into email_blacklist (email, reason) values ('a@example.com', 'again')");
    expect((await by({ addressHash })).status).toBe(200);
    expect(await emails()).toEqual(['b@example.com']);
  });

  it.each([
    ['an address that is not there', { address: 'c@example.com' }, 404, 'unknown'],
    ['a hash without its key', { addressHash: '0'.repeat(64) }, 404, 'unknown'],
    ['an address and a key', { address: 'a@example.com', key: ID }, 400, 'bad_field'],
    ['neither', {}, 400, 'bad_field'],
    ['a reason that names it', { address: 'a@example.com', reason: 'A@example.com asked' }, 422, 'bad_field'],
  ])('%s is refused, and nothing is removed', async (_, more, status, code) => {
    const answer = await by(more);
    expect([answer.status, answer.body.error?.code]).toEqual([status, code]);
    expect(JSON.stringify(answer)).not.toContain('example.com');
    expect(await emails()).toHaveLength(2);
    expect(await entries()).toEqual([]);
  });

  it('two entries of one address stay, and the answer says how to name one', async () => {
    await e.db.sql("insert into email_blacklist (email, reason) values ('A@EXAMPLE.com', 'bounce')");
    expect((await by({ address: 'a@example.com' })).body.error?.code).toBe('takes_more');
    expect(await emails()).toHaveLength(3);
  });

  it('without the key of the environment nothing is removed', async () => {
    Object.assign(e.services, { settings: { ...e.services.settings, rightsKeys: [] } });
    const answer = await by({ address: 'a@example.com' });
    expect([answer.status, answer.body.error?.code]).toEqual([409, 'no_key']);
    expect(answer.body.error?.message).toContain('LAPSE_RIGHTS_KEY');
    expect(await emails()).toHaveLength(2);
  });

  it('without the permission of the owner for a column nothing is removed, and the answer has the statement', async () => {
    await e.db.sql('update retention.permanent_table set person_column = null');
    const answer = await by({ address: 'a@example.com' });
    expect([answer.status, answer.body.error?.code]).toEqual([409, 'not_permitted']);
    const [, statement = ''] = String(answer.body.error?.message).split('permitted it: ');
    await e.db.sql(statement);
    expect((await by({ address: 'a@example.com' })).status).toBe(200);
  });

  it('a table whose key is the address is only left by its hash: no entry ever holds one', async () => {
    await e.db.sql("update retention.permanent_table set key_columns = '{email}'");
    const answer = await remove({ key: 'a@example.com' });
    expect([answer.status, answer.body.error?.code]).toEqual([422, 'bad_field']);
    const text = `select * from retention.remove_permanent('alice', 'r', 'public.email_blacklist', array['a@example.com'], null, null, null)`;
    await expect(
      e.services.deciding.transaction([{ text, params: [] }], { timeoutMs: 5_000 }),
    ).rejects.toMatchObject({ sqlState: '22023' });
    expect((await by({ address: 'a@example.com' })).status).toBe(200);
    expect(await emails()).toEqual(['b@example.com']);
  });
});
