import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seedHistory } from '@/lib/dev/scale/history';
import { plansOf } from '@/lib/dev/scale/plans';
import { type Recorder, recorder } from '@/lib/dev/scale/recorder';
import '@/lib/example/policies'; // its tables are the business of this store: this test goes with it
import { guardStop } from '@/lib/http/console/approval';
import { attention } from '@/lib/http/console/attention';
import { lookAtChain } from '@/lib/http/console/audit';
import { dayOf, monthOf } from '@/lib/http/console/calendar';
import { dataMapPage } from '@/lib/http/console/data-map';
import { firstSteps } from '@/lib/http/console/first-steps';
import {
  archives,
  erasures,
  exportRows,
  extensions,
  holdOf,
  holds,
  letterOf,
  letters,
  notices,
  restoreRow,
  restores,
} from '@/lib/http/console/lists';
import { numbersOf } from '@/lib/http/console/numbers';
import { byHash, byId } from '@/lib/http/console/people';
import { policiesNow } from '@/lib/http/console/policies';
import { historyOf, whatIf } from '@/lib/http/console/policy';
import { whatIsReleased } from '@/lib/http/console/release';
import { erasureOf } from '@/lib/http/console/right';
import { runNow } from '@/lib/http/console/run';
import { answerFor } from '@/lib/operators/audit/answer';
import { answerInWords } from '@/lib/operators/audit/answer-words';
import { readEntries } from '@/lib/operators/audit/entries';
import { cleanupReport } from '@/lib/operators/audit/report';
import { verify } from '@/lib/operators/audit/verify';
import { readList } from '@/lib/operators/read';
import { readOrder, readOrders } from '@/lib/orders/list';
import { tableLabel } from '@/lib/platform/sql';
import { listRestores } from '@/lib/rights/restore/records';
import { listErasures, UNDER_WAY } from '@/lib/rights/store';
import { createServices, type Services } from '@/lib/services';
import { readMetrics } from '@/lib/watch/metrics/read';
import { CONSOLE_ENV } from '@/test/support/console';
import { type TestDatabase, testDatabase } from '@/test/support/database';

/** Enough that an index is cheaper than the table. */
const HISTORY = { runs: 3_000, receipts: 24_000, organizations: 3_000, leastDecided: 6_000 };
let db: TestDatabase;
let record: Recorder;
let s: Services;

beforeAll(async () => {
  db = await testDatabase();
  record = await recorder(db.env.NEON_HTTP_ENDPOINT!);
  s = createServices({
    ...db.env,
    ...CONSOLE_ENV,
    CRON_SECRET: 'a-secret-of-the-tests',
    LOG_LEVEL: 'silent',
    LAPSE_NAMESPACE: `plans-${randomUUID()}`,
    NEON_HTTP_ENDPOINT: record.url,
  });
  await seedHistory(db.ownerUrl, {
    ...HISTORY,
    policies: s.policies.slice(0, 3).map((p) => ({ name: p.name, table: tableLabel(p.table) })),
    asOf: s.clock(),
  });
});
afterAll(async () => {
  await record?.stop();
  await db?.stop();
});

const one = async (text: string): Promise<string> => String((await db.sql<{ x: string }>(text))[0]?.x);
const KEY = 'select (retention.keys_of(c))[1] as x from retention.receipt c order by c.id desc limit 1';
const RUN = `select id::text as x from retention.run where mode = 'delete' order by started_at desc limit 1`;
const HASH = `select identifiers #>> '{email,0}' as x from retention.erasure limit 1`;
const HOLD = `select id::text as x from retention.hold where released_at is null and scope = 'organization' limit 1`;
const ORGANIZATION = `select subject as x from retention.hold where scope = 'organization' limit 1`;
const tomorrow = () => new Date(s.clock().getTime() + 86_400_000).toISOString().slice(0, 10);
const daysAgo = (n: number) => new Date(s.clock().getTime() - n * 86_400_000);

/** A request takes as long as the network: two for the facts and the periods, a few more where tables of the business are asked. */
const MOST_REQUESTS: Readonly<Record<string, number>> = {
  'the calendar': 14,
  'a day of the calendar': 7,
  'a look at the chain': 6,
  'the answer for a key of one table': 8,
  'the answer for a key that went': 24,
  'the answer for a key nobody knows': 24,
};
const MOST_OF_ANY = 6;

const READS: readonly [string, () => Promise<unknown>][] = [
  ['the answer for a key that went', async () => answerFor(s, { id: await one(KEY) })],
  ['the answer for a key nobody knows', () => answerFor(s, { id: randomUUID() })],
  [
    'the answer for a key of one table',
    async () => answerFor(s, { id: await one(KEY), table: 'public.artifacts' }),
  ],
  ['what is on record by an id', async () => byId(s, await one(ORGANIZATION))],
  ['what is on record by a hash', async () => byHash(s, [await one(HASH)])],
  ['the latest entries', () => readEntries(s, {})],
  ['entries of an operator', () => readEntries(s, { actor: 'otto' })],
  ['entries of an act by somebody', () => readEntries(s, { actor: 'nobody', action: 'run.sealed' })],
  ['entries of a policy', () => readEntries(s, { policy: s.policies[0]!.name, before: 900 })],
  ['entries of a day', () => readEntries(s, { day: tomorrow() })],
  ['a look at the chain', () => lookAtChain(s)],
  ['the report of a week', () => cleanupReport(s, { from: daysAgo(7), to: s.clock() })],
  ['the calendar', () => monthOf(s, {})],
  ['a day of the calendar', () => dayOf(s, { day: tomorrow() })],
  ['the data map', () => dataMapPage(s)],
  ['the numbers of the start page', () => numbersOf(s)],
  ['the policies of the start page', () => policiesNow(s, s.policies)],
  ['a policy', () => historyOf(s, s.policies[0]!.name)],
  ['what waits for a person', () => attention(s)],
  ['holds in force', () => holds(s, { released: false })],
  ['holds that were released', () => holds(s, { released: true })],
  ['erasures under way', () => erasures(s, { settled: false })],
  ['erasures that are settled', () => erasures(s, { settled: true })],
  ['extensions', () => extensions(s)],
  ['open letters of rows', () => letters(s, 'row')],
  ['open letters of files', () => letters(s, 'file')],
  ['exports', () => exportRows(s)],
  ['archives of a policy', () => archives(s, { policy: s.policies[0]!.name })],
  ['restores', () => restores(s)],
  ['messages', () => notices(s)],
  ['a run', async () => runNow(s, await one(RUN))],
  ['a hold and what it keeps', async () => whatIsReleased(s, (await holdOf(s, await one(HOLD)))!)],
  ['a guard stop', () => guardStop(s, s.policies[0]!.name, 'otto')],
  ['what would go under another period', () => whatIf(s, s.policies[0]!, 10)],
  ['orders that wait for a person', () => readOrders(s, { list: 'manual' })],
  [
    'an order',
    async () => readOrder(s, await one(`select order_key as x from retention.refund_intent limit 1`)),
  ],
  ['a restore', async () => restoreRow(s, await one('select id::text as x from retention.restore limit 1'))],
  ['archives of a key', async () => archives(s, { key: await one(KEY) })],
  ['archives of a run', async () => archives(s, { run: await one(RUN) })],
  ['archives of an organization', async () => archives(s, { organization: await one(ORGANIZATION) })],
  ['an erasure', async () => erasureOf(s, await one('select id::text as x from retention.erasure limit 1'))],
  [
    'a letter',
    async () => letterOf(s, 'row', await one('select id::text as x from retention.dead_letter limit 1')),
  ],
  ['the first steps', () => firstSteps(s)],
  ['the metrics', () => readMetrics(s)],
  ...(['state', 'holds', 'extensions', 'rows', 'files'] as const).map(
    (list): [string, () => Promise<unknown>] => [
      `the list ${list} of the control endpoint`,
      () => readList(s, new URL(`http://localhost/api/control?list=${list}`)),
    ],
  ),
  ['the list of erasures of the API', () => listErasures(s.reading, UNDER_WAY, 0, s.clock())],
  ['the list of settled erasures of the API', () => listErasures(s.reading, ['done'], 0, s.clock())],
  ['the list of restores of the API', () => listRestores(s)],
];

it.each(READS)(
  '%s is read by a few requests, and no plan reads history from end to end',
  async (name, read) => {
    record.take();
    await read();
    const asked = record.take();
    expect(asked.flat().length).toBeGreaterThan(0);
    const { scans } = await plansOf(db.ownerUrl, asked);
    expect(scans.map((x) => `${x.table} (${x.how}): ${x.statement}`)).toEqual([]);
    expect(asked.length).toBeLessThanOrEqual(MOST_REQUESTS[name] ?? MOST_OF_ANY);
  },
);

it('a scan of history is seen where there is one', async () => {
  const asked = [[{ query: 'select count(*) from retention.receipt where actor = $1', params: ['x'] }]];
  expect((await plansOf(db.ownerUrl, asked)).scans).toMatchObject([{ table: 'receipt', how: 'sequential' }]);
});

it('the runs and receipts that are seeded verify, and a key of them is answered with its proof', async () => {
  // A page of the chain with its runs; the holds of this history were written past the functions that record them.
  let pages = 0;
  const { runs, problems } = await verify(s.reading, { inTime: () => pages++ < 1 });
  expect([runs, problems]).toEqual([1_000, []]);
  const { found } = answerInWords(await answerFor(s, { id: await one(KEY) }));
  expect(found[0]?.facts.find((f) => f.name === 'Receipt')?.text).toContain('✓ in the chain');
});
