/** Rows that stay for the sake of their group, beside writers: fewer than were declared are never left, and no group costs more for its size. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { batch } from '@/lib/engine/statement/batch';
import { legsOf } from '@/lib/engine/statement/leg';
import type { Policy } from '@/lib/policies/contract';
import { days } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, NOW, runRequest, thingsPolicy } from '../../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { CLEANUP_LANES: '3', CLEANUP_BATCH_SIZE: '5' } });
  await e.db.sql(`create table versions (id int primary key generated always as identity, doc int not null, at timestamptz);
    create index on versions (at, id); create index on versions (doc, at, id);
    grant select, update, delete on versions to lapse_app; select retention.protect('public.versions')`);
});
afterEach(() => e.stop());

const declared = (changes: object): Policy =>
  thingsPolicy({
    name: 'versions',
    table: { name: 'versions' },
    key: [{ column: 'id', type: 'integer' }],
    scope: {},
    ...changes,
  });
const NEWEST = 3;
const policy = declared({ keepAtLeast: { newest: NEWEST, per: ['doc'] } });

/**
 * What an application may do that keeps the same rule: it locks one row more than have to stay, and only then takes the newest
 * away, by deleting it, by moving its clock far back, or into another document.
 */
const TAKE_ONE = `with top as materialized (select id from versions where doc = $1 order by at desc, id desc limit ${NEWEST + 1} for update),
  one as (select max(id) as id from top having count(*) > ${NEWEST})`;
const TAKES = [
  `${TAKE_ONE} delete from versions v using one where v.id = one.id`,
  `${TAKE_ONE} update versions v set at = v.at - interval '900 days' from one where v.id = one.id`,
  `${TAKE_ONE} update versions v set doc = 999 from one where v.id = one.id`,
];

it('beside writers that delete, move and add the newest, and three lanes, none is left with fewer', async () => {
  const docs = 12;
  await e.db.sql(
    `insert into versions (doc, at) select d, $1::timestamptz - make_interval(hours => v) from generate_series(1, $2) d, generate_series(1, 40) v`,
    [ago(40 * DAY), docs],
  );
  let ended = false;
  const writer = async (n: number) => {
    for (let i = n; !ended; i += 1) {
      const doc = 1 + ((i * 7) % docs);
      if (i % 5 === 4) await e.db.sql('insert into versions (doc, at) values ($1, $2)', [doc, ago(35 * DAY)]);
      else await e.db.sql(TAKES[i % TAKES.length]!, [doc]);
    }
  };
  const writers = [0, 1, 2].map(writer);
  let deleted = 0;
  for (let i = 0; i < 3; i += 1) {
    const result = await runPolicy(e.services, policy, runRequest(NOW));
    deleted += result.deleted;
    const few = await e.db.sql(
      `select doc, count(*)::int as n from versions where doc <= $1 group by doc having count(*) < ${NEWEST}`,
      [docs],
    );
    expect(few).toEqual([]);
  }
  ended = true;
  await Promise.all(writers);
  expect(deleted).toBeGreaterThan(docs * 10);
  const [left] = await e.db.sql(
    `select min(n)::int as least, count(*)::int as docs from (select count(*) as n from versions where doc <= ${docs} group by doc) x`,
  );
  expect(left).toEqual({ least: NEWEST, docs });
  // With nobody else there, exactly so many are left.
  await runPolicy(e.services, policy, runRequest(NOW));
  expect(await e.db.sql('select doc from versions group by doc having count(*) <> $1', [NEWEST])).toEqual([]);
});

it('the one row that a period keeps is locked, so that nobody can take it before the batch has ended', async () => {
  const monthly = declared({
    thin: { tiers: [{ keepOne: 'month', until: days(3_650) }] },
    rules: [{ label: 'all', keepFor: days(30) }],
  });
  await e.db.sql(
    `insert into versions (doc, at) select 1, '2025-06-01T00:00Z'::timestamptz + n * interval '1 day' from generate_series(0, 27) n`,
  );
  const app = await e.db.session();
  await app.sql('begin');
  await app.sql('delete from versions where id = 28');
  // The last of the month may be gone in a moment: the one before it counts, and stays.
  expect(await runPolicy(e.services, monthly, runRequest(NOW))).toMatchObject({ deleted: 26 });
  await app.sql('commit');
  app.end();
  expect(await e.db.sql('select id from versions')).toEqual([{ id: 27 }]);
});

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Node[];
}
const all = (n: Node): Node[] => [n, ...(n.Plans ?? []).flatMap(all)];

it.each([
  ['the newest of each document', policy],
  [
    'one of each week',
    declared({ thin: { tiers: [{ keepOne: 'week', until: days(3_650) }], per: ['doc'] } }),
  ],
  [
    'the first of each month',
    declared({ thin: { tiers: [{ keepOne: 'month', until: days(3_650) }], per: ['doc'], which: 'first' } }),
  ],
])('a batch reads no more of a group of 200,000 rows than of a small one: %s', async (_, of) => {
  await e.db.sql(
    `insert into versions (doc, at) select 1, $1::timestamptz - make_interval(secs => n * 60) from generate_series(1, 200000) n`,
    [ago(40 * DAY)],
  );
  await e.db.sql('analyze versions');
  const { queries } = batch({
    policy: of,
    version: 'v',
    runId: '00000000-0000-4000-8000-000000000001',
    fence: '1',
    seq: 1,
    leg: legsOf(of, NOW)[0]!,
    position: null,
    limit: 100,
    asOf: NOW.toISOString(),
    actor: 'test',
    reason: 'retention',
    statementTimeoutMs: 60_000,
  });
  const session = await e.db.session();
  await session.sql('begin');
  await session.sql(`select set_config('lapse.batch', '00000000-0000-4000-8000-000000000001:1', true)`);
  for (const statement of [queries.locked!, queries.detached0!]) {
    const [answer] = await session.sql<Record<string, [{ Plan: Node }]>>(
      `explain (analyze, format json) ${statement.text}`,
      statement.params,
    );
    const scans = all(Object.values(answer!)[0]![0].Plan).filter((n) => n['Relation Name'] === 'versions');
    const rows = scans.reduce(
      (n, s) => n + (s['Actual Rows'] + (s['Rows Removed by Filter'] ?? 0)) * s['Actual Loops'],
      0,
    );
    expect(scans.map((s) => s['Node Type'])).not.toContain('Seq Scan');
    expect(rows).toBeLessThan(100 * 20);
  }
  await session.sql('rollback');
  session.end();
});
