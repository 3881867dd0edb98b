/** Every page of the console as somebody would open it: found in the tree of the app, so that a new page is measured or is missed. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Client } from 'pg';

const FOLDER = path.join('app', '(console)');

/** As Next names them: `/calendar/[day]`. */
export const pagesOfConsole = (): string[] =>
  readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => /(^|\/)page\.tsx$/.test(file))
    .map((file) => `/${file.replace(/\/?page\.tsx$/, '')}`.replace(/\/\([^)]*\)/g, ''))
    .map((page) => page || '/')
    .sort();

/** What else of a page is asked for: its filters, and what one looks for in it. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  '/why': ['?id=:key', '?id=:never', '?id=:user', '?person=:hash'],
  '/audit': [
    '',
    '?actor=otto',
    '?action=run.sealed',
    '?policy=:policy',
    '?day=:day',
    '?actor=otto&action=run.sealed',
  ],
  '/reports': ['', '?from=:month&to=:day'],
  '/calendar': ['', '?policy=:policy'],
  '/holds': ['', '?released=1'],
  '/letters': ['?kind=row', '?kind=file', '?kind=row&policy=:policy'],
  '/calendar/[day]': ['', '?policy=:tenanted', '?org=:governed'],
  '/restores': ['', '?policy=:policy', '?run=:archived', '?organization=:organization', '?key=:key'],
  '/restores/new': ['', '?scope=run&subject=:archived'],
  '/orders': ['', '?list=manual', '?list=refunding', '?list=without-start'],
  '/policies/[policy]': ['', '?days=10'],
  '/extensions/end': ['?table=:table&key=:extended'],
  '/extensions/new': ['?table=:table&key=:extended'],
  '/erasures': ['', '?settled=1'],
};

/** An example of each parameter that stands in an address, from the history itself. */
const EXAMPLES: Readonly<Record<string, string>> = {
  policy: `select 'artifacts' as x`,
  tenanted: `select 'artifacts' as x`,
  name: `select 'artifacts' as x`,
  run: `select id::text as x from retention.run where mode = 'delete' order by started_at desc limit 1`,
  key: `select (retention.keys_of(c))[1] as x from retention.receipt c order by c.id limit 1`,
  never: `select 'ffffffff-ffff-4fff-8fff-ffffffffffff' as x`,
  user: `select subject as x from retention.erasure order by requested_at limit 1`,
  hash: `select identifiers #>> '{email,0}' as x from retention.erasure order by requested_at limit 1`,
  day: `select to_char(now() at time zone 'UTC' + interval '1 day', 'YYYY-MM-DD') as x`,
  month: `select to_char(now() at time zone 'UTC' - interval '29 days', 'YYYY-MM-DD') as x`,
  hold: `select id::text as x from retention.hold where released_at is null order by placed_at limit 1`,
  kind: `select 'row' as x`,
  organization: `select subject as x from retention.hold where scope = 'organization' order by placed_at limit 1`,
  governed: `select id::text as x from organizations order by id limit 1`,
  archived: `select run::text as x from retention.archive where state = 'kept' order by created_at desc limit 1`,
  table: `select table_name as x from retention.extension order by keep_until desc limit 1`,
  extended: `select row_key as x from retention.extension order by keep_until desc limit 1`,
  restore: `select id::text as x from retention.restore order by requested_at limit 1`,
  order: `select id::text as x from orders where status = 'in_review' order by id limit 1`,
  refunded: `select order_key as x from retention.refund_intent order by claimed_at limit 1`,
  letter: `select id::text as x from retention.dead_letter where state = 'open' order by created_at limit 1`,
  erasure: `select id::text as x from retention.erasure order by requested_at desc limit 1`,
};

/** What `[id]` stands for, by the page it is in. */
const IDS: Readonly<Record<string, string>> = {
  holds: 'hold',
  letters: 'letter',
  erasures: 'erasure',
  restores: 'restore',
};

/** What the API reads, asked with an operator's own token. The verification of the chain is left out: it reads every entry, which is its purpose. */
const READS: readonly string[] = [
  ...['state', 'holds', 'extensions', 'overrides', 'approvals', 'versions', 'rows', 'files'].map(
    (list) => `/api/control?list=${list}`,
  ),
  ...['/api/audit/head', '/api/audit/entries', '/api/audit/entries?subject=:run'],
  '/api/audit/lineage?table=public.:policy&key=:key',
  ...['/api/calendar', '/api/calendar?policy=:tenanted&organization=:governed'],
  ...[
    '/api/orders',
    '/api/orders?list=manual',
    '/api/erasure',
    '/api/erasure?state=done',
    '/api/erasure?id=:erasure',
  ],
  ...['/api/exports', '/api/restore', '/api/health', '/api/metrics'],
  ...['/api/reports/cleanup?from=:month&to=:day', '/api/reports/drift', '/api/reports/quality'],
];
/** What a page of the console hands out. */
const FILES: readonly string[] = [
  ...[
    '/audit/entries?day=:day',
    '/calendar/download',
    '/calendar/download?day=:day',
    '/reports/cleanup?from=:month&to=:day',
  ],
  ...['/why/answer?id=:key', '/runs/:run/beat'],
];

/** Those that only a history has. */
const OF_HISTORY = [
  'run',
  'key',
  'user',
  'hash',
  'hold',
  'organization',
  'table',
  'extended',
  'archived',
  'restore',
];
const ALSO = ['letter', 'erasure', 'refunded'];

export interface Visit {
  /** As Next names it, or the path of a read. */
  readonly page: string;
  readonly path: string;
  /** It is about something that only a history has: a store without one has no such page. */
  readonly ofHistory: boolean;
}

/** What is asked about where there is no example of it. */
const NEVER = 'ffffffff-ffff-4fff-8fff-ffffffffffff';

/** Every page and every read, each with its parameters filled from what is there. */
export async function visits(owner: Client): Promise<Visit[]> {
  const examples = new Map<string, string>();
  for (const [name, text] of Object.entries(EXAMPLES)) {
    const { rows } = await owner.query<{ x: string | null }>(text);
    examples.set(name, rows[0]?.x ?? NEVER);
  }
  const pages = pagesOfConsole().flatMap((page) =>
    (WAYS[page] ?? ['']).map((way) => ({ page, way: `${withNames(page)}${way}` })),
  );
  const reads = [...READS, ...FILES].map((way) => ({ page: way.split('?')[0]!, way }));
  return [...pages, ...reads].map(({ page, way }) => ({
    page,
    path: way.replace(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(examples.get(name)!)),
    ofHistory: [...OF_HISTORY, ...ALSO].some((name) => new RegExp(`:${name}\\b`).test(way)),
  }));
}

/** `/holds/[id]` is `/holds/:hold`. */
function withNames(page: string): string {
  const [, first = ''] = page.split('/');
  return page.replace(
    /\[([a-zA-Z]+)\]/g,
    (_, name: string) => `:${name === 'id' ? (IDS[first] ?? 'run') : name}`,
  );
}
