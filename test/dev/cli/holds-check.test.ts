/** Over the policies of the example: this test goes with it. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import '@/lib/example/policies';
import { type Engine, engine } from '@/test/support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

it('npm run holds:check prints what keeps nothing and ends with 1', async () => {
  const run = () =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', 'lib/dev/cli/holds-check.ts'], {
      env: { ...process.env, ...e.db.env },
    });
  expect((await run()).stdout).toBe('0 keep rows, 0 match nothing now, 0 not counted, 0 misspelled\n');
  const [org] = await e.db.sql<{ id: string }>(
    "insert into organizations (name) values ('Acme') returning id",
  );
  await e.db.sql("insert into quiz_responses (organization_id, quiz) values ($1, 'x')", [org!.id]);
  await e.db.sql(
    `insert into retention.hold (scope, subject, reason, placed_by)
     select 'organization', x, 'old case', 'alice' from unnest($1::text[]) x`,
    [[org!.id.toUpperCase(), randomUUID()]],
  );
  const ended = await run().catch((error: { code: number; stdout: string }) => error);
  expect(ended).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('1 match nothing now, 0 not counted, 1 misspelled'),
  });
  expect(ended.stdout).toContain(`KEEPS NOTHING: rows print this as "${org!.id}"`);
});
