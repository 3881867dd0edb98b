import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import type { Policy } from '@/lib/policies/contract';
import { DAY, NOW } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';
import { keyed } from '@/test/support/keyed';
import { type Answer, act, OPERATORS } from '@/test/support/operators';
import { EXPIRED, partitioned, visits } from '@/test/support/partitioned';

let e: Guarded;
beforeEach(async () => {
  e = await guarded({
    LAPSE_OPERATORS: OPERATORS,
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
  });
});
afterEach(() => e.stop());

const governs = (...policies: Policy[]) => {
  e = { ...e, services: { ...e.services, policies } };
};
const place = (more: object): Promise<Answer> =>
  act(e.services, 'alice', { action: 'hold.place', reason: 'case', ...more });
const item = (policy: Policy, subject: unknown, more: object = {}) =>
  place({ scope: 'item', table: `public.${policy.table.name}`, subject, ...more });
const code = (a: Answer) => [a.status, a.body.error?.code];
const keys = async (policy: Policy, column = policy.key[0]!.column) =>
  (
    await e.db.sql(
      `select "${column.replaceAll('"', '""')}"::text as k from "${policy.table.name.replaceAll('"', '""')}" order by 1`,
    )
  ).map((r) => r.k);

const UUID = '7b0c1d5e-aaaa-4bbb-8ccc-dddddddddddd';
const UUIDS = [
  UUID,
  UUID.toUpperCase(),
  UUID.replaceAll('-', ''),
  `{${UUID}}`,
  `["${UUID.toUpperCase()}"]`,
  [UUID],
];

describe('an id is held however it is spelled', () => {
  let policy: Policy;
  beforeEach(async () => {
    policy = await keyed(e.db, 'notes', [['id', 'uuid']], {
      columns: 'org uuid, person uuid',
      scope: { organization: 'org', user: 'person' },
    });
    governs(policy);
    await e.db.sql('insert into notes (id, org, person) values ($1, $1, $1), ($2, $2, $2)', [
      UUID,
      randomUUID(),
    ]);
  });

  it.each(UUIDS)('as an organization, a user, a row and an extension: %j', async (subject) => {
    const keepUntil = new Date(NOW.getTime() + DAY * 1000).toISOString();
    const covers = [{ policy: 'keyed-notes', table: 'public.notes', rows: 1 }];
    for (const scope of ['organization', 'user', 'item']) {
      const table = scope === 'item' ? 'public.notes' : undefined;
      const placed = await place({ scope, table, subject });
      expect(placed.body).toMatchObject({ covers, outOfReach: [], holds: [{ subject: UUID }] });
      expect(await e.run(policy, { dryRun: true })).toMatchObject({
        preview: { expired: 1, kept: { held: 1 } },
      });
      await act(e.services, 'bob', { action: 'hold.release', id: placed.body.subject, reason: 'next' });
    }
    const extension = {
      action: 'extension.set',
      table: 'public.notes',
      key: subject,
      keepUntil,
      reason: 'asked',
    };
    expect((await act(e.services, 'alice', extension)).body).toMatchObject({ covers });
    expect(await e.run(policy)).toMatchObject({ deleted: 1, kept: { extended: 1 } });
    expect(await keys(policy)).toEqual([UUID]);
    const end = { action: 'extension.end', table: 'public.notes', key: subject, reason: 'over' };
    expect((await act(e.services, 'alice', end)).status).toBe(200);
    expect(await e.run(policy)).toMatchObject({ deleted: 1 });
  });

  it.each([
    ['a zero-width space', `${UUID}\u200b`],
    ['a soft hyphen', UUID.replace('-', '-\u00ad')],
    ['a byte order mark', `\ufeff${UUID}`],
    ['a no-break space', `${UUID}\u00a0`],
    ['a line break', `${UUID}\n`],
    ['a NUL', `${UUID}\0`],
    ['a NUL in an array', [`${UUID}\0`]],
  ])('%s is refused, and nothing is held', async (_, subject) => {
    expect(code(await place({ scope: 'organization', subject }))).toEqual([422, 'bad_key']);
    expect(await e.db.sql('select 1 from retention.hold')).toEqual([]);
  });

  it('half a character is refused before anything is looked at, and nothing is held', async () => {
    expect(code(await place({ scope: 'organization', subject: ['\ud800'] }))).toEqual([400, 'bad_field']);
    expect(await e.db.sql('select 1 from retention.hold')).toEqual([]);
  });

  it.each([
    ['no uuid', 'u1', 'id (uuid)'],
    ['two values', ['a', 'b'], 'one value'],
  ])('%s is refused with the table and the type it must have', async (_, subject, says) => {
    const answer = await item(policy, subject, { force: true });
    expect(code(answer)).toEqual([422, 'no_such_value']);
    expect(answer.body.error).toMatchObject({ field: 'subject', message: expect.stringContaining(says) });
    expect(answer.body.error?.message).toContain('public.notes');
  });

  it('what covers no row is refused, and placed with force for a row still to come', async () => {
    const subject = randomUUID().toUpperCase();
    expect(code(await place({ scope: 'user', subject }))).toEqual([422, 'covers_nothing']);
    const table = 'public.notes';
    const keepUntil = '2099-01-01T00:00:00Z';
    const extension = { action: 'extension.set', table, key: subject, keepUntil, reason: 'asked' };
    expect(code(await act(e.services, 'alice', extension))).toEqual([422, 'covers_nothing']);
    expect((await place({ scope: 'user', subject, force: true })).body).toMatchObject({
      covers: [{ rows: 0 }],
    });
    await e.db.sql('insert into notes (id, person) values (gen_random_uuid(), $1)', [subject]);
    expect(await e.run(policy)).toMatchObject({ deleted: 2, kept: { held: 1 } });
  });

  it('a thousand rows are counted, more are called more', async () => {
    await e.db.sql('insert into notes (id, org) select gen_random_uuid(), $1 from generate_series(1, 999)', [
      UUID,
    ]);
    expect((await place({ scope: 'organization', subject: UUID })).body).toMatchObject({
      covers: [{ rows: 1000 }],
    });
    await e.db.sql('insert into notes (id, org) select gen_random_uuid(), $1 from generate_series(1, 2)', [
      UUID,
    ]);
    expect((await place({ scope: 'organization', subject: UUID })).body).toMatchObject({
      covers: [{ rows: '>1000' }],
    });
  });

  it('a table that cannot be read in time does not keep a hold from being placed', async () => {
    const locked = await e.db.session();
    await locked.sql('begin');
    await locked.sql('lock table notes in access exclusive mode');
    const placed = await place({ scope: 'organization', subject: UUID.toUpperCase() });
    await locked.sql('rollback');
    expect(placed.body).toMatchObject({ covers: [{ rows: 'unknown' }], holds: [{ subject: UUID }] });
    expect(await e.run(policy)).toMatchObject({ deleted: 1, kept: { held: 1 } });
  });

  it('a look whose answer was lost places nothing: the operator is told, and asks again', async () => {
    const { database } = e.services;
    const lost: Database = {
      transaction: (statements, options) =>
        statements.some((s) => s.text.includes('s.n, c.form, c.rows'))
          ? Promise.reject(new DatabaseError('unknown', null, 'no answer from the database'))
          : database.transaction(statements, options),
    };
    const request = { action: 'hold.place', reason: 'case', scope: 'organization', subject: UUID };
    const answer = await act({ ...e.services, database: lost }, 'alice', request);
    expect(code(answer)).toEqual([500, 'database.unknown']);
    expect(await e.db.sql('select from retention.hold')).toEqual([]);
    expect((await act(e.services, 'alice', request)).body).toMatchObject({ covers: [{ rows: 1 }] });
  });

  it('an organization is not held in one table only: refused', async () => {
    const answer = await place({ scope: 'organization', table: 'public.notes', subject: UUID });
    expect([answer.status, answer.body.error?.field]).toEqual([422, 'table']);
  });

  it('no table names such a subject: refused, even with force', async () => {
    governs({ ...policy, scope: {} });
    const subject = UUID;
    expect(code(await place({ scope: 'user', subject, force: true }))).toEqual([422, 'covers_nothing']);
  });
});

describe('one subject in tables of different types', () => {
  it('is held in each as that table prints it', async () => {
    const scoped = { scope: { user: 'person' } };
    const one = await keyed(e.db, 'one', [['id', 'int8']], { ...scoped, columns: 'person uuid' });
    const two = await keyed(e.db, 'two', [['id', 'int8']], { ...scoped, columns: 'person text' });
    const three = await keyed(e.db, 'three', [['id', 'int8']], { ...scoped, columns: 'person int8' });
    governs(one, two, three);
    await e.db.sql(`insert into one values (1, default, '${UUID}'), (2, default, gen_random_uuid())`);
    await e.db.sql(
      `insert into two values (1, default, '${UUID.toUpperCase()}'), (2, default, '${UUID}'), (3, default, 'other')`,
    );
    await e.db.sql('insert into three values (1, default, 7)');
    const placed = await place({ scope: 'user', subject: UUID.toUpperCase() });
    expect(placed.body).toMatchObject({
      holds: [{ subject: UUID }, { subject: UUID.toUpperCase() }],
      covers: [
        { policy: 'keyed-one', rows: 1 },
        { policy: 'keyed-two', rows: 2 },
      ],
      outOfReach: ['keyed-three'],
    });
    for (const policy of [one, two, three]) await e.run(policy);
    expect([await keys(one), await keys(two), await keys(three)]).toEqual([['1'], ['1', '2'], []]);
    expect(
      await e.db.sql("select count(*)::int as n from retention.audit_entry where action = 'hold.placed'"),
    ).toEqual([{ n: 2 }]);
  });

  it('a dependant that goes along is counted by itself', async () => {
    const policy = await keyed(e.db, 'posts', [['id', 'int8']], {
      dependants: [
        {
          table: { name: 'remarks' },
          key: [{ column: 'id', type: 'int8' }],
          references: ['post'],
          fate: 'delete',
          scope: { user: 'author' },
        },
      ],
    });
    await e.db.sql(`create table remarks (id int8 primary key, post int8 not null references posts on delete cascade, author int8);
      create index on remarks (post); grant select, update, delete on remarks to lapse_app;
      insert into posts values (1), (2), (3); insert into remarks values (10, 1, 7), (11, 1, 7), (20, 2, 8), (30, 3, 9)`);
    governs(policy);
    expect((await place({ scope: 'user', subject: '007' })).body).toMatchObject({
      covers: [{ policy: 'keyed-posts', table: 'public.remarks', columns: ['author'], rows: 2 }],
    });
    expect((await place({ scope: 'item', table: 'public.remarks', subject: ' +20' })).status).toBe(200);
    await e.run(policy);
    expect(await keys(policy)).toEqual(['1', '2']);
    const extension = {
      action: 'extension.set',
      table: 'public.remarks',
      key: '10',
      keepUntil: '2099-01-01T00:00:00Z',
      reason: 'x',
    };
    expect(code(await act(e.services, 'alice', extension))).toEqual([422, 'unknown_table']);
  });
});

describe('a text key is taken letter by letter', () => {
  const held = [
    ' padded ',
    'tab\there',
    'two\nlines',
    'zero\u200bwidth',
    '',
    'a"b\\c',
    '[x]',
    '["x"]',
    'ünï',
    'u\u0308',
    'x'.repeat(8000),
  ];
  it('with blanks, line breaks, invisible characters, quotes, empty and of 8,000 letters', async () => {
    const policy = await keyed(e.db, 'texts', [['k', 'text']]);
    governs(policy);
    await e.db.sql('insert into texts select unnest($1::text[])', [
      [...held, 'padded', 'tabhere', 'zerowidth', '\u00fc'],
    ]);
    for (const text of held) {
      const placed = await item(policy, JSON.stringify([text]));
      expect([text.slice(0, 20), placed.status]).toEqual([text.slice(0, 20), 200]);
    }
    expect(await e.run(policy)).toMatchObject({ deleted: 4, kept: { held: held.length } });
    expect(new Set(await keys(policy))).toEqual(new Set(held));
  });

  it('a key as long as an index can have is held, whatever its letters', async () => {
    const policy = await keyed(e.db, 'texts', [
      ['id', 'uuid'],
      ['k', 'text'],
    ]);
    governs(policy);
    // Random letters do not compress: close to a third of a page, which is PostgreSQL's limit. As text it is longer.
    const long = Array.from({ length: 84 }, () => randomUUID().replaceAll('-', ''))
      .join('')
      .slice(0, 2660);
    await e.db.sql('insert into texts values ($1, $2)', [UUID, long]);
    expect((await item(policy, [UUID, long])).status).toBe(200);
    expect(await e.run(policy)).toMatchObject({ deleted: 0, kept: { held: 1 } });
  });

  it('blanks at its ends count in the plain form too', async () => {
    const policy = await keyed(e.db, 'texts', [['k', 'text']]);
    governs(policy);
    await e.db.sql("insert into texts values (' padded '), ('padded')");
    expect((await item(policy, ' padded ')).status).toBe(200);
    await e.run(policy);
    expect(await keys(policy)).toEqual([' padded ']);
    expect(code(await item(policy, 'x'.repeat(8193)))).toEqual([422, 'bad_key']);
  });
});

describe('a key of several columns is a JSON array', () => {
  const KEY = [
    ['n', 'int8'],
    ['t', 'text'],
    ['moment', 'timestamptz'],
    ['d', 'date'],
    ['b', 'boolean'],
    ['x', 'numeric(10,2)'],
  ] as const;
  const spellings = [
    '["1", "b", "2020-01-01 00:00:00+00", "2020-01-02", "true", "1.50"]',
    '["1","b","2020-01-01T00:00:00Z","2020-01-02","t","1.5"]',
    '[1,"b","2020-01-01T02:00:00+02:00","2020-01-02",true,1.5]',
    '[ 1 ,"b",\n"2020-01-01", "2020-01-02", "YES", 1.500 ]',
    [1, 'b', '2019-12-31 19:00:00-05', '2020-01-02', true, 1.5],
  ];
  it.each(spellings)('in any spelling: %j', async (subject) => {
    const wide = await keyed(e.db, 'wide', KEY);
    governs(wide);
    await e.db.sql(
      `insert into wide (n, t, moment, d, b, x) values (1, 'b', '2020-01-01Z', '2020-01-02', true, 1.5), (2, 'b', '2020-01-01Z', '2020-01-02', true, 1.5)`,
    );
    const placed = await item(wide, subject);
    expect(placed.body).toMatchObject({ covers: [{ rows: 1 }], holds: [{ subject: spellings[0] }] });
    await e.run(wide);
    expect(await keys(wide)).toEqual(['1']);
  });

  it.each([
    ['plainly', '1'],
    ['with a value too few', '["1"]'],
    ['with null', '["1", null]'],
    ['as objects', '[{"n": 1}, "2020-01-01"]'],
    ['with a number JavaScript would change', [9007199254740992, '2020-01-01']],
  ])('written %s it is refused', async (_, subject) => {
    const policy = await keyed(e.db, 'pairs', [
      ['n', 'int8'],
      ['t', 'timestamptz'],
    ]);
    governs(policy);
    const answer = await item(policy, subject, { force: true });
    expect([answer.status, answer.body.error?.field]).toEqual([422, 'subject']);
    expect(answer.body.error?.code).toMatch(/^(no_such_value|bad_key)$/);
  });

  it('a number in the text keeps every digit', async () => {
    const policy = await keyed(e.db, 'pairs', [
      ['n', 'int8'],
      ['t', 'text'],
    ]);
    governs(policy);
    await e.db.sql("insert into pairs values (9007199254740993, 'b'), (9007199254740992, 'b')");
    await item(policy, '[9007199254740993,"b"]');
    await e.run(policy);
    expect(await keys(policy)).toEqual(['9007199254740993']);
  });

  it('names with quotes, blanks and capitals are names', async () => {
    const policy = await keyed(e.db, 'Odd "table"; --', [
      ['Some "key"', 'uuid'],
      ['select', 'int4'],
    ]);
    governs(policy);
    await e.db.sql(`insert into "Odd ""table""; --" values ($1, 7), (gen_random_uuid(), 7)`, [UUID]);
    expect((await item(policy, `["${UUID.toUpperCase()}",7]`)).body).toMatchObject({
      covers: [{ rows: 1 }],
    });
    await e.run(policy);
    expect(await keys(policy)).toEqual([UUID]);
  });
});

describe('a value that a type would change is another value', () => {
  it.each([
    ['varchar(3)', 'abcd'],
    ['char(3)', 'abcd'],
    ['name', 'x'.repeat(70)],
    ['numeric(10,2)', '1.005'],
    ['int4', '1.5'],
    ['date', '2020-01-01T23:00:00'],
    ['date', '2020-01-01T00:00:00+02'],
    ['timestamp', '2020-01-01T00:00:00+02'],
    ['timestamp(0)', '2020-01-01T00:00:00.4'],
    ['timestamptz', 'today'],
    ['date', 'epoch'],
    ['"char"', 'ab'],
  ])('%s: %s is refused', async (type, subject) => {
    const policy = await keyed(e.db, 'typed', [['k', type]]);
    governs(policy);
    expect(code(await item(policy, subject, { force: true }))).toEqual([422, 'no_such_value']);
  });

  it.each([
    ['numeric', '1.500', '1.5'],
    ['interval', '24:00:00', '1 day'],
    ['float8', '-0', '0'],
  ])(
    '%s: a row printed as %s is held as %s, and a row still to come is not promised',
    async (type, row, subject) => {
      const policy = await keyed(e.db, 'typed', [['k', type]]);
      governs(policy);
      expect(code(await item(policy, subject, { force: true }))).toEqual([422, 'no_row']);
      await e.db.sql('insert into typed values ($1)', [row]);
      expect((await item(policy, subject)).body).toMatchObject({ holds: [{ subject: row }] });
      expect(await e.run(policy)).toMatchObject({ deleted: 0, kept: { held: 1 } });
    },
  );
});

describe("types of the application's own", () => {
  it('an enum and a domain are read as themselves', async () => {
    await e.db.sql(`create type mood as enum ('calm', 'Calm'); create domain small as varchar(3)`);
    const policy = await keyed(e.db, 'own', [
      ['m', 'mood'],
      ['d', 'small'],
    ]);
    governs(policy);
    await e.db.sql("insert into own values ('calm', 'abc'), ('Calm', 'abc')");
    expect(code(await item(policy, ['CALM', 'abc'], { force: true }))).toEqual([422, 'no_such_value']);
    expect(code(await item(policy, ['calm', 'abcd'], { force: true }))).toEqual([422, 'no_such_value']);
    expect((await item(policy, ['Calm', 'abc'])).body).toMatchObject({
      holds: [{ subject: '["Calm", "abc"]' }],
    });
    await e.run(policy);
    expect(await keys(policy)).toEqual(['Calm']);
  });

  it('text that a collation calls equal is held in each of its spellings', async () => {
    await e.db.sql(
      "create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    const policy = await keyed(e.db, 'blinds', [['id', 'int8']], {
      columns: 'person text collate blind',
      scope: { user: 'person' },
    });
    governs(policy);
    await e.db.sql("insert into blinds (id, person) values (1, 'Ann'), (2, 'ANN'), (3, 'bob')");
    expect((await place({ scope: 'user', subject: 'ann' })).body).toMatchObject({ covers: [{ rows: 2 }] });
    await e.run(policy);
    expect(await keys(policy)).toEqual(['1', '2']);
  });

  it('of numbers without a scale every row is asked how it prints the value', async () => {
    const policy = await keyed(e.db, 'plain', [['id', 'int8']], {
      columns: 'person numeric',
      scope: { user: 'person' },
    });
    governs(policy);
    await e.db.sql('insert into plain (id, person) select i, 1.5 from generate_series(10, 1500) i');
    await e.db.sql('insert into plain (id, person) values (1, 1.500), (2, 1.51)');
    expect((await place({ scope: 'user', subject: '1.50' })).body).toMatchObject({
      covers: [{ rows: '>1000', note: expect.stringContaining('later row') }],
    });
    expect(await e.run(policy)).toMatchObject({ deleted: 1 });
    expect(await keys(policy)).toHaveLength(1492);
  });
});

it('a hold on a row keeps its whole partition from being dropped, however its key is spelled', async () => {
  const policy = await partitioned(e.db);
  governs(policy);
  const [key] = await visits(e.db, EXPIRED, 5);
  const [id, at] = JSON.parse(key!) as [string, string];
  const placed = await item(
    policy,
    JSON.stringify([id.toUpperCase(), at.replace(' ', 'T').replace('+00', 'Z')]),
  );
  expect(placed.body).toMatchObject({
    covers: [{ table: 'public.visits', rows: 1 }],
    holds: [{ subject: key }],
  });
  expect(await e.run(policy)).toMatchObject({ deleted: 4, kept: { held: 1 } });
  expect(await keys(policy)).toEqual([id]);
});

it('an id that begins like JSON and is none is taken as it is written', async () => {
  const policy = await keyed(e.db, 'odd', [['id', 'int8']], {
    columns: 'person text',
    scope: { user: 'person' },
  });
  governs(policy);
  await e.db.sql(`insert into odd (id, person) values (1, '[half'), (2, '[1, {}]'), (3, 'other')`);
  expect((await place({ scope: 'user', subject: '[half' })).body).toMatchObject({ covers: [{ rows: 1 }] });
  expect((await place({ scope: 'user', subject: '[1, {}]' })).body).toMatchObject({ covers: [{ rows: 1 }] });
});

it('where only the rows tell how a value is printed, a table that cannot be read keeps the hold from being placed', async () => {
  const policy = await keyed(e.db, 'loose', [['id', 'int8']], {
    columns: 'person numeric',
    scope: { user: 'person' },
  });
  governs(policy);
  await e.db.sql('insert into loose (id, person) values (1, 1.50)');
  const locked = await e.db.session();
  await locked.sql('begin');
  await locked.sql('lock table loose in access exclusive mode');
  const refused = await place({ scope: 'user', subject: '1.5' });
  await locked.sql('rollback');
  expect(code(refused)).toEqual([409, 'cannot_look']);
  expect(await e.db.sql('select 1 from retention.hold')).toEqual([]);
});
