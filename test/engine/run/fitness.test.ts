/** What changes in the catalogs while a run lasts stops it by name, before rows are blamed or lost. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RunResult } from '@/lib/engine/run/result';
import { runPolicy } from '@/lib/engine/run/run';
import type { Policy } from '@/lib/policies/contract';
import { DAY, type Engine, engine, govern, left, NOW, runRequest, things } from '../../support/engine';

let e: Engine;
let policy: Policy;
beforeEach(async () => {
  e = await engine();
  policy = await govern(e.db);
  await things(
    e.db,
    Array.from({ length: 10 }, (_, i) => (40 + i) * DAY),
  );
});
afterEach(() => e.stop());

/** Two rows a batch; `meanwhile` happens before the third batch, `seconds` later. */
async function run(meanwhile: string, seconds: number): Promise<RunResult> {
  let now = NOW;
  let batches = 0;
  const database: typeof e.services.database = {
    async transaction(statements, options) {
      const isBatch = statements.some((s) => s.text.includes('enter_batch')) && !options.readOnly;
      const rows = await e.services.database.transaction(statements, options);
      if (isBatch) batches += 1;
      if (isBatch && batches === 2) {
        await e.db.sql(meanwhile);
        now = new Date(now.getTime() + seconds * 1000);
      }
      return rows;
    },
  };
  return runPolicy({ ...e.services, database, clock: () => now }, policy, runRequest(NOW, { batchSize: 2 }));
}

const NOTES = 'create table notes (thing uuid references things on delete cascade)';

it('a foreign key added meanwhile stops the run within seconds, with what to run', async () => {
  const result = await run(NOTES, 11);
  expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 4 });
  expect(result.message).toContain('public.notes (thing) references the table and is not declared');
  expect(await left(e.db)).toBe(6);
});

it('the catalog is not read before every batch', async () => {
  expect(await run(NOTES, 1)).toMatchObject({ outcome: 'succeeded', deleted: 10 });
});

it('a trigger added meanwhile that refuses is named, and no row is set aside for it', async () => {
  const result = await run(
    `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger refuse before delete on things for each row execute function refuse()`,
    0,
  );
  expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 4 });
  expect(result.message).toContain('trigger "refuse"');
  expect(await e.db.sql('select 1 from retention.dead_letter')).toEqual([]);
});

it('a cascade added meanwhile loses no row: the batch rolls back and the foreign key is named', async () => {
  const result = await run(
    `${NOTES}; insert into notes select id from things where id in (select id from things order by at limit 1)`,
    0,
  );
  expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 4 });
  expect([await left(e.db), await left(e.db, 'notes')]).toEqual([6, 1]);
});
