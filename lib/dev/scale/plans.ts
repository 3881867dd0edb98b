/** How PostgreSQL would answer what was asked: each statement explained with its own values, in the settings of its own request. */
import type { Client } from 'pg';
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
    'dead_letter',
  ],
  ...[
    'hold',
    'extension',
    'erasure',
    'export',
    'incident',
    'alert',
    'notice',
    'notice_part',
    'archive',
    'order_step',
  ],
];
/** Fewer rows are read in one go by any planner, and rightly. */
const FEW = 1_000;

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string | undefined;
  readonly Schema?: string | undefined;
  readonly Plans?: readonly Node[] | undefined;
}
const Node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    'Node Type': z.string(),
    'Relation Name': z.string().optional(),
    Schema: z.string().optional(),
    Plans: z.array(Node).optional(),
  }),
);
const Plan = z.array(z.object({ Plan: Node }));

export interface Scan {
  readonly table: string;
  readonly statement: string;
}

/** Every sequential scan of history in these requests. READ ONLY, and nothing is run but their settings. */
export async function scansOf(owner: Client, requests: readonly Recorded[]): Promise<Scan[]> {
  const large = await largeTables(owner);
  const found: Scan[] = [];
  for (const statements of requests) {
    await owner.query('begin read only');
    try {
      for (const { query, params } of statements) {
        const values = params as string[];
        if (/^\s*select set_config\(/.test(query)) {
          await owner.query(query, values);
          continue;
        }
        const { rows } = await owner.query(`explain (format json, verbose) ${query}`, values);
        const [plan] = Plan.parse(rows[0]['QUERY PLAN']);
        found.push(...tablesIn(plan!.Plan, large).map((table) => ({ table, statement: query })));
      }
    } finally {
      await owner.query('rollback');
    }
  }
  return found;
}

const tablesIn = (node: Node, large: ReadonlySet<string>): string[] => {
  const name = node['Relation Name'];
  const own =
    node['Node Type'] === 'Seq Scan' && node.Schema === 'retention' && name !== undefined && large.has(name);
  return [...(own ? [name] : []), ...(node.Plans ?? []).flatMap((child) => tablesIn(child, large))];
};

async function largeTables(owner: Client): Promise<Set<string>> {
  const { rows } = await owner.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'retention'::regnamespace and relname = any($1) and reltuples > $2`,
    [HISTORY, FEW],
  );
  return new Set(rows.map((r) => r.name));
}
