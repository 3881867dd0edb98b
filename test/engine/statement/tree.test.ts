/** Rows go with everything that hangs on them, at any depth, or they stay; each row that goes is named once. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunResult } from '@/lib/engine/run/result';
import { Found } from '@/lib/engine/statement/found';
import { legsOf, type Position } from '@/lib/engine/statement/leg';
import { type PreviewPage, previewPage } from '@/lib/engine/statement/preview';
import { askOne } from '@/lib/platform/session';
import { days, type Policy } from '@/lib/policies/contract';
import { type Engine, engine, fitsDatabase, NOW, protect } from '../../support/engine';
import { named } from '../../support/preflight';
import { FRESH, OLD, on, planted, present, treePolicy } from '../../support/tree';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

/** Documents 1 (old) and 2 (fresh), each with notes, versions of notes, and pages of versions: 10, 100, 1000 and 20, 200, 2000. */
const LEVELS = ['doc', 'note', 'version', 'page'];
async function levels(
  rules = ['on delete cascade', 'on delete cascade', 'on delete cascade'],
): Promise<void> {
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz, org text);
    create table note (id int primary key, doc int not null references doc ${rules[0]}, org text, person text);
    create table version (id int primary key, note int not null references note ${rules[1]}, org text, path text);
    create table page (id int primary key, version int not null references version ${rules[2]}, org text, path text);
    insert into doc values (1, '${OLD}', 'a'), (2, '${FRESH}', 'a');
    insert into note values (10, 1, 'a'), (11, 1, 'a'), (20, 2, 'a');
    insert into version values (100, 10, 'a', 'files/100'), (101, 10, 'a', null), (110, 11, 'a', null), (200, 20, 'a', 'files/200');
    insert into page values (1000, 100, 'a', null), (1001, 100, 'a', 'files/1001'), (1100, 110, 'a', null), (2000, 200, 'a', null)`,
  );
}
const chain = [on('note', null, 'doc'), on('version', 'note', 'note'), on('page', 'version', 'version')];
const OF_FIRST = [
  'public.doc 1',
  ...['public.note 10', 'public.note 11'],
  ...['public.page 1000', 'public.page 1001', 'public.page 1100'],
  ...['public.version 100', 'public.version 101', 'public.version 110'],
];

/** Its record says the same of the rows that stay. */
async function expectRecorded(id: string, { kept, keptBelow }: Pick<RunResult, 'kept' | 'keptBelow'>) {
  const recorded = await e.db.sql('select kept, kept_below from retention.run where id = $1::uuid', [id]);
  expect(recorded).toEqual([{ kept, kept_below: keptBelow }]);
}

/** A dry run and a run, which say the same; gives the run. */
async function both(policy: Policy) {
  await protect(e.db, policy);
  expect(await fitsDatabase(e, policy)).toEqual([]);
  const dry = await e.run(policy, { dryRun: true });
  const real = await e.run(policy);
  expect(real.outcome, real.message).toBe('succeeded');
  expect(dry.preview?.expired).toBe(real.deleted);
  const along = Object.values(dry.preview?.dependants ?? {}).reduce((a, b) => a + b, 0);
  expect(along).toBe(real.dependantsDeleted);
  expect(dry.preview?.kept).toEqual(real.kept);
  expect(dry.preview?.keptBelow).toEqual(real.keptBelow);
  await expectRecorded(dry.runId!, dry);
  await expectRecorded(real.runId!, real);
  return { dry, real };
}

describe('three levels below a row', () => {
  it.each([
    ['cascades', ['on delete cascade', 'on delete cascade', 'on delete cascade']],
    ['no action', ['', '', '']],
    ['restrict', ['on delete restrict', 'on delete restrict', 'on delete restrict']],
    [
      'of each kind, also deferred',
      ['deferrable initially deferred', 'on delete cascade', 'on delete restrict'],
    ],
  ])('go with it by %s, each named once, and nothing else', async (_, rules) => {
    await levels(rules);
    const { dry, real } = await both(treePolicy(chain));
    expect(real).toMatchObject({ deleted: 1, dependantsDeleted: 8, batches: 1 });
    expect(dry.preview?.dependants).toEqual({ 'public.note': 2, 'public.version': 3, 'public.page': 3 });
    expect(await named(e)).toEqual(OF_FIRST);
    expect(await present(e, ...LEVELS)).toEqual([
      'public.doc 2',
      'public.note 20',
      'public.page 2000',
      'public.version 200',
    ]);
  });
});

describe('what a reference refers to', () => {
  it('may be any unique key, in any order, of the governed table and of any other', async () => {
    await planted(
      e,
      `create table doc (id int primary key, at timestamptz, tenant int not null, number int not null, unique (tenant, number));
      create table line (id int primary key, number int, tenant int, code text unique not null,
        foreign key (number, tenant) references doc (number, tenant) on delete cascade);
      create table tax (id int primary key, line text references line (code));
      insert into doc values (1, '${OLD}', 7, 5), (2, '${FRESH}', 5, 7);
      insert into line values (10, 5, 7, 'x'), (20, 7, 5, 'y');
      insert into tax values (100, 'x'), (101, 'x'), (200, 'y')`.replace(
        'unique (tenant, number)',
        'unique (number, tenant)',
      ),
    );
    const policy = treePolicy([
      on('line', null, ['tenant', 'number'], { refersTo: ['tenant', 'number'] }),
      on('tax', 'line', 'line', { refersTo: ['code'] }),
    ]);
    await both(policy);
    expect(await named(e)).toEqual(['public.doc 1', 'public.line 10', 'public.tax 100', 'public.tax 101']);
    expect(await present(e, 'doc', 'line', 'tax')).toEqual([
      'public.doc 2',
      'public.line 20',
      'public.tax 200',
    ]);
  });

  it('needs no foreign key where the policy says that there is none, but one row', async () => {
    await planted(
      e,
      `create table doc (id int primary key, at timestamptz);
      create table note (id int primary key, doc int);
      create table version (id int primary key, note int);
      create index on note (doc); create index on version (note);
      insert into doc values (1, '${OLD}'), (2, '${FRESH}');
      insert into note values (10, 1), (20, 2); insert into version values (100, 10), (200, 20)`,
    );
    const soft = { foreignKey: false as const };
    const bare = treePolicy([on('note', null, 'doc'), on('version', 'note', 'note')]);
    await protect(e.db, bare);
    expect((await fitsDatabase(e, bare)).map((p) => p.problem)).toEqual([
      'public.note goes with public.doc and no foreign key says so: a row written meanwhile would stay behind (foreignKey: false in the policy accepts that)',
      'public.version goes with public.note and no foreign key says so: a row written meanwhile would stay behind (foreignKey: false in the policy accepts that)',
    ]);
    const policy = treePolicy([on('note', null, 'doc', soft), on('version', 'note', 'note', soft)]);
    await both(policy);
    expect(await named(e)).toEqual(['public.doc 1', 'public.note 10', 'public.version 100']);
    const several = treePolicy([
      on('note', null, 'doc', soft),
      on('version', 'note', 'note', { ...soft, refersTo: ['doc'] }),
    ]);
    expect((await fitsDatabase(e, several)).map((p) => p.problem)).toEqual([
      'public.version refers to (doc) of public.note, which may be several rows: it would go with the first of them',
    ]);
  });

  it('is written into the line that a missing branch is refused with', async () => {
    await levels();
    await e.db.sql(`create table tag (label text, page_version int, page_id int, primary key (label));
      alter table page add unique (version, id); create index on tag (page_id, page_version);
      alter table tag add foreign key (page_version, page_id) references page (version, id)`);
    const remedies = (await fitsDatabase(e, treePolicy(chain.slice(0, 1)))).map((p) => p.remedy);
    expect(remedies.join('\n')).toContain(
      "{ table: { name: 'version' }, via: { name: 'note' }, key: [{ column: 'id', type: 'integer' }], references: ['note'], fate: 'delete' }",
    );
    const problems = await fitsDatabase(e, treePolicy(chain));
    expect(problems.map((p) => p.remedy).join('\n')).toContain(
      "{ table: { name: 'tag' }, via: { name: 'page' }, key: [{ column: 'label', type: 'text', personal: false }], references: ['page_version', 'page_id'], refersTo: ['version', 'id'], fate: 'delete' }",
    );
    expect(problems.map((p) => p.problem).join('\n')).toContain('its rows would stop the deletion');
  });
});

describe('two ways to the same rows', () => {
  it('take each row once, also where it is at two places of the tree', async () => {
    await planted(
      e,
      `create table doc (id int primary key, at timestamptz);
      create table a (id int primary key, doc int references doc on delete cascade);
      create table b (id int primary key, doc int references doc on delete cascade);
      create table leaf (id int primary key, doc int references doc, a int references a on delete cascade, b int references b);
      create table deep (id int primary key, leaf int references leaf, a int references a);
      create table end_of (id int primary key, deep int references deep, leaf int references leaf);
      insert into doc values (1, '${OLD}'), (2, '${FRESH}'), (3, '${OLD}');
      insert into a values (10, 1), (30, 3), (20, 2); insert into b values (11, 1), (31, 3), (21, 2);
      insert into leaf values (100, 1, 10, 11), (101, null, 10, 11), (102, 1, null, null), (103, 3, 10, 31), (200, 2, 20, 21);
      insert into deep values (1000, 100, 10), (1001, null, 10), (1003, 103, 30), (2000, 200, 20);
      insert into end_of values (1, 1000, 100), (2, 1003, 100), (3, 1003, null), (9, 2000, 200)`,
    );
    const policy = treePolicy([
      on('a', null, 'doc'),
      on('b', null, 'doc'),
      on('leaf', null, 'doc'),
      on('leaf', 'a', 'a'),
      on('leaf', 'b', 'b'),
      on('deep', 'leaf', 'leaf'),
      on('deep', 'a', 'a'),
      on('end_of', 'deep', 'deep'),
      on('end_of', 'leaf', 'leaf'),
    ]);
    const { real } = await both(policy);
    expect(real).toMatchObject({ deleted: 2, dependantsDeleted: 14 });
    const all = ['doc', 'a', 'b', 'leaf', 'deep', 'end_of'];
    expect(await present(e, ...all)).toEqual([
      'public.a 20',
      'public.b 21',
      'public.deep 2000',
      'public.doc 2',
      'public.end_of 9',
      'public.leaf 200',
    ]);
    const gone = await named(e);
    expect(new Set(gone).size).toBe(gone.length);
    expect(gone.length).toBe(16);
  });
});

describe('a row that hangs on several rows that go', () => {
  const SHARED = `create table doc (id int primary key, at timestamptz, org text);
      create table leaf (id int primary key, one int references doc, two int references doc, path text);
      create table deep (id int primary key, leaf int references leaf);
      insert into doc values (1, '${OLD}', 'a'), (2, '${OLD}', 'b'), (3, '${FRESH}', 'a'), (4, '${OLD}', 'b');
      insert into leaf values (10, 1, 2), (11, 2, 1), (12, 1, 3), (13, 4, 4), (14, 3, 3), (15, 1, 4);
      insert into deep select id * 10, id from leaf`;
  const shared = (more: object = {}) =>
    treePolicy([on('leaf', null, 'one'), on('leaf', null, 'two'), on('deep', 'leaf', 'leaf')], more);

  it('is counted once by a dry run, also where those go by several rules', async () => {
    await planted(e, `${SHARED}; create index on doc (org, at, id)`);
    const rules = ['a', 'b'].map((org) => ({ label: org, match: { org }, keepFor: days(30) }));
    const { real } = await both(shared({ rules }));
    expect(real).toMatchObject({ deleted: 3, dependantsDeleted: 10 });
    expect(await present(e, 'leaf', 'deep')).toEqual(['public.deep 140', 'public.leaf 14']);
  });

  it('is counted once wherever the pages of a dry run end, and with the same row, so that it says the same', async () => {
    await planted(e, SHARED);
    const policy = shared();
    const [leg] = legsOf(policy, NOW);
    const seen = async (limit: number) => {
      const found = new Found();
      let position: Position | null = null;
      for (let ended = false; !ended; ) {
        const page: PreviewPage = await askOne(
          e.services.database,
          previewPage(policy, leg!, position, NOW.toISOString(), { limit, rowsSha256: found.rowsSha256 }),
          { statementMs: 5_000, readOnly: true },
        );
        found.add(page);
        ({ ended, ...position } = page.after);
      }
      return found;
    };
    const whole = await seen(100);
    expect(whole.dependants).toEqual({ 'public.leaf': 5, 'public.deep': 5 });
    for (const limit of [1, 2])
      expect(await seen(limit)).toMatchObject({ dependants: whole.dependants, rowsSha256: whole.rowsSha256 });
  });
});

describe('rows that refer to their own table', () => {
  const folder = (more = '') =>
    planted(
      e,
      `create table doc (id int primary key, parent int references doc ${more}, at timestamptz);
      create table note (id int primary key, doc int references doc);
      -- 1 and all below it are due; 10 is due and 12, two levels below it, is not; 20 is not due, and what is below it is.
      insert into doc values (1, null, '${OLD}'), (2, 1, '${OLD}'), (3, 2, '${OLD}'), (4, 1, '${OLD}'),
        (10, null, '${OLD}'), (11, 10, '${OLD}'), (12, 11, '${FRESH}'), (13, 11, '${OLD}'), (20, null, '${FRESH}'), (21, 20, '${OLD}');
      insert into note values (100, 3), (101, 1), (102, 13), (103, 12), (104, 21)`,
    );
  const policy = () => treePolicy([on('doc', null, 'parent'), on('note', null, 'doc')]);
  const GONE = [
    ...['public.doc 1', 'public.doc 13', 'public.doc 2', 'public.doc 21', 'public.doc 3', 'public.doc 4'],
    ...['public.note 100', 'public.note 101', 'public.note 102', 'public.note 104'],
  ];

  it.each([
    '',
    'on delete cascade',
    'on delete restrict',
    'on delete set null',
    'deferrable initially deferred',
  ])('go with all below them where each of those may go, and else stay as referenced (%s)', async (rule) => {
    await folder(rule);
    const { real } = await both(policy());
    expect(real).toMatchObject({ deleted: 6, dependantsDeleted: 4, kept: { referenced: 2 } });
    expect(await named(e)).toEqual(GONE);
    expect(await present(e, 'doc', 'note')).toEqual([
      'public.doc 10',
      'public.doc 11',
      'public.doc 12',
      'public.doc 20',
      'public.note 103',
    ]);
  });

  it('end also where they refer to one another in a circle', async () => {
    await folder();
    await e.db.sql('update doc set parent = 3 where id = 1');
    await e.db.sql('update doc set parent = 13 where id = 10');
    await e.db.sql(`insert into doc values (30, 30, '${OLD}')`);
    const { real } = await both(policy());
    expect(real).toMatchObject({ deleted: 6, kept: { referenced: 3 } });
    expect(await present(e, 'doc')).toEqual([
      'public.doc 10',
      'public.doc 11',
      'public.doc 12',
      'public.doc 13',
      'public.doc 20',
    ]);
  });

  it('are kept by a hold on any row below them', async () => {
    await folder();
    await e.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', '100', 'public.note', 'r', 'alice')",
    );
    const { real } = await both(policy());
    expect(real).toMatchObject({ deleted: 3, kept: { held: 3, referenced: 2 } });
    expect(real.keptBelow).toEqual({ held: { 'public.note': 3 }, referenced: { 'public.doc': 2 } });
    await e.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', '2', 'public.doc', 'r', 'alice')",
    );
    // 3 by its note; 2 itself; 1 by 2, which is nearer to it in the policy than a note.
    const again = await both(policy());
    expect(again.real.keptBelow).toMatchObject({ held: { 'public.note': 1, 'public.doc': 1 } });
    expect(await named(e)).toEqual([
      'public.doc 13',
      'public.doc 21',
      'public.doc 4',
      'public.note 102',
      'public.note 104',
    ]);
  });

  it('stay behind one that names its predecessor and is not due: the others of the chain go', async () => {
    await planted(
      e,
      `create table doc (id int primary key, parent int references doc, at timestamptz);
      insert into doc select i, nullif(i - 1, 0), case when i = 30 then '${FRESH}'::timestamptz else '${OLD}'::timestamptz + i * interval '1 minute' end from generate_series(1, 60) i;
      update doc set parent = null where id in (21, 41);
      insert into doc values (100, 50, '${FRESH}')`,
    );
    const { real } = await both(treePolicy([on('doc', null, 'parent')]));
    // 21 to 29 are named, one after the other, by 30; 41 to 50 by 100.
    expect(real).toMatchObject({ deleted: 60 - 10 - 10, kept: { referenced: 9 + 10 } });
    const stayed = (await e.db.sql('select id from doc order by id')).map((r) => Number(r.id));
    expect(stayed).toEqual([
      ...Array.from({ length: 10 }, (_, i) => 21 + i),
      ...Array.from({ length: 10 }, (_, i) => 41 + i),
      100,
    ]);
  });

  it('may be dependants: a thread goes with its post, and replies under it from elsewhere with their comment', async () => {
    await planted(
      e,
      `create table doc (id int primary key, at timestamptz);
      create table comment (id int primary key, doc int references doc on delete cascade, reply_to int references comment);
      create table likes (id int primary key, comment int references comment on delete cascade);
      insert into doc values (1, '${OLD}'), (2, '${FRESH}');
      insert into comment values (10, 1, null), (11, null, 10), (12, 1, 11), (20, 2, null), (21, 2, 20);
      insert into likes values (100, 12), (200, 21)`,
    );
    await both(
      treePolicy([
        on('comment', null, 'doc'),
        on('comment', 'comment', 'reply_to'),
        on('likes', 'comment', 'comment'),
      ]),
    );
    expect(await named(e)).toEqual([
      'public.comment 10',
      'public.comment 11',
      'public.comment 12',
      'public.doc 1',
      'public.likes 100',
    ]);
  });

  it('may be a circle of tables, which goes only where every governed row in it may', async () => {
    await planted(
      e,
      `create table doc (id int primary key, at timestamptz, cover int);
      create table note (id int primary key, doc int references doc on delete cascade);
      alter table doc add foreign key (cover) references note;
      insert into doc values (1, '${OLD}'), (2, '${OLD}'), (3, '${OLD}'), (4, '${FRESH}');
      insert into note values (10, 1), (20, 2), (30, 3);
      update doc set cover = 10 where id = 1; update doc set cover = 20 where id = 3; update doc set cover = 30 where id = 4`,
    );
    const { real } = await both(treePolicy([on('note', null, 'doc'), on('doc', 'note', 'cover')]));
    expect(real).toMatchObject({ deleted: 1, dependantsDeleted: 1, kept: { referenced: 2 } });
    expect(await named(e)).toEqual(['public.doc 1', 'public.note 10']);
  });
});

describe('at any level', () => {
  const scoped = [
    on('note', null, 'doc', { scope: { organization: 'org', user: 'person' } }),
    on('version', 'note', 'note', { scope: { organization: 'org' } }),
    on('page', 'version', 'version', { scope: { organization: 'org' } }),
  ];
  const hold = (scope: string, subject: string, table: string | null = null) =>
    e.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) values ($1, $2, $3, 'test', 'alice')",
      [scope, subject, table],
    );

  it.each(['note', 'version', 'page'])('a hold on an organization of a %s keeps the root', async (table) => {
    await levels();
    await e.db.sql(`update ${table} set org = 'held' where id in (10, 100, 1000)`);
    await hold('organization', 'held');
    const { real } = await both(treePolicy(scoped));
    expect(real).toMatchObject({ deleted: 0, kept: { held: 1 } });
    expect(real.keptBelow).toEqual({ held: { [`public.${table}`]: 1 } });
    await e.db.sql('delete from retention.hold');
    expect((await both(treePolicy(scoped))).real).toMatchObject({ deleted: 1, dependantsDeleted: 8 });
  });

  it.each([
    ['note', '11'],
    ['version', '110'],
    ['page', '1100'],
  ])('a hold on one %s keeps the root', async (table, key) => {
    await levels();
    await hold('item', key, `public.${table}`);
    const { real } = await both(treePolicy(scoped));
    expect(real).toMatchObject({ deleted: 0, kept: { held: 1 } });
    expect(real.keptBelow).toEqual({ held: { [`public.${table}`]: 1 } });
  });

  it('the row itself is said first, then the levels in the order in which the policy names them', async () => {
    await levels();
    await e.db.sql(
      `insert into doc values (3, '${OLD}', 'a'), (4, '${OLD}', 'b'); insert into note values (30, 3, 'a'), (40, 4, 'a'); insert into version values (300, 30, 'a')`,
    );
    for (const [key, of] of [
      ['1', 'doc'],
      ['1000', 'page'],
      ['300', 'version'],
      ['30', 'note'],
    ])
      await hold('item', key!, `public.${of}`);
    const { real } = await both(treePolicy(scoped));
    expect(real).toMatchObject({ deleted: 1, kept: { held: 2 } });
    expect(real.keptBelow).toEqual({ held: { 'public.note': 1 } });
    // Each row stands under one name, in the receipt as well.
    expect(await e.db.sql('select kept from retention.receipt')).toEqual([
      { kept: { held: 1, 'held by public.note': 1 } },
    ]);
    await e.db.sql("delete from retention.hold where subject in ('1', '30')");
    expect((await both(treePolicy(scoped))).real.keptBelow).toEqual({
      held: { 'public.page': 1, 'public.version': 1 },
    });
  });

  it.each([
    ['note', '11'],
    ['version', '110'],
    ['page', '1100'],
  ])('an extension or a dead letter of one %s keeps the root', async (table, key) => {
    await levels();
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ($1, $2, '2030-01-01', 'test', 'alice')`,
      [`public.${table}`, key],
    );
    const { real } = await both(treePolicy(scoped));
    expect(real).toMatchObject({ deleted: 0, kept: { extended: 1 } });
    expect(real.keptBelow).toEqual({ extended: { [`public.${table}`]: 1 } });
    await e.db.sql('delete from retention.extension');
    await e.db.sql(
      `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at, state) values ('other', $1, $2, '23503', '2030-01-01', 'open')`,
      [`public.${table}`, key],
    );
    const later = (await both(treePolicy(scoped))).real;
    expect(later).toMatchObject({ deleted: 0, kept: { dead_letter: 1 } });
    expect(later.keptBelow).toEqual({ dead_letter: { [`public.${table}`]: 1 } });
  });

  it.each(['note', 'version', 'page'])(
    'a row that refers to a %s and is declared to block keeps the root',
    async (table) => {
      await levels();
      await e.db.sql(`create table pin (id int primary key, at_row int references ${table}); create index on pin (at_row);
      grant select on pin to lapse_app; insert into pin select 1, max(id) from ${table} where id not in (20, 200, 2000)`);
      const blocked = treePolicy([...scoped, on('pin', table, 'at_row', { fate: 'block' })]);
      const { real } = await both(blocked);
      expect(real).toMatchObject({ deleted: 0, kept: { referenced: 1 } });
      expect(real.keptBelow).toEqual({ referenced: { 'public.pin': 1 } });
      await e.db.sql('delete from pin');
      expect((await both(blocked)).real).toMatchObject({ deleted: 1 });
    },
  );

  it.each(['note', 'version', 'page'])(
    'a row that refers to a %s and is declared to stay loses its reference',
    async (table) => {
      await levels();
      await e.db.sql(`create table mark (id int primary key, at_row int references ${table} on delete set null); create index on mark (at_row);
      grant select on mark to lapse_app; insert into mark select 1, max(id) from ${table} where id not in (20, 200, 2000)`);
      expect(
        (await both(treePolicy([...scoped, on('mark', table, 'at_row', { fate: 'keep' })]))).real,
      ).toMatchObject({ deleted: 1 });
      expect(await e.db.sql('select id, at_row from mark')).toEqual([{ id: 1, at_row: null }]);
    },
  );
});

it('a dry run says that a row goes with one of another rule, which is taken by its own', async () => {
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz, kind text, part_of int references doc on delete cascade);
     create table note (id int primary key, doc int references doc on delete cascade); create index on doc (kind, at, id);
     insert into doc values (1, '${OLD}', 'a', null), (2, '${OLD}', 'b', 1), (3, '${FRESH}', 'b', null), (4, '${OLD}', 'a', null), (5, '${FRESH}', 'b', 4);
     insert into note values (11, 1), (12, 2), (13, 3), (14, 5)`,
  );
  await e.db.sql(`select retention.protect('public.doc'), retention.protect('public.note')`);
  const rules = ['a', 'b'].map((kind) => ({ label: kind, keepFor: days(30), match: { kind } }));
  const policy = treePolicy([on('note', null, 'doc'), on('doc', null, 'part_of')], { rules });
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({
    expired: 2,
    kept: { referenced: 1 },
    dependants: { 'public.note': 2 },
  });
  expect(await e.run(policy)).toMatchObject({ deleted: 2, dependantsDeleted: 2, kept: { referenced: 1 } });
});
