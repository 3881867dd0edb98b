import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limitOf } from '@/lib/engine/guard/mass';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { days } from '@/lib/policies/contract';
import { govern, left, NOW, protect, runRequest, thingsPolicy } from '@/test/support/engine';
import { aged, type Guarded, guarded, later } from '@/test/support/guarded';

describe('the tightest limit counts', () => {
  const noRuns = { runs: 0, median: null };
  it.each([
    ['a quarter of the table', {}, { estimate: 20_000, usual: noRuns }, 5_000],
    ['the absolute cap', {}, { estimate: 10_000_000, usual: noRuns }, 100_000],
    ['half of a small table', {}, { estimate: 300, usual: noRuns }, 150],
    ['ten rows of a tiny table', {}, { estimate: 4, usual: noRuns }, 10],
    ['ten rows of a table never analyzed', {}, { estimate: -1, usual: noRuns }, 10],
    ['ten rows of an unknown table', {}, { estimate: null, usual: noRuns }, 10],
    ['ten times the usual run', {}, { estimate: 1_000_000, usual: { runs: 5, median: 400 } }, 4_000],
    ['not the usual of four runs', {}, { estimate: 100_000, usual: { runs: 4, median: 400 } }, 25_000],
    [
      'a thousand rows, however small the usual run',
      {},
      { estimate: 100_000, usual: { runs: 20, median: 2 } },
      1_000,
    ],
    [
      'what the policy declares',
      { rows: 300, share: 1, multiple: 50 },
      { estimate: 1000, usual: noRuns },
      300,
    ],
  ])('%s', (_, guard, facts, most) => {
    expect(limitOf(thingsPolicy({ guard }), facts).most).toBe(most);
  });
});

describe('a run with too many candidates', () => {
  let e: Guarded;
  beforeEach(async () => {
    e = await guarded();
  });
  afterEach(() => e.stop());

  it('stops before its first delete and says why and what to do', async () => {
    const policy = await govern(e.db);
    await aged(e, 1, 100, 30);
    await e.analyze();
    const result = await e.run(policy);
    expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0, batches: 0 });
    expect(result.message).toContain('750, 25 % of about 3000 rows');
    expect(result.message).toContain('approve');
    expect(await left(e.db)).toBe(3_000);
  });

  it('works when no more would go than the limit, whatever lies before the cutoff', async () => {
    const policy = await govern(e.db, { where: 't.note is null' });
    await aged(e, 1, 100, 30);
    await e.db.sql(
      "update things set note = 'kept' where id in (select id from things order by at limit 1800)",
    );
    await e.analyze();
    expect(await e.run(policy)).toMatchObject({
      outcome: 'succeeded',
      deleted: 71 * 30 - 1800,
    });
  });

  it('of a table never analyzed asks for ANALYZE', async () => {
    const policy = await govern(e.db);
    await aged(e, 40, 40, 11);
    const result = await e.run(policy);
    expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
    expect(result.message).toContain('ANALYZE "public"."things"');
  });

  it('lets ten rows go from any table', async () => {
    const policy = await govern(e.db);
    await aged(e, 40, 40, 10);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 10 });
  });

  it('stops a jump above the usual run, however large the table', async () => {
    const policy = await govern(e.db);
    await aged(e, 1, 1, 17_000);
    await aged(e, 25, 30, 100);
    await e.analyze();
    for (let day = 0; day < 5; day += 1) {
      expect(await e.at(later(day), policy)).toMatchObject({ outcome: 'succeeded', deleted: 100 });
    }
    await e.db.sql(
      "update things set at = at - interval '60 days' where id in (select id from things order by at desc limit 2000)",
    );
    await e.analyze();
    const result = await e.at(later(5), policy);
    expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
    expect(result.message).toContain('times the usual run');
  });

  it('cannot be judged in time: then nothing goes', async () => {
    const policy = await govern(e.db);
    await aged(e, 1, 100, 30);
    await e.analyze();
    await protect(e.db, policy);
    let counted = 0;
    const database: Database = {
      transaction(statements, options) {
        if (!statements.some((s) => s.text.includes('as candidates'))) {
          return e.services.database.transaction(statements, options);
        }
        counted += 1;
        return Promise.reject(new DatabaseError('timeout', '57014', 'PostgreSQL 57014: statement timeout'));
      },
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
    expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
    expect(result.message).toContain('could not be counted in time');
    expect(counted).toBe(1);
    expect(await left(e.db)).toBe(3_000);
  });

  it('an answer without a count lets nothing go', async () => {
    const policy = await govern(e.db);
    await aged(e, 1, 100, 30);
    await e.analyze();
    await protect(e.db, policy);
    const database: Database = {
      async transaction(statements, options) {
        const rows = await e.services.database.transaction(statements, options);
        return rows.map((r, i) => (statements[i]?.text.includes('as candidates') ? [] : r));
      },
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
    expect(result).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
  });

  it('of a policy by tier are counted under each organization’s own cutoff', async () => {
    await govern(e.db);
    await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text);
      create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
      create index on things (org, at, id); grant select on orgs to lapse_app;
      insert into orgs (plan) values ('free'), ('pro')`);
    await aged(e, 10, 10, 240);
    await e.db.sql("update things set org = (select id from orgs where plan = 'pro')");
    await aged(e, 8, 8, 40);
    await e.db.sql("update things set org = (select id from orgs where plan = 'free') where org is null");
    // Of forty due rows five may go; two hundred and forty more would be due if they were under the other tier.
    await e.db.sql(`insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
      select 'public.things', t.id::text, '2099-01-01', 'r', 'a' from things t join orgs o on o.id = t.org where o.plan = 'free' order by t.id limit 35`);
    await e.analyze();
    const policy = thingsPolicy({
      guard: { rows: 30, share: 1 },
      rules: [
        { label: 'free', keepFor: days(7) },
        { label: 'pro', keepFor: days(30) },
      ],
      tenants: {
        table: { name: 'orgs' },
        key: { column: 'id', type: 'uuid' },
        column: 'org',
        label: 'o.plan',
        judgedBy: [{ name: 'orgs' }],
      },
    });
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5, kept: { extended: 35 } });
    await e.db.sql("update orgs set plan = 'free'");
    await e.db.sql('delete from retention.tenant_label');
    expect(await e.run(policy)).toMatchObject({ outcome: 'skipped', reason: 'guarded', deleted: 0 });
  });

  it('what goes along with a row is not counted: the dry run shows it', async () => {
    await govern(e.db);
    await e.db.sql(`create table notes (id serial primary key, thing uuid references things on delete cascade);
      create index on notes (thing); grant select, delete on notes to lapse_app`);
    await aged(e, 40, 40, 10);
    await e.db.sql('insert into notes (thing) select id from things, generate_series(1, 100)');
    await e.analyze();
    const key = [{ column: 'id', type: 'integer' }];
    const policy = thingsPolicy({
      guard: { rows: 10 },
      dependants: [{ table: { name: 'notes' }, key, references: ['thing'], fate: 'delete' }],
    });
    expect((await e.run(policy, { dryRun: true })).preview?.dependants).toEqual({ 'public.notes': 1_000 });
    expect(await e.run(policy)).toMatchObject({
      outcome: 'succeeded',
      deleted: 10,
      dependantsDeleted: 1_000,
    });
  });
});
