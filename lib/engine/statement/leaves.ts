/**
 * A partition counts as the table it is a part of, also when Lapse itself has dropped it since: a policy that names one
 * as a dependant keeps working, its receipts name the table, and a hold placed on either name holds.
 */
import { z } from 'zod';
import type { Database } from '../../platform/database';
import { type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql, tableLabel } from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
import { standsFor } from '../../policies/fingerprint';

/** A few lookups in the catalog. */
const STATEMENT_MS = 5_000;

const Root = z.object({ label: z.string(), schema: z.string(), name: z.string() });
export type Root = z.infer<typeof Root>;

/** Each label that is, or was, a partition, with its table. */
const rootsQuery = (labels: readonly string[]): Query<Root[]> =>
  query(
    sql`select x.label, n.nspname as schema, c.relname as name from jsonb_array_elements_text(${JSON.stringify(labels)}::jsonb) x(label)
    join pg_class c on c.oid = retention.root_of(x.label) join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname <> x.label`,
    rows(Root),
  );

const labelsOf = (policy: Policy): string[] =>
  policy.dependants.map((d) => `${d.table.schema}.${d.table.name}`);

/** Which of a policy's dependants are partitions; null when it has none to ask about. */
export const rootsOf = (policy: Policy): Query<Root[]> | null =>
  policy.dependants.length === 0 ? null : rootsQuery(labelsOf(policy));

/** The policy with each dependant that is a partition replaced by its table, once. */
export function withRoots(policy: Policy, found: readonly Root[] = []): Policy {
  const roots = new Map(found.map(({ label, schema, name }) => [label, { schema, name }]));
  if (!labelsOf(policy).some((label) => roots.has(label))) return policy;
  const rootOf = (t: Dependant['table']) => roots.get(`${t.schema}.${t.name}`) ?? t;
  const seen = new Set<string>();
  const dependants = policy.dependants
    .map((d) => ({ ...d, table: rootOf(d.table), ...(d.via ? { via: rootOf(d.via) } : {}) }))
    .filter((d) => {
      const same = JSON.stringify([tableLabel(d.table), d.via, d.references, d.refersTo, d.fate]);
      return !seen.has(same) && seen.add(same);
    });
  const rooted = { ...policy, dependants };
  return standsFor(rooted, policy);
}

/** The same outside a run, with one request where any policy has dependants. */
export async function atRoots(database: Database, policies: readonly Policy[]): Promise<Policy[]> {
  const labels = [...new Set(policies.flatMap(labelsOf))];
  if (labels.length === 0) return [...policies];
  const roots = await readRoots(database, labels);
  return policies.map((policy) => withRoots(policy, roots));
}

/** The label of the table that this label's table is, or was, a part of; the label itself for any other. */
export async function rootLabel(database: Database, label: string): Promise<string> {
  const [root] = await readRoots(database, [label]);
  return root ? `${root.schema}.${root.name}` : label;
}

const readRoots = (database: Database, labels: readonly string[]): Promise<Root[]> =>
  askOne(database, rootsQuery(labels), { statementMs: STATEMENT_MS, readOnly: true });
