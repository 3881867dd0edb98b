/** Whatever decides whether a row may go has a gate: what is answered as changed decides about every later deletion. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Policy, PolicyInput } from '@/lib/policies/contract';
import { days } from '@/lib/policies/contract';
import { DAY, type Engine, engine, govern, left, things, thingsPolicy } from '../../support/engine';
import { follow, refused } from '../../support/preflight';
import { advisory, untilWaiting } from '../../support/waiting';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const NOT_PINNED = 'not exists (select 1 from pins p where p.thing = t.id)';
const gate = (table: string) =>
  `CREATE TRIGGER lapse_gate BEFORE INSERT OR UPDATE OR DELETE ON "public"."${table}" FOR EACH STATEMENT EXECUTE FUNCTION retention.gate();`;

async function pinned(changes: Partial<PolicyInput> = { where: NOT_PINNED }): Promise<Policy> {
  const policy = await govern(e.db, changes);
  await e.db.sql('create table pins (thing uuid, until date)');
  await e.db.sql('create index on pins (thing); grant select on pins to lapse_app');
  return policy;
}

describe('the preflight finds out what is asked, and prints the gate', () => {
  it('of a table in where', async () => {
    const policy = await pinned();
    await things(e.db, [40 * DAY]);
    expect(await refused(e, policy)).toContain(gate('pins'));
    expect(await follow(e, policy)).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('of a table behind a view, but not of what a materialized view was made from', async () => {
    const policy = await pinned({ where: 'not exists (select 1 from pinned p where p.thing = t.id)' });
    await e.db.sql('create view pinned as select thing from pins; grant select on pinned to lapse_app');
    expect(await refused(e, policy)).toContain(gate('pins'));
    expect(await follow(e, policy)).toEqual([]);
    await e.db.sql(
      'drop view pinned; create materialized view pinned as select thing from pins; grant select on pinned to lapse_app',
    );
    expect(await refused(e, policy)).toContain(
      '"public"."pinned" decides about rows of "public"."things" and can have no gate',
    );
  });

  it('of a partitioned table with all its partitions, those to come as well', async () => {
    const policy = await govern(e.db, { where: NOT_PINNED });
    await e.db.sql('create table pins (thing uuid, until date) partition by range (until)');
    await e.db.sql(`create table pins_a partition of pins for values from ('2026-01-01') to ('2027-01-01')`);
    await e.db.sql('grant select on pins to lapse_app');
    expect(await refused(e, policy)).toContain(
      'AFTER INSERT OR UPDATE OR DELETE ON "public"."pins" FOR EACH ROW',
    );
    expect(await follow(e, policy)).toEqual([]);
    await e.db.sql(`create table pins_b partition of pins for values from ('2027-01-01') to ('2028-01-01')`);
    expect(await follow(e, policy)).toEqual([]);
  });

  it('of the governed table itself, where other rows of it decide', async () => {
    const newest = 'exists (select 1 from things n where n.person = t.person and n.at > t.at)';
    const policy = await govern(e.db, { where: newest });
    await things(e.db, [40 * DAY, 50 * DAY, 60 * DAY]);
    await e.db.sql(`update things set person = gen_random_uuid()`);
    await e.db.sql(`update things set person = (select person from things limit 1)`);
    expect(await refused(e, policy)).toContain(gate('things'));
    expect(await follow(e, policy)).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  });

  it("of the tenants' own table and of those the label asks", async () => {
    await govern(e.db);
    await e.db.sql(
      'create table orgs (id uuid primary key, plan text); create table plans (org uuid, plan text)',
    );
    await e.db.sql('create index on things (org, at, id); grant select on orgs, plans to lapse_app');
    const tenants = {
      table: { name: 'orgs' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'coalesce((select p.plan from plans p where p.org = o.id limit 1), o.plan)',
    };
    const policy = thingsPolicy({ tenants, rules: [{ label: 'free', keepFor: days(30) }] });
    const said = await refused(e, policy);
    expect(said).toContain(gate('orgs'));
    expect(said).toContain(gate('plans'));
    expect(await follow(e, policy)).toEqual([]);
  });

  it("of a dependant that is to 'block' and has no foreign key", async () => {
    const policy = await pinned({
      dependants: [
        {
          table: { name: 'pins' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['thing'],
          fate: 'block',
        },
      ],
    });
    await e.db.sql('alter table pins add column id int primary key');
    expect(await refused(e, policy)).toContain(gate('pins'));
    expect(await follow(e, policy)).toEqual([]);
  });

  it('that lets some changes by is none', async () => {
    const policy = await pinned();
    await e.db.sql(
      'create trigger partly before insert or delete on pins for each statement execute function retention.gate()',
    );
    expect(await refused(e, policy)).toContain(gate('pins'));
    await e.db.sql(gate('pins'));
    await e.db.sql('alter table pins disable trigger lapse_gate');
    expect(await refused(e, policy)).toContain(gate('pins'));
  });
});

describe('a function', () => {
  const where = 'not is_pinned(t.id)';
  const body = `(id uuid) returns boolean language plpgsql stable as $$ begin return exists (select 1 from pins where thing = id); end $$`;

  it('that may read any table is refused until judgedBy says which, and each of those needs its gate', async () => {
    await pinned();
    await e.db.sql(`create function is_pinned ${body}`);
    await things(e.db, [40 * DAY]);
    expect(await refused(e, thingsPolicy({ where }))).toContain('public.is_pinned, which is not immutable');
    expect(await refused(e, thingsPolicy({ where, judgedBy: [{ name: 'pins' }] }))).toContain(gate('pins'));
    expect(await refused(e, thingsPolicy({ where, judgedBy: [{ name: 'pin' }] }))).toContain(
      'judgedBy names public.pin, which does not exist',
    );
    expect(await follow(e, thingsPolicy({ where, judgedBy: [{ name: 'pins' }] }))).toEqual([]);
  });

  it('behind a view or in quotes is found as well', async () => {
    await pinned();
    await e.db.sql(`create function "Is Pinned" ${body}; create function is_pinned ${body}`);
    await e.db.sql(
      'create view loose as select id from things t where not is_pinned(t.id); grant select on loose to lapse_app',
    );
    for (const hidden of ['not "Is Pinned"(t.id)', 'exists (select 1 from loose l where l.id = t.id)']) {
      expect(await refused(e, thingsPolicy({ where: hidden }))).toContain('which is not immutable');
    }
  });

  it('that reads nothing is accepted as immutable, or by judgedBy: []', async () => {
    await govern(e.db);
    await e.db.sql(
      'create function is_old(at timestamptz) returns boolean language sql stable as $$ select at < now() $$',
    );
    expect(await refused(e, thingsPolicy({ where: 'is_old(t.at)' }))).toContain('judgedBy: []');
    expect(await follow(e, thingsPolicy({ where: 'is_old(t.at)', judgedBy: [] }))).toEqual([]);
    await e.db.sql('alter function is_old immutable');
    expect(await follow(e, thingsPolicy({ where: 'is_old(t.at)' }))).toEqual([]);
  });
});

describe('a fragment that cannot stand', () => {
  it.each([
    ['t.no_such is null', '42703'],
    ['t.at = 7', '42883'],
    [`t.org = 'x'`, '22P02'],
    ['exists (select 1 from no_such)', '42P01'],
  ])('%s is refused by the name of its field', async (where, state) => {
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    const said = await refused(e, thingsPolicy({ where }));
    expect(said).toContain('where cannot be asked of "public"."things"');
    expect(said).toContain(`(${state})`);
  });

  it('asks for the right to read what it asks', async () => {
    const policy = await pinned();
    await e.db.sql('revoke select on pins from lapse_app');
    const said = await refused(e, policy);
    expect(said).toContain('where cannot be asked of "public"."things": permission denied for table pins');
    expect(said).toContain('GRANT SELECT ON "pins" TO lapse_app;');
    // Once it may be read, PostgreSQL says that it is asked.
    expect((await follow(e, policy)).join()).toContain('public.pins decides about rows');
    expect(await follow(e, policy)).toEqual([]);
  });

  it('says once what right to the table itself is missing, with a statement that can be run', async () => {
    const policy = await govern(e.db, { where: `t.note <> 'x'` });
    await e.db.sql('revoke select on things from lapse_app');
    const said = await refused(e, policy);
    expect(said).toContain('GRANT SELECT, DELETE, UPDATE ("id") ON "public"."things" TO lapse_app;');
    expect(said).not.toContain('where cannot be asked');
    expect(await follow(e, policy)).toEqual([]);
  });

  it('says of a function that may not be called that a right to it is missing', async () => {
    const policy = await govern(e.db, { where: 'is_shut(t.note)' });
    await e.db.sql(`create function is_shut(note text) returns boolean language plpgsql immutable as $$ begin return true; end $$;
      revoke execute on function is_shut(text) from public`);
    expect(await refused(e, policy)).toContain('give lapse_app the right to read what where asks');
  });
});

describe('while a batch is running', () => {
  /** Its deletion waits for `release`, behind every lock a batch takes. */
  async function running(policy: Policy) {
    await e.db.sql(
      `create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(42); return null; end $$`,
    );
    await e.db.sql('create trigger wait before delete on things for each statement execute function wait()');
    const holder = await e.db.session();
    await holder.sql('select pg_advisory_lock(42)');
    const run = e.run({ ...policy, knownTriggers: ['wait'] });
    await untilWaiting(e.db, advisory(42), run);
    return { run, release: () => holder.sql('select pg_advisory_unlock(42)') };
  }
  const WAITS = `l.locktype = 'advisory' and l.classid = 7001 or l.locktype in ('tuple', 'transactionid')`;

  /** Makes a change meanwhile; gives how many things there were when it was answered. */
  async function changed(policy: Policy, change: string): Promise<number> {
    const { run, release } = await running(policy);
    const writer = await e.db.session();
    const answer = writer.sql(change).catch((error: { code?: string }) => error.code);
    // It waits for the batch, or is answered at once.
    await untilWaiting(e.db, WAITS, answer).catch(() => undefined);
    await release();
    await answer;
    const then = await left(e.db);
    await run;
    return then;
  }

  it('a pin that is answered keeps its row, or finds it gone', async () => {
    const policy = await pinned();
    expect(await follow(e, { ...policy, knownTriggers: ['wait'] })).toEqual([]);
    await things(e.db, [40 * DAY]);
    const then = await changed(policy, 'insert into pins select id from things');
    expect(await left(e.db)).toBe(then);
  });

  it("a row that is to 'block' and is answered keeps its row, or finds it gone", async () => {
    const policy = await pinned({
      dependants: [
        {
          table: { name: 'pins' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['thing'],
          fate: 'block',
        },
      ],
    });
    await e.db.sql('alter table pins add column id int primary key default 1');
    expect(await follow(e, policy)).toEqual([]);
    await things(e.db, [40 * DAY]);
    const then = await changed(policy, 'insert into pins (thing) select id from things');
    expect(await left(e.db)).toBe(then);
  });

  it('no child stays behind without its parent, once the printed foreign key is there', async () => {
    const policy = await pinned({
      dependants: [
        {
          table: { name: 'pins' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['thing'],
          fate: 'delete',
        },
      ],
    });
    await e.db.sql(
      'alter table pins add column id int primary key default 1; grant delete on pins to lapse_app',
    );
    await e.db.sql(`insert into pins values (gen_random_uuid(), null, 7)`);
    expect(await refused(e, policy)).toContain('ON DELETE CASCADE NOT VALID;');
    expect(await follow(e, policy)).toEqual([]);
    await things(e.db, [40 * DAY]);
    await changed(policy, 'insert into pins (thing) select id from things');
    // The orphan of before is nobody's: a foreign key that is not validated leaves it.
    expect(await e.db.sql('select id from pins where thing not in (select id from things)')).toEqual([
      { id: 7 },
    ]);
  });
});
