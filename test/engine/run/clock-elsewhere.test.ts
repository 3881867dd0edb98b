/** A clock in another table: an item goes by the date of its order, and never because a change of that date was missed. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { explainRow } from '@/lib/operators/audit/explain-row';
import type { Database } from '@/lib/platform/database';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { measurePolicy } from '@/lib/watch/quality/measure';
import {
  ago,
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  NOW,
  runRequest,
  thingsPolicy,
} from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
  await e.db.sql(`create table parcels (id int, shop int, placed_at timestamptz, total int);
    create table wares (id int primary key, order_id int, shop int not null default 1, state text, note text);
    create index on wares (order_id)`);
});
afterEach(() => e.stop());

const ORDER = { table: { name: 'parcels' }, references: ['shop', 'order_id'], key: ['shop', 'id'] };
const policyOf = (changes: Partial<PolicyInput> = {}): Policy =>
  thingsPolicy({
    table: { name: 'wares' },
    key: [{ column: 'id' }],
    scope: {},
    clock: { column: 'placed_at', type: 'timestamptz', in: ORDER },
    ...changes,
  });

/** Orders 1 to 8, the odd ones of them old, 7 without a date; twenty wares of parcels 1 to 10, and one of none. */
async function filled(): Promise<void> {
  await e.db.sql(
    `insert into parcels select i, 1, case when i % 2 = 1 then $1::timestamptz else $2::timestamptz end from generate_series(1, 8) i`,
    [ago(31 * DAY), ago(29 * DAY)],
  );
  await e.db.sql(`update parcels set placed_at = null where id = 7;
    insert into wares (id, order_id) select i, 1 + i % 10 from generate_series(1, 20) i; insert into wares (id) values (99)`);
}
const GOING = [2, 4, 10, 12, 14, 20];
const ids = async () => (await e.db.sql('select id from wares order by id')).map((r) => Number(r.id));

it('is asked for what it needs, and what the order says goes: nothing else, in batches of any size', async () => {
  const policy = policyOf();
  const said = await refused(e, policy);
  expect(said).toContain('CREATE UNIQUE INDEX CONCURRENTLY ON "public"."parcels" ("shop", "id");');
  expect(said).toContain('BEFORE UPDATE OF "placed_at", "shop", "id" OR DELETE ON "public"."parcels"');
  expect(said).toContain('GRANT SELECT ON "public"."parcels" TO lapse_app');
  expect(await follow(e, policy)).toEqual([]);
  await filled();
  const before = await ids();
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: GOING.length, complete: true, blockers: [] });
  expect(dry.preview?.oldest).toContain(ago(31 * DAY).slice(0, 19));
  const run = await e.run(policy, { batchSize: 2 });
  expect(run).toMatchObject({ outcome: 'succeeded', deleted: GOING.length });
  expect(await ids()).toEqual(before.filter((id) => !GOING.includes(id)));
  expect(await named(e)).toEqual(GOING.map((id) => `public.wares ${id}`).sort());
  const services = { ...e.services, policies: [policy] };
  expect((await explainRow(services, 'public.wares', '1')).here[0]).toMatchObject({ status: 'not_expired' });
  expect((await explainRow(services, 'public.wares', '99')).here[0]).toMatchObject({ status: 'no_clock' });
  // No order, or one without a date.
  const found = await measurePolicy(e.services, policyOf({ quality: { emptyClocks: null } }), { now: NOW });
  expect(found.find((m) => m.measure === 'profile')).toMatchObject({
    detail: { emptyShare: expect.any(Number) },
  });
});

it('what keeps a row that is young, or has no date, is not counted: it would stay all the same', async () => {
  const policy = await readied(policyOf());
  await e.db.sql(`insert into retention.hold (scope, table_name, subject, reason, placed_by)
    select 'item', 'public.wares', id, 'm', 'a' from wares where id in (1, 2, 3, 99)`);
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: GOING.length - 1, kept: { held: 1 } });
  expect(await e.run(policy)).toMatchObject({ deleted: GOING.length - 1, kept: { held: 1 } });
});

async function readied(policy: Policy): Promise<Policy> {
  await e.db.sql('grant select on parcels to lapse_app');
  expect(await follow(e, policy)).toEqual([]);
  await filled();
  return policy;
}

it('goes with rules, a condition and any kind of clock', async () => {
  await e.db.sql('alter table parcels add at bigint');
  const policy = await readied(
    policyOf({
      clock: { column: 'at', type: 'epoch', unit: 'milliseconds', in: ORDER },
      rules: [{ label: 'done', keepFor: days(30), match: { state: 'done' } }],
      where: 't.note is null',
    }),
  );
  await e.db.sql(
    `update parcels set at = extract(epoch from placed_at) * 1000; update wares set state = 'done' where id <> 2; update wares set note = 'x' where id = 4`,
  );
  expect(await e.run(policy, { batchSize: 3 })).toMatchObject({ outcome: 'succeeded', deleted: 4 });
  expect(await named(e)).toEqual(['10', '12', '14', '20'].map((id) => `public.wares ${id}`));
});

/** A run whose first batch is sent while a session has made the order of every due item young, and not committed. */
async function whileOrdersChange(policy: Policy) {
  const inner = e.services.database;
  let isFirst = true;
  const database: Database = {
    async transaction(statements, options) {
      if (!isFirst || !statements.some((s) => s.text.includes('enter_batch(')))
        return inner.transaction(statements, options);
      isFirst = false;
      const other = await e.db.session();
      await other.sql('begin');
      await other.sql(`update parcels set placed_at = $1`, [ago(DAY)]);
      try {
        return await inner.transaction(statements, options);
      } finally {
        await other.sql('commit');
        other.end();
      }
    },
  };
  return runPolicy({ ...e.services, database }, policy, runRequest(NOW));
}

it('never misses a change that was under way when the batch looked', async () => {
  const policy = await readied(policyOf());
  const before = await ids();
  expect(await whileOrdersChange(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
  expect(await ids()).toEqual(before);
});

it('demands the gate on every change where another trigger may write the date', async () => {
  await e.db.sql(`create function touch() returns trigger language plpgsql as $$ begin new.placed_at := now(); return new; end $$;
    create trigger touch before update on parcels for each row execute function touch(); grant select on parcels to lapse_app`);
  const policy = policyOf();
  expect((await fitsDatabase(e, policy)).map((p) => p.remedy).join()).toContain(
    'BEFORE UPDATE OR DELETE ON "public"."parcels"',
  );
  await e.db.sql(
    `create trigger few before update of placed_at, shop, id or delete on parcels for each statement execute function retention.gate()`,
  );
  expect((await fitsDatabase(e, policy)).map((p) => p.remedy).join()).toContain(
    'BEFORE UPDATE OR DELETE ON "public"."parcels"',
  );
  expect(await follow(e, policy)).toEqual([]);
});

it('is refused where it could mean two parcels, another type, or no table', async () => {
  await e.db.sql('grant select on parcels to lapse_app');
  const said = async (clock: PolicyInput['clock']) =>
    (await fitsDatabase(e, policyOf({ clock }))).map((p) => `${p.problem}: ${p.remedy}`).join('\n');
  expect(
    await said({
      column: 'placed_at',
      type: 'timestamptz',
      in: { ...ORDER, references: ['order_id'], key: ['id'] },
    }),
  ).toContain('is not unique: a row could go by the clock of any of several');
  expect(await said({ column: 'placed_at', type: 'date', in: ORDER })).toContain('clock.type');
  expect(await said({ column: 'gone', type: 'date', in: ORDER })).toContain('clock.in cannot be asked');
  await e.db.sql('create view seen as select * from parcels; grant select on seen to lapse_app');
  const view = await said({
    column: 'placed_at',
    type: 'timestamptz',
    in: { ...ORDER, table: { name: 'seen' } },
  });
  expect(view).not.toBe('');
  const at = { column: 'placed_at', type: 'timestamptz' } as const;
  expect(() => policyOf({ clock: { ...at, in: ORDER, otherwise: ['id'] } })).toThrow('one column of it');
  expect(() => policyOf({ clock: { ...at, in: { ...ORDER, key: ['id'] } } })).toThrow('as many columns');
  expect(() => policyOf({ clock: { ...at, in: ORDER }, partitioned: { by: 'other' } })).toThrow(
    'not together with partitioned',
  );
});
