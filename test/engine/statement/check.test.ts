import { Client } from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkInWords, checkPolicies } from '@/lib/engine/statement/check';
import { days } from '@/lib/policies/contract';
import { type Engine, engine, govern, left, things, thingsPolicy } from '@/test/support/engine';
import { REVIEW } from '@/test/support/order-review';
import { problemsIn } from '@/test/support/own-database';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

async function check(url: string, ...policies: Parameters<typeof checkPolicies>[1][number][]) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await checkPolicies(client, policies, []);
  } finally {
    await client.end();
  }
}

const another = thingsPolicy({ name: 'nowhere', table: { name: 'no_such_table' } });

it('tells of each policy whether it fits, and of one that does not which statement mends it', async () => {
  const policy = await govern(e.db);
  await things(e.db, [1, 2]);
  await e.db.sql('drop index things_at_id_idx');
  const words = checkInWords(await check(e.db.env.DATABASE_URL!, policy, another));
  expect(words).toMatch(/^things: \d+ problems?$/m);
  expect(words).toContain('CREATE INDEX CONCURRENTLY');
  expect(words).toMatch(/^nowhere: 1 problem$/m);
  expect(words).toContain('no_such_table');
  expect(await left(e.db)).toBe(2);
});

it('looks at the rights of the app also when the owner asks', async () => {
  const policy = await govern(e.db);
  await e.db.sql('revoke delete on things from lapse_app');
  const asOwner = await check(e.db.ownerUrl, policy);
  expect(asOwner.role).toBe('lapse_app');
  expect(JSON.stringify(asOwner.policies)).toMatch(/grant/i);
});

it('one policy that cannot be asked about does not hide the others', async () => {
  const policy = await govern(e.db);
  const { policies } = await check(e.db.env.DATABASE_URL!, another, policy);
  expect(policies.map((p) => p.policy)).toEqual(['nowhere', 'things']);
  expect(policies[0]?.problems).toHaveLength(1);
});

it('says which grants operators need to take rows back and to decide about orders, and keeps no policy waiting for them', async () => {
  const policy = await govern(e.db, {
    strategy: { kind: 'soft-delete', column: 'gone', purgeAfter: days(30) },
  });
  await e.db.sql(`alter table things add column gone timestamptz; create index on things (gone, id);
    create schema shop; create table shop.orders (id uuid primary key, status text, review_extended_until timestamptz, resolved_at timestamptz)`);
  const review = { ...REVIEW, table: { schema: 'shop', name: 'orders' } };
  const asked = async () => {
    const client = new Client({ connectionString: e.db.ownerUrl });
    await client.connect();
    try {
      return await checkPolicies(client, [policy], [], review);
    } finally {
      await client.end();
    }
  };
  const grants = [
    'GRANT SELECT, UPDATE ("gone") ON "public"."things" TO lapse_operator;',
    'GRANT USAGE ON SCHEMA "shop" TO lapse_operator;',
    'GRANT SELECT, UPDATE ("status", "review_extended_until", "resolved_at") ON "shop"."orders" TO lapse_operator;',
  ];
  const found = await asked();
  expect(found.operators.map((p) => p.remedy)).toEqual(expect.arrayContaining(grants));
  expect(checkInWords(found)).toContain('lapse_operator may not decide about orders of "shop"."orders"');
  expect(JSON.stringify(found.policies)).not.toContain('lapse_operator');
  await e.db.sql(grants.join('\n'));
  expect((await asked()).operators).toEqual([]);
});

it('says what to run where Lapse has no schema yet', async () => {
  await e.db.sql('drop schema retention cascade');
  await expect(problemsIn(e.db.ownerUrl, thingsPolicy())).rejects.toThrow(/npm run migrate/);
});
