/**
 * How PostgreSQL answers what was asked: each statement is run once more with its own values, in the settings of its own request and
 * READ ONLY, under auto_explain, so that the statements inside functions are seen as well.
 */
import { Client } from 'pg';
import { z } from 'zod';
import type { Recorded } from './recorder';

/** Grow with time, or with what people decide: no page may read one of them from end to end. */
const HISTORY: readonly string[] = [
  ...[
    'run',
    'receipt',
    'receipt_index',
    'audit_entry',
    'audit_event',
    'outbox',
    'tenant_total',
    'backlog_day',
  ],
  ...['dead_letter', 'hold', 'extension', 'erasure', 'erasure_step', 'export', 'incident', 'alert', 'notice'],
  ...['notice_part', 'archive', 'archive_subject', 'restore', 'restore_part', 'order_step', 'refund_intent'],
  ...['tenant_label', 'past_override'],
];
/** Fewer rows are read in one go by any planner, and rightly. */
const FEW = 1_000;
/** By whatever index: the longest look-up stops at 5,000 rows, and a report of a month reads its 250 runs a day; what reads more has no bound. */
const MOST_ROWS = 10_000;

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string | undefined;
  readonly Schema?: string | undefined;
  readonly 'Actual Rows'?: number | undefined;
  readonly 'Actual Loops'?: number | undefined;
  readonly 'Rows Removed by Filter'?: number | undefined;
  readonly 'Shared Hit Blocks'?: number | undefined;
  readonly 'Shared Read Blocks'?: number | undefined;
  readonly Plans?: readonly Node[] | undefined;
}
const n = z.number().optional();
const Node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    'Node Type': z.string(),
    'Relation Name': z.string().optional(),
    Schema: z.string().optional(),
    'Actual Rows': n,
    'Actual Loops': n,
    'Rows Removed by Filter': n,
    'Shared Hit Blocks': n,
    'Shared Read Blocks': n,
    Plans: z.array(Node).optional(),
  }),
);
const Explained = z.object({ 'Query Text': z.string(), Plan: Node });
type Explained = z.output<typeof Explained>;

interface Scan {
  readonly table: string;
  readonly statement: string;
  /** Sequential, or so many rows by an index. */
  readonly how: string;
}

export interface Plans {
  readonly scans: readonly Scan[];
  /** Rows that all scans looked at. */
  readonly rows: number;
  /** Pages of 8 kB, from memory or not. */
  readonly buffers: number;
}

/** Needs the database's superuser: nobody else may turn auto_explain on. */
export async function plansOf(ownerUrl: string, requests: readonly Recorded[]): Promise<Plans> {
  const owner = new Client(ownerUrl);
  await owner.connect();
  try {
    const large = await largeTables(owner);
    const explained = await watching(owner);
    const scans: Scan[] = [];
    let [rows, buffers] = [0, 0];
    for (const statement of requests) {
      for (const plans of await planned(owner, statement, explained)) {
        for (const { 'Query Text': text, Plan: plan } of plans) scans.push(...scansIn(plan, large, text));
        rows += plans.reduce((sum, { Plan: plan }) => sum + rowsIn(plan), 0);
        // The statement itself is told last, after those inside it, and has counted them.
        buffers += buffersOf(plans.at(-1)!.Plan);
      }
    }
    return { scans, rows, buffers };
  } finally {
    await owner.end();
  }
}

/** The plans of each statement of one request, those of the statements inside it first. */
async function planned(
  owner: Client,
  statements: Recorded,
  explained: () => Explained[],
): Promise<Explained[][]> {
  const all: Explained[][] = [];
  await owner.query('begin read only');
  try {
    for (const { query, params } of statements) {
      explained();
      await owner.query(query, params as string[]);
      // A statement with values ends, and is told, when the next one begins.
      await owner.query('show server_version_num');
      const plans = explained();
      if (plans.length === 0) throw new Error(`no plan was told of: ${query}`);
      if (!/^\s*select set_config\(/.test(query)) all.push(plans);
    }
  } finally {
    await owner.query('rollback');
  }
  return all;
}

/** Returns what was told since the last call. */
async function watching(owner: Client): Promise<() => Explained[]> {
  let told: Explained[] = [];
  owner.on('notice', ({ message = '' }) => {
    const at = message.indexOf('plan:\n');
    if (at >= 0) told.push(Explained.parse(JSON.parse(message.slice(at + 'plan:\n'.length))));
  });
  await owner.query(`load 'auto_explain'`);
  const settings = {
    'auto_explain.log_level': 'notice',
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_format': 'json',
    'auto_explain.log_verbose': 'on',
    'auto_explain.log_analyze': 'on',
    'auto_explain.log_buffers': 'on',
    'auto_explain.log_timing': 'off',
    'auto_explain.log_nested_statements': 'on',
  };
  for (const [name, value] of Object.entries(settings)) {
    await owner.query('select set_config($1, $2, false)', [name, value]);
  }
  return () => {
    const all = told;
    told = [];
    return all;
  };
}

const loops = (node: Node): number => node['Actual Loops'] ?? 1;
const seenBy = (node: Node): number =>
  loops(node) * ((node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0));
const rowsIn = (node: Node): number =>
  (node['Relation Name'] === undefined ? 0 : seenBy(node)) +
  (node.Plans ?? []).reduce((sum, child) => sum + rowsIn(child), 0);
const buffersOf = (node: Node): number =>
  (node['Shared Hit Blocks'] ?? 0) + (node['Shared Read Blocks'] ?? 0);

function scansIn(node: Node, large: ReadonlySet<string>, statement: string): Scan[] {
  const table = node['Relation Name'] ?? '';
  const found: Scan[] = [];
  if (node.Schema === 'retention' && large.has(table) && loops(node) > 0) {
    const seen = seenBy(node);
    if (node['Node Type'] === 'Seq Scan') found.push({ table, statement, how: 'sequential' });
    else if (seen > MOST_ROWS) found.push({ table, statement, how: `${seen} rows by ${node['Node Type']}` });
  }
  return [...found, ...(node.Plans ?? []).flatMap((child) => scansIn(child, large, statement))];
}

/** As the planner knows them. */
async function largeTables(owner: Client): Promise<Set<string>> {
  const { rows } = await owner.query<{ name: string }>(
    `select relname as name from pg_class
    where relnamespace = 'retention'::regnamespace and relname = any($1) and reltuples > $2`,
    [HISTORY, FEW],
  );
  return new Set(rows.map((r) => r.name));
}
