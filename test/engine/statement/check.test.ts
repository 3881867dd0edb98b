import { Client } from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkInWords, checkPolicies } from '@/lib/engine/statement/check';
import { type Engine, engine, govern, left, things, thingsPolicy } from '@/test/support/engine';
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

it('says what to run where Lapse has no schema yet', async () => {
  await e.db.sql('drop schema retention cascade');
  await expect(problemsIn(e.db.ownerUrl, thingsPolicy())).rejects.toThrow(/npm run migrate/);
});
