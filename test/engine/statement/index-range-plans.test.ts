/**
 * On a million rows, most of them due, a batch by range reads a stretch of the index with two ends, and nothing else of
 * the table: whatever the planner believes about how the rows lie and how many there are.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BatchRequest, batch } from '@/lib/engine/statement/batch';
import { legsOf, type Position } from '@/lib/engine/statement/leg';
import { batchOf } from '@/lib/engine/statement/request';
import { shapeOf } from '@/lib/engine/statement/shapes';
import type { Row, Statement } from '@/lib/platform/database';
import { session } from '@/lib/platform/session';
import { list, sql, statement } from '@/lib/platform/sql';
import { days, definePolicy, type Policy } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, govern, NOW, thingsPolicy } from '../../support/engine';

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'CTE Name'?: string;
  readonly Filter?: string;
  readonly 'Subplan Name'?: string;
  readonly Plans?: readonly Node[];
}

let e: Engine;
beforeAll(async () => {
  e = await engine();
  await govern(e.db);
  await e.db.sql(
    `create table orgs (id uuid primary key default gen_random_uuid(), plan text); grant select on orgs to lapse_app`,
  );
  await e.db.sql(`insert into orgs (plan) select 'short' from generate_series(1, 10000)`);
  await e.db.sql(
    `insert into things (at, org) select $1::timestamptz - make_interval(secs => (i::bigint * 7919 % 1000000) * 10), o.ids[1 + i % 10000]
     from generate_series(1, 1000000) i, (select array_agg(id) as ids from orgs) o`,
    [NOW.toISOString()],
  );
  await e.db.sql('create index things_org on things (org, at, id)');
  for (const other of ['notes', 'marks']) {
    await e.db.sql(
      `create table ${other} (id serial primary key, thing uuid); create index on ${other} (thing); grant select on ${other} to lapse_app`,
    );
    await e.db.sql(`insert into ${other} (thing) select gen_random_uuid() from generate_series(1, 5000)`);
  }
  await e.db.sql('analyze orgs; analyze notes; analyze marks');
}, 120_000);
afterAll(() => e?.stop());

const tenants = (): Policy =>
  definePolicy({
    ...thingsPolicy(),
    rules: [{ label: 'short', keepFor: days(30) }],
    tenants: { table: { name: 'orgs' }, key: { column: 'id', type: 'uuid' }, column: 'org', label: 'o.plan' },
  });
const middle: Position = { clock: ago(60 * DAY), key: ['80000000-0000-4000-8000-000000000000'] };
const keeping = (policy: Policy): Policy =>
  definePolicy({
    ...policy,
    where: 'not exists (select 1 from marks m where m.thing = t.id)',
    judgedBy: [],
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'int4' }],
        references: ['thing'],
        fate: 'block',
      },
    ],
  });
const forms = [
  { form: 'a rule from its start', policy: thingsPolicy, position: null },
  { form: 'a rule from a cursor', policy: thingsPolicy, position: middle },
  { form: 'a rule that looks at other tables', policy: () => keeping(thingsPolicy()), position: null },
  { form: 'tenants from the first', policy: tenants, position: null },
  {
    form: 'tenants from a cursor',
    policy: tenants,
    position: { ...middle, tenant: '80000000-0000-4000-8000-000000000000' },
  },
];

async function planned(policy: Policy, position: Position | null): Promise<Node> {
  const request: BatchRequest = {
    policy,
    version: 'v',
    runId: '00000000-0000-4000-8000-000000000001',
    fence: '1',
    seq: 1,
    leg: legsOf(policy, NOW, 0)[0]!,
    position,
    limit: 10_000,
    asOf: NOW.toISOString(),
    actor: 'test',
    reason: 'retention',
    statementTimeoutMs: 5_000,
    byRange: true,
  };
  const settings = statement(sql`select ${list(...shapeOf(batchOf(request)).settings!)}`);
  const asked: Statement = batch(request).queries.deleted;
  const rows = await e.services.database.transaction(
    [session(5_000), settings, { ...asked, text: `explain (format json) ${asked.text}` }],
    { timeoutMs: 20_000 },
  );
  const answer = Object.values((rows.at(-1) as Row[])[0]!)[0] as [{ Plan: Node }];
  return answer[0].Plan;
}
const nodes = (n: Node): Node[] => [n, ...(n.Plans ?? []).flatMap(nodes)];
const scans = (n: Node): Node[] =>
  nodes(n).filter((x) => x['Relation Name'] === 'things' && /Scan/.test(x['Node Type']));

describe.each([
  ['never analyzed', null],
  ['analyzed', 'analyze things'],
  [
    'in clock order',
    `create table ordered as select * from things order by at; truncate things; insert into things select * from ordered; drop table ordered; analyze things`,
  ],
])('%s', (_, change) => {
  beforeAll(async () => {
    if (change) await e.db.sql(change);
  }, 120_000);

  it.each(forms)('$form: the deletion reads one stretch of the index', async ({ policy, position }) => {
    const plan = await planned(policy(), position);
    const gone = nodes(plan).find((n) => n['Subplan Name'] === 'CTE gone')!;
    const [scan, ...others] = scans(gone);
    expect(others).toEqual([]);
    const isByTenant = policy === tenants;
    expect(scan).toMatchObject({
      'Node Type': 'Index Scan',
      'Index Name': isByTenant ? 'things_org' : 'things_at_id_idx',
    });
    const condition = scan!['Index Cond']!;
    expect(condition).toMatch(/\bat <= /);
    if (isByTenant) {
      expect(condition).toMatch(/org = /);
      const loop = nodes(gone).find((n) => n['CTE Name'] === 'tenants');
      expect(loop?.Filter).toMatch(/tenant <= /);
    }
    if (position) expect(condition).toMatch(isByTenant ? /\bat >= / : /ROW\(at, id\) > ROW\(/);
    // Other tables are asked row by row, never read whole for each batch.
    for (const n of nodes(plan)) {
      if (/^(notes|marks)$/.test(n['Relation Name'] ?? '')) expect(n['Index Cond']).toMatch(/thing = /);
    }
    // Whatever else reads the table looks for the end of the stretch, or at what stays in it.
    for (const n of scans(plan)) expect(n['Node Type']).toMatch(/^(Index (Only )?|Tid )Scan$/);
    expect(nodes(plan).filter((n) => /^(Hash|Merge) Join$/.test(n['Node Type']))).toEqual([]);
  });
});
