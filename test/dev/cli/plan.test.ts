import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readOnly } from '@/lib/dev/read-only';
import { days, type PolicyInput } from '@/lib/policies/contract';
import { makePlan } from '@/lib/watch/plan/plan';
import { DAY, type Engine, engine, govern, NOW, things, thingsPolicy } from '../../support/engine';

let e: Engine;
let client: Client;
beforeEach(async () => {
  e = await engine();
  client = new Client({ connectionString: e.db.ownerUrl });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await e.stop();
});

const planned = (changes: Partial<PolicyInput>) =>
  makePlan(
    {
      database: readOnly(client),
      policies: [thingsPolicy(changes)],
      guards: e.services.settings.guards,
      clock: () => NOW,
    },
    { deadline: new Date(NOW.getTime() + 60_000), days: 30 },
  );

it('runs no SQL from a record with the rights of the owner', async () => {
  await e.run(await govern(e.db, { where: 'true' }));
  await things(e.db, [40 * DAY]);
  // The same predicate is the branch's own.
  const shorter = { where: 'true', rules: [{ label: 'all', keepFor: days(10) }] };
  expect((await planned(shorter)).policies[0]?.effect?.becomes?.now.rows).toBe(0);
  const other = (await planned({ where: 'false' })).policies[0];
  expect(other?.effect).toBeNull();
  expect(other?.problems[0]).toMatch(/connect as DATABASE_URL does, with a login of lapse_app/);
});

it('lets nothing be written over a plain connection', async () => {
  await govern(e.db);
  const write = { text: 'insert into things (id) values (gen_random_uuid())', params: [] };
  await expect(readOnly(client).transaction([write], { timeoutMs: 1_000 })).rejects.toMatchObject({
    sqlState: '25006',
  });
  const { rows } = await client.query('select count(*)::int as n from things');
  expect(rows[0].n).toBe(0);
});

const plan = (args: readonly string[] = [], env: NodeJS.ProcessEnv = process.env) =>
  promisify(execFile)(process.execPath, ['node_modules/tsx/dist/cli.mjs', 'lib/dev/cli/plan.ts', ...args], {
    env,
    timeout: 80_000,
  }).catch((error: { code: number; stdout: string; stderr: string }) => error);

it('says what to set where no database is named', async () => {
  expect(await plan([], { ...process.env, PLAN_DATABASE_URL: '', DATABASE_URL: '' })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('set PLAN_DATABASE_URL'),
  });
});

it('prints the plan of the policies of this project as Markdown and as JSON', async () => {
  const over = ['--database', e.db.ownerUrl];
  expect((await plan(over)).stdout).toMatch(/^## Retention plan\n/);
  expect(JSON.parse((await plan([...over, '--json', '--days', '7'])).stdout)).toMatchObject({ days: 7 });
});
