import { afterEach, expect, it } from 'vitest';
import { usageEvents } from '@/lib/example/policies/usage-events';
import { type Engine, engine, fitsDatabase } from '../support/engine';

let e: Engine;
afterEach(() => e?.stop());

it('usage-events fits the database: partitions, columns, index, rights, grant', async () => {
  e = await engine();
  await e.db.sql("select add_usage_month('2026-02-11')");
  expect(await fitsDatabase(e, usageEvents)).toEqual([]);
});

it('a month of events goes thirteen months after its last day, and not a day before', async () => {
  e = await engine({ now: new Date('2026-03-01T03:45:00Z') });
  // 395 days before 1 March 2026 are 30 January 2025.
  for (const month of ['2024-12', '2025-01', '2025-02']) {
    await e.db.sql('select add_usage_month($1::date)', [`${month}-01`]);
    await e.db.sql(
      `insert into usage_events (occurred_at, organization_id, kind) select $1::timestamptz + i * interval '1 day', gen_random_uuid(), 'call' from generate_series(0, 27) i`,
      [`${month}-01T12:00:00Z`],
    );
  }
  expect(await e.run(usageEvents)).toMatchObject({
    outcome: 'succeeded',
    path: 'partition',
    deleted: 28 + 28,
  });
  const left = await e.db.sql(
    "select relname from pg_class where relname ~ '^usage_events_\\d{4}_\\d\\d$' order by 1",
  );
  expect(left.map((r) => r.relname)).toEqual(['usage_events_2025_01', 'usage_events_2025_02']);
});
