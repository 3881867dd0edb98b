/** Any shape or a refusal: of random schemas each is refused before a row goes, or emptied exactly as plain SQL would. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ago, type Engine, engine, fitsDatabase, protect } from '../../support/engine';
import { named } from '../../support/preflight';
import { leftByPlainSql, type Random, randomSchema, rowsOf } from '../../support/random-schema';

const SCHEMAS = 60;
/** Rows that wait for others go in a later run. */
const MOST_RUNS = 12;

let e: Engine;
beforeAll(async () => {
  e = await engine();
});
afterAll(() => e.stop());

/** Runs until nothing goes any more; what was set aside is tried again each time. */
async function runToTheEnd(r: Random): Promise<void> {
  for (let runs = 0; runs < MOST_RUNS; runs += 1) {
    const result = await e.run(r.policy, r.holdBack ? { batchSize: 1 } : { batchSize: 3 });
    expect(['succeeded', 'interrupted'], `${r.schema}: ${result.message}`).toContain(result.outcome);
    if (result.deleted === 0) return;
    await e.db.sql('update retention.dead_letter set next_attempt_at = $1::timestamptz', [ago(1)]);
  }
  expect.unreachable(`${r.schema} was not emptied in ${MOST_RUNS} runs`);
}

it(`refuses or exactly empties ${SCHEMAS} random schemas`, { timeout: 180_000 }, async () => {
  let refused = 0;
  let deleted = 0;
  for (let seed = 0; seed < SCHEMAS; seed += 1) {
    const r = await randomSchema(e.db, seed);
    const before = await rowsOf(e.db, r);
    await protect(e.db, r.policy);
    if ((await fitsDatabase(e, r.policy)).length > 0) {
      expect(await e.run(r.policy)).toMatchObject({ outcome: 'errored', reason: 'preflight' });
      expect(await rowsOf(e.db, r), r.schema).toEqual(before);
      refused += 1;
      continue;
    }
    const expected = await leftByPlainSql(e.db, r);
    await runToTheEnd(r);
    const after = await rowsOf(e.db, r);
    expect(after, r.schema).toEqual(expected);
    const gone = before.filter((row) => !after.includes(row));
    const receipts = (await named(e)).filter((row) => row.startsWith(`${r.schema}.`));
    expect(receipts, r.schema).toEqual(gone);
    deleted += gone.length;
  }
  // A generator that is always refused, or never, shows nothing.
  expect(refused).toBeGreaterThan(SCHEMAS / 6);
  expect(SCHEMAS - refused).toBeGreaterThan(SCHEMAS / 4);
  expect(deleted).toBeGreaterThan(SCHEMAS);
});
