import { afterEach, describe, expect, it } from 'vitest';
import { type Engine, engine, left } from '../support/engine';
import { BOUNDARY, EXPIRED, exists, partitioned, visits } from '../support/partitioned';

let e: Engine;
afterEach(() => e?.stop());

const receipts = () =>
  e.db.sql(
    `select action, deleted::int as deleted, cardinality(keys) as named, partition from retention.receipt order by id`,
  );

describe('a partition that lies wholly before the cutoff', () => {
  it('is dropped with a receipt that names it, its bounds and the exact count; of the next one rows go', async () => {
    e = await engine();
    const policy = await partitioned(e.db);
    await visits(e.db, EXPIRED, 40);
    await visits(e.db, BOUNDARY, 7);
    await e.db.sql("insert into visits (at) values ('2026-01-30T02:00Z'), ('2026-02-20T00:00Z')");
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 47, path: 'partition' });
    expect(await exists(e.db, EXPIRED)).toBe(false);
    expect(await left(e.db, 'visits')).toBe(2);
    expect(await receipts()).toEqual([
      {
        action: 'drop_partition',
        deleted: 40,
        named: 0,
        partition: {
          name: 'public.visits_2025_12',
          from: '2025-12-01 00:00:00+00',
          to: '2026-01-01 00:00:00+00',
        },
      },
      { action: 'delete', deleted: 7, named: 7, partition: null },
    ]);
  });
});
