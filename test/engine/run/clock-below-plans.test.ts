/** What a batch, the count, and the last look read of the rows that have a part in the clock: one look each, however many there are. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { batch } from '@/lib/engine/statement/batch';
import { countDue, leftBehind } from '@/lib/engine/statement/drained';
import { legsOf } from '@/lib/engine/statement/leg';
import type { Row, Statement } from '@/lib/platform/database';
import { session } from '@/lib/platform/session';
import type { Policy } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, NOW, thingsPolicy } from '../../support/engine';
import { follow } from '../../support/preflight';

/** Every other talk is as old as it began; the first has as many messages of today as all others together. */
const TALKS = Number(process.env.TALKS ?? 10_000);

let e: Engine;
let policy: Policy;
beforeAll(async () => {
  e = await engine();
  await e.db.sql(`create table talks (id int primary key, begun_at timestamptz);
    create table messages (id int generated always as identity primary key, talk int references talks on delete cascade, sent_at timestamptz);
    create index on talks (begun_at, id)`);
  const messages = { table: { name: 'messages' }, references: ['talk'] };
  policy = thingsPolicy({
    table: { name: 'talks' },
    key: [{ column: 'id' }],
    scope: {},
    clock: {
      column: 'begun_at',
      type: 'timestamptz',
      orLaterIn: [{ ...messages, column: 'sent_at', type: 'timestamptz' }],
    },
    dependants: [{ ...messages, key: [{ column: 'id' }], fate: 'delete' }],
  });
  expect(await follow(e, policy)).toEqual([]);
  await e.db.sql(
    `insert into talks select i, $1::timestamptz - make_interval(mins => ${TALKS} - i) from generate_series(1, ${TALKS}) i`,
    [ago(40 * DAY)],
  );
  await e.db.sql(
    `insert into messages (talk, sent_at) select i, case when i % 2 = 0 then $1::timestamptz else $2::timestamptz end from generate_series(1, ${TALKS}) i, generate_series(1, 2)`,
    [ago(39 * DAY), ago(DAY)],
  );
  await e.db.sql(`insert into messages (talk, sent_at) select 1, $1 from generate_series(1, ${TALKS})`, [
    ago(DAY),
  ]);
  await e.db.sql('vacuum analyze');
}, 120_000);
afterAll(() => e?.stop());

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Node[];
}
const nodes = (n: Node): Node[] => [n, ...(n.Plans ?? []).flatMap(nodes)];

/** Rows of a table that the last of these statements reads, looked up or passed by; and by what. */
async function reads(statements: readonly Statement[], relation: string) {
  const last = statements.at(-1)!;
  const rows = await e.services.database.transaction(
    [
      ...statements.slice(0, -1),
      { ...last, text: `explain (analyze, timing off, format json) ${last.text}` },
    ],
    { timeoutMs: 60_000 },
  );
  const [{ Plan }] = Object.values((rows.at(-1) as Row[])[0]!)[0] as [{ Plan: Node }];
  const found = nodes(Plan).filter((n) => n['Relation Name'] === relation && n['Actual Loops'] > 0);
  const passed = (n: Node) =>
    n['Actual Rows'] + (n['Rows Removed by Filter'] ?? 0) + (n['Rows Removed by Index Recheck'] ?? 0);
  return {
    by: [...new Set(found.map((n) => n['Node Type']))],
    rows: Math.round(found.reduce((sum, n) => sum + passed(n) * n['Actual Loops'], 0)),
    looks: found.reduce((sum, n) => sum + n['Actual Loops'], 0),
  };
}

const said = (what: string, read: object) => process.env.TALKS && console.info(what, JSON.stringify(read));

it('looks once for each question and row, by the index, and reads one row at most each time', async () => {
  const [leg] = legsOf(policy, NOW);
  const asOf = NOW.toISOString();
  const due = await reads([countDue(policy, [leg!], asOf)], 'messages');
  said('count', due);
  expect(due.by).toEqual(['Index Only Scan']);
  expect(due.rows).toBeLessThanOrEqual(TALKS);
  expect(due.looks).toBeLessThanOrEqual(3 * TALKS);
  const left = await reads([leftBehind(policy, [leg!], asOf)], 'messages');
  said('last look', left);
  expect(left.rows).toBeLessThanOrEqual(10);
  // The statement of a batch that judges and locks: of 100 talks, and 100 of their messages below.
  const runId = '00000000-0000-4000-8000-000000000001';
  const { locked } = batch({
    policy,
    version: 'v',
    runId,
    fence: '1',
    seq: 1,
    leg: leg!,
    position: null,
    limit: 100,
    asOf,
    actor: 'test',
    reason: 'retention',
    statementTimeoutMs: 5_000,
  }).queries;
  const entered = { text: `select set_config('lapse.batch', '${runId}:1', true)`, params: [] };
  const judged = await reads([session(5_000), entered, locked!], 'messages');
  said('batch of 100', judged);
  expect(judged.by).toEqual(['Index Only Scan']);
  expect(judged.rows).toBeLessThanOrEqual(200);
});
