/** A foreign key is compared with the key by which a batch joins, column by column. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, thingsPolicy } from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const policy = (input: Partial<PolicyInput>): Policy => {
  const { scope: _, ...base } = thingsPolicy();
  return definePolicy({ ...base, ...input });
};
const id = [{ column: 'id', type: 'integer' }];
const old = ago(99 * DAY);

async function invoices(): Promise<void> {
  await e.db.sql('create table inv (id int primary key, number int unique not null, at timestamptz)');
  await e.db.sql(
    'create table line (id int primary key, inv_number int references inv (number) on delete cascade)',
  );
  await e.db.sql(
    'create index on inv (at, id); create index on inv (at, number); create index on line (inv_number)',
  );
  await e.db.sql('grant select, update, delete on inv, line to lapse_app');
  await e.db.sql('insert into inv values (7, 1001, $1), (8, 7, $2)', [old, ago(0)]);
  await e.db.sql('insert into line values (10, 1001), (20, 7), (30, 7)');
}
const lines = { table: { name: 'line' }, key: id, references: ['inv_number'], fate: 'delete' as const };

it('refuses a foreign key to another column than is declared: children of a live row are not joined to a dead one', async () => {
  await invoices();
  const byId = policy({ table: { name: 'inv' }, key: id, dependants: [lines] });
  const said = await refused(e, byId);
  expect(said).toContain(
    'is declared to refer to (id) of public.inv by (inv_number), and "line_inv_number_fkey" says (number)',
  );
  expect(said).toContain("references: ['inv_number'], refersTo: ['number'], fate: 'delete'");
  expect(said).not.toContain('ADD FOREIGN KEY');
  const asSaid = policy({
    table: { name: 'inv' },
    key: id,
    dependants: [{ ...lines, refersTo: ['number'] }],
  });
  expect(await e.run(asSaid)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
  expect(await named(e)).toEqual(['public.inv 7', 'public.line 10']);
  expect(await e.db.sql('select id from line order by id')).toEqual([{ id: 20 }, { id: 30 }]);
});

it('deletes exactly the children once the key is the column they refer to', async () => {
  await invoices();
  const key = [{ column: 'number', type: 'integer' }];
  const byNumber = policy({ table: { name: 'inv' }, key, dependants: [lines] });
  expect(await e.run(byNumber)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
  expect(await named(e)).toEqual(['public.inv 1001', 'public.line 10']);
  expect(await e.db.sql('select id from line order by id')).toEqual([{ id: 20 }, { id: 30 }]);
});

it('takes references in the order of the key, whatever order the constraint has, and refuses any other', async () => {
  await e.db.sql('create table cp (tenant int, id int, at timestamptz, primary key (tenant, id))');
  await e.db.sql(`create table cc (id int primary key, parent_id int, tenant int,
    foreign key (parent_id, tenant) references cp (id, tenant) on delete cascade)`);
  await e.db.sql('create index on cp (at, tenant, id); create index on cc (tenant, parent_id)');
  await e.db.sql('create unique index on cp (id, tenant)');
  await e.db.sql('grant select, update, delete on cp, cc to lapse_app');
  await e.db.sql('insert into cp values (1, 2, $1), (2, 1, $2)', [old, ago(0)]);
  await e.db.sql('insert into cc values (10, 2, 1), (20, 1, 2), (21, 1, 2)');
  const declared = (references: string[]) =>
    policy({
      table: { name: 'cp' },
      key: [
        { column: 'tenant', type: 'integer' },
        { column: 'id', type: 'integer' },
      ],
      dependants: [{ table: { name: 'cc' }, key: id, references, fate: 'delete' }],
    });
  expect(await refused(e, declared(['parent_id', 'tenant']))).toContain(
    "references: ['tenant', 'parent_id']",
  );
  const result = await e.run(declared(['tenant', 'parent_id']));
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
  expect(await named(e)).toEqual(['public.cc 10', 'public.cp ["1", "2"]']);
  expect(await e.db.sql('select id from cc order by id')).toEqual([{ id: 20 }, { id: 21 }]);
});

it("refuses 'block' where the foreign key gives way, and accepts it once the printed statement has run", async () => {
  await e.db.sql('create table p (id int primary key, at timestamptz)');
  await e.db.sql('create table c (id int primary key, p int references p on delete cascade)');
  await e.db.sql('create index on p (at, id); create index on c (p)');
  await e.db.sql('grant select, update, delete on p to lapse_app; grant select on c to lapse_app');
  await e.db.sql('insert into p values (1, $1), (2, $1)', [old]);
  await e.db.sql('insert into c values (10, 1)');
  const blocked = policy({
    table: { name: 'p' },
    key: id,
    dependants: [{ table: { name: 'c' }, key: id, references: ['p'], fate: 'block' }],
  });
  expect(await refused(e, blocked)).toContain('would go along');
  expect(await follow(e, blocked)).toEqual([]);
  expect(await e.run(blocked)).toMatchObject({ deleted: 1, kept: { referenced: 1 } });
  expect(await named(e)).toEqual(['public.p 2']);
});

it('counts the foreign keys of partitions as their root, which is declared, deleted from and named', async () => {
  await e.db.sql('create table rental (id int primary key, at timestamptz)');
  await e.db.sql(
    'create table payment (id int, on_day date, rental int, primary key (on_day, id)) partition by range (on_day)',
  );
  for (const year of [2024, 2025]) {
    const leaf = `payment_${year}`;
    await e.db.sql(
      `create table ${leaf} partition of payment for values from ('${year}-01-01') to ('${year + 1}-01-01')`,
    );
    await e.db.sql(`alter table ${leaf} add foreign key (rental) references rental`);
    await e.db.sql(`create index on ${leaf} (rental)`);
  }
  await e.db.sql('create index on rental (at, id)');
  await e.db.sql('grant select, update, delete on rental, payment to lapse_app');
  await e.db.sql('insert into rental values (1, $1), (2, $1), (3, $2)', [old, ago(0)]);
  await e.db.sql(
    `insert into payment values (10, '2024-05-05', 1), (11, '2025-05-05', 1), (12, '2025-05-05', 3)`,
  );
  const rentals = (name: string) =>
    policy({
      table: { name: 'rental' },
      key: id,
      dependants: [
        {
          table: { name },
          key: [
            { column: 'on_day', type: 'date' },
            { column: 'id', type: 'integer' },
          ],
          references: ['rental'],
          fate: 'delete',
        },
      ],
    });
  expect(await refused(e, rentals('payment_2024'))).toContain(
    'declare the table it is a part of in dependants.0: public.payment',
  );
  expect(await e.run(rentals('payment'))).toMatchObject({
    outcome: 'succeeded',
    deleted: 2,
    dependantsDeleted: 2,
  });
  expect(await named(e)).toEqual([
    'public.payment ["2024-05-05", "10"]',
    'public.payment ["2025-05-05", "11"]',
    'public.rental 1',
    'public.rental 2',
  ]);
});

it('asks for the index and the foreign key of each partition that lacks them', async () => {
  await e.db.sql('create table rental (id int primary key, at timestamptz)');
  await e.db.sql(
    'create table payment (id int, on_day date, rental int, primary key (on_day, id)) partition by range (on_day)',
  );
  await e.db.sql(
    `create table payment_a partition of payment for values from ('2024-01-01') to ('2025-01-01')`,
  );
  await e.db.sql('create index on rental (at, id)');
  await e.db.sql('grant select, update, delete on rental, payment to lapse_app');
  const rentals = policy({
    table: { name: 'rental' },
    key: id,
    dependants: [
      {
        table: { name: 'payment' },
        key: [
          { column: 'on_day', type: 'date' },
          { column: 'id', type: 'integer' },
        ],
        references: ['rental'],
        fate: 'delete',
      },
    ],
  });
  const said = await refused(e, rentals);
  expect(said).toContain('CREATE INDEX CONCURRENTLY ON "public"."payment_a" ("rental");');
  expect(said).toContain('ALTER TABLE "public"."payment_a" ADD FOREIGN KEY ("rental")');
  expect(await follow(e, rentals)).toEqual([]);
});

it('asks for one index on the whole where partitions of the governed table refer to what goes with it', async () => {
  await e.db.sql(`create table cover (id int primary key, tenant int, book int);
    create table book (tenant int, id int, at timestamptz, cover int references cover, primary key (tenant, id)) partition by hash (tenant);
    create table book_0 partition of book for values with (modulus 1, remainder 0);
    alter table cover add foreign key (tenant, book) references book on delete cascade;
    create index on cover (tenant, book); create index on book (at, tenant, id)`);
  await e.db.sql('grant select, update, delete on cover, book, book_0 to lapse_app');
  const books = policy({
    table: { name: 'book' },
    key: [{ column: 'tenant' }, { column: 'id' }],
    partitioned: { by: 'other' },
    dependants: [
      { table: { name: 'cover' }, key: id, references: ['tenant', 'book'], fate: 'delete' },
      {
        table: { name: 'book' },
        via: { name: 'cover' },
        key: [{ column: 'tenant' }, { column: 'id' }],
        references: ['cover'],
        fate: 'block',
      },
    ],
  });
  expect(await refused(e, books)).toContain(
    `SELECT retention.index_statements('"public"."book"', '"cover"');`,
  );
  expect(await follow(e, books)).toEqual([]);
});

it('prints no foreign key of partitions where the whole has one of the same columns that says something else', async () => {
  await e.db.sql('create table cp (tenant int, id int, at timestamptz, primary key (tenant, id))');
  await e.db.sql(`create table cc (tenant int, id int, parent int, primary key (tenant, id),
    foreign key (tenant, parent) references cp (tenant, id) on delete cascade) partition by hash (tenant);
    create table cc_0 partition of cc for values with (modulus 1, remainder 0);
    create index on cp (at, tenant, id); create index on cc (tenant, parent)`);
  const key = [{ column: 'tenant', type: 'integer' }, ...id];
  const turned = policy({
    table: { name: 'cp' },
    key,
    dependants: [{ table: { name: 'cc' }, key, references: ['parent', 'tenant'], fate: 'delete' }],
  });
  const said = await refused(e, turned);
  expect(said).toContain("references: ['tenant', 'parent']");
  expect(said).not.toContain('ADD FOREIGN KEY');
});
