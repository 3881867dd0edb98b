import { afterEach, describe, expect, it } from 'vitest';
import { ago, DAY, type Engine, engine, govern, left, things, thingsPolicy } from '../../support/engine';

let e: Engine;
afterEach(() => e?.stop());

/** The refusal's text, after checking that nothing was deleted. */
async function refusal(changes: Parameters<typeof thingsPolicy>[0] = {}): Promise<string> {
  const before = await left(e.db);
  const result = await e.run(thingsPolicy(changes));
  expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
  expect(await left(e.db)).toBe(before);
  return result.message;
}

describe('refused before the first delete, with what to run', () => {
  it('a clock without an index', async () => {
    e = await engine();
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('drop index things_at_id_idx');
    expect(await refusal()).toContain('CREATE INDEX CONCURRENTLY ON "public"."things" ("at", "id");');
  });

  it('an index on the clock alone', async () => {
    e = await engine();
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('drop index things_at_id_idx');
    await e.db.sql('create index on things (at)');
    expect(await refusal()).toContain('("at", "id")');
  });

  it('a foreign key that is not declared, or not indexed', async () => {
    e = await engine();
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('create table notes (id int primary key, thing uuid references things on delete cascade)');
    const message = await refusal();
    expect(message).toContain('CREATE INDEX CONCURRENTLY ON "public"."notes" ("thing");');
    expect(message).toContain('would go with the row');
    await e.db.sql('create index on notes (thing)');
    await e.db.sql('grant select, delete on notes to lapse_app');
    const declared = thingsPolicy({
      dependants: [
        {
          table: { name: 'notes' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['thing'],
          fate: 'delete',
        },
      ],
    });
    await e.db.sql('insert into notes select 7, id from things');
    expect(await e.run(declared)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
    expect(await e.db.sql('select dependants from retention.receipt')).toEqual([
      { dependants: { 'public.notes': ['7'] } },
    ]);
  });

  it('a dependant said to stay whose foreign key would take it along', async () => {
    e = await engine();
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('create table notes (id int primary key, thing uuid references things on delete cascade)');
    await e.db.sql('create index on notes (thing)');
    const dependants = [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'integer' }],
        references: ['thing'],
        fate: 'keep' as const,
      },
    ];
    expect(await refusal({ dependants })).toContain('ON DELETE SET NULL');
  });

  it('a trigger on delete nobody has looked at', async () => {
    e = await engine();
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql(
      'create function keep_it() returns trigger language plpgsql as $$ begin return null; end $$',
    );
    await e.db.sql('create trigger keeper before delete on things for each row execute function keep_it()');
    expect(await refusal()).toContain('"keeper"');
  });

  it('row-level security, a partitioned table, inheritance', async () => {
    e = await engine();
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('alter table things enable row level security');
    expect(await refusal()).toContain('BYPASSRLS');
    await e.db.sql('alter table things disable row level security');
    await e.db.sql('create table more_things () inherits (things)');
    expect(await refusal()).toContain('inheriting');
  });

  it('a clock of another type than declared, a missing column, a missing table, a missing right', async () => {
    e = await engine();
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    expect(await refusal({ clock: { column: 'at', type: 'date' } })).toContain('timestamp with time zone');
    expect(await refusal({ scope: { organization: 'nowhere' } })).toContain('"nowhere"');
    expect(await refusal({ table: { name: 'no_such' } })).toContain('does not exist');
    await e.db.sql('revoke delete on things from lapse_app');
    expect(await refusal()).toContain(
      'GRANT SELECT, DELETE, UPDATE ("id") ON "public"."things" TO lapse_app;',
    );
  });

  it('nothing, when the table is fit', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    await e.db.sql('insert into things (at) values ($1)', [ago(DAY)]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });
});
