/**
 * Plans of the statements a run sends, for the shipped policies on seeded tables with fresh statistics.
 * EXPLAIN only plans: what it says is the same on a slow machine.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BatchRequest, batch } from '@/lib/engine/statement/batch';
import { borders } from '@/lib/engine/statement/divide';
import { countDue, leftBehind } from '@/lib/engine/statement/drained';
import { whatIsLeft } from '@/lib/engine/statement/heap';
import { type Leg, legsOf, type RuleLeg } from '@/lib/engine/statement/leg';
import { quizResponses } from '@/lib/example/policies/quiz-responses';
import { renderJobs } from '@/lib/example/policies/render-jobs';
import { webhookEvents } from '@/lib/example/policies/webhook-events';
import { seed } from '@/lib/example/seed';
import type { Row, Statement } from '@/lib/platform/database';
import { indexesOnly, session } from '@/lib/platform/session';
import { policies } from '@/lib/policies';
import type { Policy } from '@/lib/policies/contract';
import { measure } from '@/lib/watch/backlog/measure';
import { type Engine, engine, NOW } from '../../support/engine';

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Subplan Name'?: string;
  readonly Plans?: readonly Node[];
}

let e: Engine;
beforeAll(async () => {
  e = await engine();
  await seed(e.db.ownerUrl, { rows: 100_000, asOf: NOW });
  await e.db.sql('vacuum analyze');
}, 120_000);
afterAll(() => e?.stop());

/** Plans one statement of a request as the app's role; those before it take effect, itself it is not run. */
async function plan(before: readonly Statement[], statement: Statement): Promise<Node> {
  const rows = await e.services.database.transaction(
    [...before, { ...statement, text: `explain (format json) ${statement.text}` }],
    { timeoutMs: 20_000 },
  );
  const answer = Object.values((rows.at(-1) as Row[])[0]!)[0] as [{ Plan: Node }];
  return answer[0].Plan;
}
const nodes = (n: Node): Node[] => [n, ...(n.Plans ?? []).flatMap(nodes)];
const cte = (n: Node, name: string): Node[] => {
  const found = nodes(n).find((x) => x['Subplan Name'] === `CTE ${name}`);
  if (!found) throw new Error(`the plan has no CTE ${name}`);
  return nodes(found);
};
const scans = (all: readonly Node[], table: string): string[] =>
  all
    .filter((n) => n['Relation Name'] === table && /Scan/.test(n['Node Type']))
    .map((n) => `${n['Node Type']}${n['Index Name'] ? ` ${n['Index Name']}` : ''}`);

const order = (policy: Policy, leg: Leg, more: Partial<BatchRequest> = {}): BatchRequest => ({
  policy,
  version: 'v',
  runId: '00000000-0000-4000-8000-000000000001',
  fence: '1',
  seq: 1,
  leg,
  position: null,
  limit: 1_000,
  asOf: NOW.toISOString(),
  actor: 'test',
  reason: 'retention',
  statementTimeoutMs: 5_000,
  ...more,
});
const firstLeg = (policy: Policy): Leg => legsOf(policy, NOW)[0]!;
/** A place in the middle of what is due. */
const middle = {
  clock: '2025-12-01 00:00:00+00',
  key: ['80000000-0000-4000-8000-000000000000'],
};
const cases = [
  { policy: quizResponses, index: 'quiz_responses_clock' },
  { policy: webhookEvents, index: 'webhook_events_clock' },
  { policy: renderJobs, index: 'render_jobs_clock' },
];

describe.each(cases)('$policy.name', ({ policy, index }) => {
  const t = policy.table.name;

  it.each([
    ['from the start', null],
    ['from a cursor', middle],
  ])('picks %s by the index in its order, without a sort, and locks by place', async (_, position) => {
    const { locked, deleted } = batch(order(policy, firstLeg(policy), { position })).queries;
    // With dependants the pick and the lock are a statement of their own.
    const p = await plan([session(5_000)], locked ?? deleted);
    const picked = cte(p, 'picked');
    expect(scans(picked, t)[0]).toMatch(new RegExp(`^Index (Only )?Scan ${index}$`));
    expect(picked.map((n) => n['Node Type'])).not.toContain('Sort');
    expect(scans(cte(p, 'locked'), t)).toEqual(['Tid Scan']);
    expect(scans(nodes(p), t)).not.toContain('Seq Scan');
    if (!locked) expect(scans(cte(p, 'gone'), t)).toEqual(['Tid Scan']);
  });

  it('reads nothing after but the count, and looks by the primary key where a trigger could bring a row back', async () => {
    const { confirmed } = batch(order(policy, firstLeg(policy))).queries;
    const p = await plan([session(5_000)], confirmed);
    expect(scans(nodes(p), t)).toEqual([]);
    const declared = batch(order({ ...policy, knownTriggers: ['noted'] }, firstLeg(policy)));
    const q = await plan([session(5_000)], declared.queries.confirmed);
    expect(scans(nodes(q), t)).toEqual([expect.stringMatching(new RegExp(`^Index (Only )?Scan ${t}_pkey$`))]);
  });

  it('proves itself drained by the index, without a sort', async () => {
    const legs = legsOf(policy, NOW);
    const p = await plan([session(5_000)], leftBehind(policy, legs, NOW.toISOString()));
    expect(scans(nodes(p), t)).toEqual(
      legs.map(() => expect.stringMatching(new RegExp(`^Index (Only )?Scan ${index}$`))),
    );
    expect(nodes(p).map((n) => n['Node Type'])).not.toContain('Sort');
  });
});

describe('lanes', () => {
  const leg = firstLeg(quizResponses) as RuleLeg;

  it.each([
    ['from the start', null],
    ['from a cursor', middle],
  ])('find their borders in the statistics, %s, or beside one row of the index', async (_, position) => {
    const asked = borders(quizResponses, leg, position, { most: 12, rows: 25_000 });
    const all = nodes(await plan([session(5_000)], asked));
    const [read, ...others] = all.filter((n) => n['Relation Name'] === 'quiz_responses');
    expect(others).toEqual([]);
    expect(read?.['Index Name']).toBe('quiz_responses_clock');
    // Asked for one row, without a sort: read where the index begins.
    const limited = all.filter((n) => n['Node Type'] === 'Limit' && n.Plans?.includes(read!));
    expect(limited).toHaveLength(1);
  });

  it('read of a stretch what lies between its borders', async () => {
    const part = { ...leg, until: '2025-12-20 00:00:00+00' };
    const position = { clock: middle.clock, key: [] };
    const p = await plan([session(5_000)], batch(order(quizResponses, part, { position })).queries.deleted);
    const [picked] = cte(p, 'picked').filter((n) => n['Index Name'] === 'quiz_responses_clock');
    expect(picked?.['Index Cond']).toMatch(/completed_at >= '2025-12-01.*completed_at < '2025-12-20/);
    expect(cte(p, 'picked').map((n) => n['Node Type'])).not.toContain('Sort');
  });
});

describe('the heap walk', () => {
  const blocks = { from: 8, to: 72, end: 100, skipLocked: false };
  /** As many blocks as a batch may have: enough for an index to look cheaper. */
  const wide = { ...blocks, to: 1_032, end: 1_032 };

  it.each([
    ['plainly', false],
    ['stepping over locked rows', true],
  ])('reads its range of blocks and nothing else, %s', async (_, skipLocked) => {
    const { deleted } = batch(
      order(quizResponses, firstLeg(quizResponses), { blocks: { ...blocks, skipLocked } }),
    ).queries;
    const p = await plan([session(5_000)], deleted);
    const all = scans(nodes(p), 'quiz_responses');
    expect(all).toContain('Tid Range Scan');
    expect(all.filter((s) => !s.startsWith('Tid'))).toEqual([]);
  });

  it('keeps to the range though statistics say that next to nothing is due', async () => {
    const leg = { ...firstLeg(quizResponses), cutoff: '2001-01-01T00:00:00Z' } as Leg;
    const { deleted } = batch(order(quizResponses, leg, { blocks: wide })).queries;
    const p = await plan([session(5_000)], deleted);
    expect(scans(nodes(p), 'quiz_responses')).toEqual(['Tid Range Scan']);
  });

  it.each([
    ['a range', 72],
    ['the last blocks', null],
  ])('looks back at %s by its blocks', async (_, to) => {
    const leg = firstLeg(quizResponses) as RuleLeg;
    const look = whatIsLeft(quizResponses, leg, { from: 8, to }, NOW.toISOString());
    const p = await plan([session(5_000)], look);
    expect(scans(nodes(p), 'quiz_responses')).toEqual(['Tid Range Scan']);
  });
});

it('counts what is due by the index when little is', async () => {
  const leg = { ...firstLeg(quizResponses), cutoff: '2001-01-01T00:00:00Z' } as Leg;
  const p = await plan([session(5_000)], countDue(quizResponses, [leg], NOW.toISOString()));
  expect(scans(nodes(p), 'quiz_responses')).toEqual([
    expect.stringMatching(/^Index (Only )?Scan quiz_responses_clock$/),
  ]);
});

describe('the measure of the backlog', () => {
  it.each(policies.filter((p) => !p.partitioned).map((p) => [p.name, p] as const))(
    '%s: ranges of an index, the table is never read',
    async (_, policy) => {
      const statement = measure(policy, legsOf(policy, NOW), NOW.toISOString());
      const all = nodes(await plan([session(5_000), indexesOnly], statement!));
      const read = scans(all, policy.table.name);
      expect(read.length).toBeGreaterThan(0);
      for (const scan of read) expect(scan).toMatch(/^Index/);
    },
  );

  // The database asks each partition by itself, which no plan shows: it counts what it read.
  it.each(policies.filter((p) => p.partitioned).map((p) => [p.name, p] as const))(
    '%s: ranges of an index of each partition, none is read from end to end',
    async (_, policy) => {
      const statement = measure(policy, legsOf(policy, NOW), NOW.toISOString());
      const scanned = (kind: string): Statement => ({
        text: `select sum(pg_stat_get_xact_numscans(c.oid))::int as n from pg_partition_tree($1::regclass) p
          left join pg_index i on i.indrelid = p.relid join pg_class c on c.oid = ${kind} where p.isleaf`,
        params: [policy.table.name],
      });
      const answers = await e.services.database.transaction(
        [session(5_000), indexesOnly, statement!, scanned('i.indexrelid'), scanned('p.relid')],
        { timeoutMs: 20_000 },
      );
      const [byIndex, whole] = answers.slice(-2).map((rows) => Number(rows[0]?.n));
      expect(byIndex).toBeGreaterThan(0);
      expect(whole).toBe(0);
    },
  );
});
