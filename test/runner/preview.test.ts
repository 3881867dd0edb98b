import { afterEach, describe, expect, it } from 'vitest';
import type { Database } from '@/lib/database';
import { days, hours } from '@/lib/policies/contract';
import { runPolicy } from '@/lib/runner/run';
import {
  ago,
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  order,
  things,
  thingsPolicy,
} from '../support/engine';

let e: Engine;
afterEach(() => e?.stop());

describe('dry run', () => {
  it('predicts exactly what the run then deletes, and touches nothing', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(
      e.db,
      Array.from({ length: 30 }, (_, i) => (25 + i) * DAY),
    );
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by)
       select 'item', id::text, 'public.things', 'm', 'a' from things order by at limit 2`,
    );
    const dry = await e.run(policy, { dryRun: true });
    expect(dry).toMatchObject({
      mode: 'dry_run',
      outcome: 'succeeded',
      deleted: 0,
      preview: {
        complete: true,
        expired: 22,
        byRule: { all: { expired: 22 } },
        kept: { held: 2 },
        estimatedRuns: 1,
      },
    });
    expect(dry.preview?.sampleKeys).toHaveLength(10);
    expect(dry.preview?.oldest).toBe(ago(52 * DAY).replace('000Z', '000000Z'));
    expect(await left(e.db)).toBe(30);
    expect(await e.db.sql('select 1 from retention.receipt')).toEqual([]);
    const real = await e.run(policy);
    expect(real.deleted).toBe(dry.preview?.expired);
  });

  it('reads only in READ ONLY transactions, which the database enforces', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    const seen: { readOnly: boolean; first: string; touches: boolean }[] = [];
    const database: Database = {
      transaction(statements, options) {
        seen.push({
          readOnly: options.readOnly === true,
          first: statements[0]!.text.trimStart().slice(0, 6),
          touches: statements.some((s) => s.text.includes('"things"')),
        });
        return e.services.database.transaction(statements, options);
      },
    };
    await runPolicy({ ...e.services, database }, policy, order(NOW, { dryRun: true }));
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.filter((s) => s.touches).every((s) => s.readOnly && s.first === 'select')).toBe(true);
    await expect(
      e.services.database.transaction(
        [
          { text: 'select 1', params: [] },
          { text: 'delete from things', params: [] },
        ],
        {
          readOnly: true,
          timeoutMs: 5_000,
        },
      ),
    ).rejects.toMatchObject({ sqlState: '25006' });
  });

  it('is what every run is outside production', async () => {
    e = await engine({ env: { VERCEL_ENV: 'preview' } });
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    expect(await e.run(policy)).toMatchObject({ mode: 'dry_run', deleted: 0, preview: { expired: 1 } });
    expect(await left(e.db)).toBe(1);
  });

  it('says when it ran out of time and that its counts are partial', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    const dry = await e.run(policy, { dryRun: true, deadline: new Date(NOW.getTime() + 500) });
    expect(dry).toMatchObject({ outcome: 'interrupted', reason: 'time', preview: { complete: false } });
  });

  it('counts by rule', async () => {
    e = await engine();
    await govern(e.db);
    await e.db.sql('create index on things (note, at, id)');
    const policy = thingsPolicy({
      rules: [
        { label: 'failed', keepFor: days(7), match: { note: 'failed' } },
        { label: 'done', keepFor: hours(24), match: { note: 'done' } },
      ],
    });
    await things(e.db, [8 * DAY, 9 * DAY, 2 * DAY, 2 * DAY, 2 * DAY, DAY / 2]);
    await e.db.sql(
      `update things set note = case when at < $1 then 'failed' when note is null then 'done' end`,
      [ago(5 * DAY)],
    );
    await e.db.sql(`insert into things (at, note) values ($1, 'other')`, [ago(100 * DAY)]);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry.preview?.byRule).toMatchObject({ failed: { expired: 2 }, done: { expired: 3 } });
    const real = await e.run(policy);
    expect(real.byRule).toMatchObject({ failed: { deleted: 2 }, done: { deleted: 3 } });
    expect(await left(e.db)).toBe(2);
  });
});
