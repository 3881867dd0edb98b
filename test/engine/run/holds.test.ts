/** Holds, extensions and periods of their own, in every shape a policy has: each keeps exactly what it names. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { days, forever, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, govern, left, NOW, things, thingsPolicy } from '../../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const hold = (scope: string, subject: string, table: string | null = null) =>
  e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ($1, $2, $3, 'matter 1', 'alice')`,
    [scope, subject, table],
  );

describe('a hold on a row that goes along', () => {
  const OWNER = randomUUID();

  /** Two expired things with a note each; the notes name their own owner. */
  async function withNotes(): Promise<{ policy: Policy; notes: string[] }> {
    await govern(e.db);
    const ids = await things(e.db, [40 * DAY, 41 * DAY]);
    await e.db.sql(`create table notes (id uuid primary key default gen_random_uuid(), thing uuid not null references things on delete cascade,
      team uuid, author uuid)`);
    await e.db.sql('create index on notes (thing); grant select, update, delete on notes to lapse_app');
    const rows = await e.db.sql<{ id: string }>(
      'insert into notes (thing) select unnest($1::uuid[]) returning id::text',
      [ids],
    );
    const policy = thingsPolicy({
      dependants: [
        {
          table: { name: 'notes' },
          key: [{ column: 'id', type: 'uuid' }],
          references: ['thing'],
          fate: 'delete',
          scope: { organization: 'team', user: 'author' },
        },
      ],
    });
    return { policy, notes: rows.map((r) => r.id) };
  }

  it('by its key keeps the row it belongs to, and no other', async () => {
    const { policy, notes } = await withNotes();
    await hold('item', notes[0]!, 'public.notes');
    expect(await e.run(policy)).toMatchObject({ deleted: 1, dependantsDeleted: 1, kept: { held: 1 } });
    expect(await e.db.sql('select id from notes')).toEqual([{ id: notes[0] }]);
  });

  it.each([
    ['organization', 'team'],
    ['user', 'author'],
  ])('by the %s that only it names keeps the row it belongs to', async (scope, column) => {
    const { policy, notes } = await withNotes();
    await e.db.sql(`update notes set ${column} = $1::uuid where id = $2::uuid`, [OWNER, notes[0]]);
    await hold(scope, OWNER);
    expect(await e.run(policy)).toMatchObject({ deleted: 1, kept: { held: 1 } });
    expect(await e.db.sql('select id from notes')).toEqual([{ id: notes[0] }]);
  });
});

describe('a policy that tells organizations apart', () => {
  const TIERS: Partial<PolicyInput> = {
    rules: [
      { label: 'free', keepFor: days(7) },
      { label: 'enterprise', keepFor: forever() },
    ],
    tenants: {
      table: { name: 'orgs' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.plan',
      judgedBy: [{ name: 'orgs' }],
    },
  };

  /** `orgs` free organizations with `rows` expired things each. */
  async function tiers(orgs: number, rows: number): Promise<Policy> {
    await govern(e.db);
    await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text not null default 'free');
      create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
      create index on things (org, at, id); grant select on orgs to lapse_app`);
    await e.db.sql(
      `with o as (insert into orgs select from generate_series(1, $1::int) returning id)
       insert into things (org, at) select o.id, $3::timestamptz - make_interval(secs => n) from o, generate_series(1, $2::int) n`,
      [orgs, rows, ago(10 * DAY)],
    );
    return thingsPolicy(TIERS);
  }

  it('keeps a row that was extended', async () => {
    const policy = await tiers(2, 3);
    const [row] = await e.db.sql<{ id: string }>('select id::text from things limit 1');
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.things', $1, $2::timestamptz + interval '1 day', 'r', 'a')`,
      [row!.id, NOW.toISOString()],
    );
    expect(await e.run(policy)).toMatchObject({ deleted: 5, kept: { extended: 1 } });
    expect(await e.db.sql('select id from things')).toEqual([{ id: row!.id }]);
  });

  it('counts a period of its own for the policy it was set for only', async () => {
    const policy = await tiers(1, 3);
    const forEver = (name: string) =>
      e.db.sql(
        `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by) select $1, id::text, null, 'r', 'a' from orgs`,
        [name],
      );
    await forEver('another');
    expect(await e.run(policy, { limit: 1 })).toMatchObject({ deleted: 1 });
    await forEver('things');
    expect(await e.run(policy)).toMatchObject({ deleted: 0 });
    expect(await left(e.db)).toBe(2);
  });

  it('works off an organization of many batches in one run', async () => {
    const policy = await tiers(1, 30);
    expect(await e.run(policy, { batchSize: 4 })).toMatchObject({ outcome: 'succeeded', deleted: 30 });
  });

  it('resumes in the middle of an organization, and leaves nothing of it', async () => {
    const policy = await tiers(3, 10);
    expect(await e.run(policy, { batchSize: 4, limit: 16 })).toMatchObject({
      outcome: 'interrupted',
      deleted: 16,
    });
    expect(await e.run(policy, { batchSize: 4 })).toMatchObject({ outcome: 'succeeded', deleted: 14 });
  });

  it('works off more organizations than one statement looks at', async () => {
    const policy = await tiers(450, 1);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 450 });
  });

  it('is not drained while a row that may go is somebody’s, whichever organization it is of', async () => {
    const policy = await tiers(1, 3);
    const other = await e.db.session();
    await other.sql('begin');
    await other.sql('select 1 from things limit 1 for update');
    expect(await e.run(policy)).toMatchObject({ outcome: 'interrupted', reason: 'busy', deleted: 2 });
    other.end();
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });
});
