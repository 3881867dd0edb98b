/**
 * Would the engine take it? Asks the engine's own preflight, as the role of the app would be answered, and sorts what
 * it says: statements that only add (grants, indexes, gates, guards), which adopt writes down, and all the rest, which
 * is refused with its reason. Nothing here has an opinion of its own.
 */
import { catalogFacts, judgeFacts } from '../../engine/statement/preflight';
import type { Problem } from '../../platform/errors';
import { definePolicy, type PermanentTable, type Policy, type PolicyInput } from '../../policies/contract';
import type { CatalogAnswer } from './catalog';
import { quoted } from './quoting';
import type { Reader } from './read-only';

export interface Step {
  /** One SQL statement. */
  readonly statement: string;
  readonly why: string;
}

export interface Judgment {
  /** What the owner runs once. */
  readonly steps: readonly Step[];
  /** What a person has to decide or change first. Empty: the engine takes it after the steps. */
  readonly refused: readonly Problem[];
}

/** `justification` is what `--reason` says. */
const BY_HAND =
  'where justification, ground or rules are named, say --reason, --ground or --keep otherwise; else write this policy by hand';
const GROUP = 'lapse_app';
const JUDGE_MS = 20_000;

export async function judge(
  reader: Reader,
  catalog: CatalogAnswer,
  input: PolicyInput | Policy,
  permanent: readonly PermanentTable[],
): Promise<Judgment> {
  let policy: Policy;
  try {
    policy = definePolicy(input as PolicyInput);
  } catch (error) {
    return {
      steps: [],
      refused: [{ problem: (error as Error).message, remedy: BY_HAND }],
    };
  }
  try {
    const { text, params } = catalogFacts(policy);
    const [row] = await reader.ask<{ facts: RawFacts }>(text, params, JUDGE_MS);
    const facts = await asTheApp(reader, row!.facts, catalog);
    return sorted(judgeFacts(policy, facts, permanent), catalog);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined) throw error;
    return {
      steps: [],
      refused: [
        {
          problem: `its catalog could not be read: ${message} (${code})`,
          remedy: 'run npm run migrate, then again',
        },
      ],
    };
  }
}

/** As the statement answers; only what depends on who asks is looked at here. */
interface RawFacts {
  role: string;
  relations: {
    oid: string;
    root: string;
    kind: string;
    rls: boolean;
    may: Record<'use' | 'select' | 'delete' | 'update', boolean>;
    columns: Record<string, { may_update: boolean }>;
  }[];
  files: { schema: string; table: string; may_use: boolean; may_read: boolean }[];
  partitioning?: { shut: string[] } | null;
}

interface Right {
  oid: string;
  label: string;
  schema: string;
  name: string;
  use: boolean;
  select: boolean;
  delete: boolean;
  update: boolean;
  row_security: boolean;
  columns: string[];
}

/**
 * An owner has rights that the app has not, and may not be allowed to act as it: so the rights of its group stand in
 * the place of the asker's.
 */
async function asTheApp(reader: Reader, facts: RawFacts, { logins }: CatalogAnswer): Promise<RawFacts> {
  const rights = await reader.ask<Right>(RIGHTS, [facts.relations.map((r) => r.oid), GROUP]);
  const of = new Map(rights.map((r) => [r.oid, r]));
  // The attribute is a login's own: members of a group do not have it from there.
  const bypasses = logins.some((l) => l.bypasses);
  const relations = facts.relations.map((r) => {
    const right = of.get(r.oid);
    if (right === undefined) return r;
    const { use, select, delete: deletes, update } = right;
    const columns = Object.entries(r.columns).map(([c, x]) => [
      c,
      { ...x, may_update: right.columns.includes(c) },
    ]);
    return {
      ...r,
      rls: right.row_security && !bypasses,
      may: { use, select, delete: deletes, update },
      columns: Object.fromEntries(columns) as typeof r.columns,
    };
  });
  const root = facts.partitioning ? facts.relations.find((r) => r.kind === 'p')?.root : undefined;
  const shut = rights.filter((r) => {
    const relation = facts.relations.find((x) => x.oid === r.oid);
    return relation?.root === root && relation?.kind === 'r' && !(r.select && r.delete && r.update);
  });
  return {
    ...facts,
    role: GROUP,
    relations,
    // What its owner may read stands here for want of an index; the app may lack the right besides.
    files: facts.files.map((f) => {
      const right = rights.find((r) => r.schema === f.schema && r.name === f.table);
      return right ? { ...f, may_use: right.use, may_read: right.select } : f;
    }),
    ...(facts.partitioning
      ? { partitioning: { ...facts.partitioning, shut: shut.map((r) => r.label) } }
      : {}),
  };
}

const RIGHTS = `select c.oid::text, n.nspname || '.' || c.relname as label, n.nspname as schema, c.relname as name,
    has_schema_privilege($2, n.oid, 'USAGE') as use, has_table_privilege($2, c.oid, 'SELECT') as select,
    has_table_privilege($2, c.oid, 'DELETE') as delete, has_any_column_privilege($2, c.oid, 'UPDATE') as update, c.relrowsecurity as row_security,
    array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and has_column_privilege($2, c.oid, a.attnum, 'UPDATE')) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1::oid[])`;

/** Statements that add a right, an index, a gate or a guard; they change no row and no column. */
const ADDS =
  /^(GRANT |CREATE INDEX |CREATE TRIGGER lapse_gate\w* |SELECT retention\.(protect|open_partitions|index_statements)\(|INSERT INTO retention\.partition_grant )/;

function sorted(problems: readonly Problem[], { logins }: CatalogAnswer): Judgment {
  const steps: Step[] = [];
  const refused: Problem[] = [];
  for (const { problem, remedy } of problems) {
    const end = remedy.indexOf(';');
    if (!ADDS.test(remedy) || end < 0) {
      refused.push({
        problem,
        remedy: asFlag(remedy.replace('<the role in DATABASE_URL>', nameOfLogin(logins))),
      });
      continue;
    }
    const rest = remedy.slice(end + 1).trim();
    steps.push({
      statement: repeatable(remedy.slice(0, end + 1)),
      why: rest === '' ? problem : `${problem} (${rest})`,
    });
  }
  return { steps, refused };
}

/** Before there is a policy to write in, a trigger is named by a flag. */
const asFlag = (remedy: string): string =>
  remedy
    .replace(/name it in knownTriggers of the policy/, '$& (--known-trigger NAME)')
    .replace(/name it in dependants\.\d+\.knownTriggers of the policy/, '$& (--known-trigger TABLE.NAME)');

const nameOfLogin = (logins: CatalogAnswer['logins']): string =>
  logins.length === 1 ? quoted(logins[0]!.name) : "<the app's login>";

/** Run twice, it does the same as once: an index gets a name, a trigger is replaced, and what a function answers is what is missing. */
export function repeatable(statement: string): string {
  const index = /^CREATE INDEX( CONCURRENTLY)? ON ("(?:[^"]|"")+"\.("(?:[^"]|"")+")) \((.*)\);$/.exec(
    statement,
  );
  if (index) {
    const [, concurrently = '', table, bare = '', columns = ''] = index;
    return `CREATE INDEX${concurrently} IF NOT EXISTS ${indexName(bare, columns)} ON ${table} (${columns});`;
  }
  if (statement.startsWith('SELECT retention.index_statements(')) return statement.replace(/;$/, RUN_EACH);
  return statement.replace(/^CREATE TRIGGER /, 'CREATE OR REPLACE TRIGGER ');
}

/** By psql: what the statement answers are statements, and each is run by itself. */
export const RUN_EACH = ' \\gexec';

/** As long as a name may be (63 bytes); what is cut off is told apart by its sum. */
function indexName(table: string, columns: string): string {
  const plain = `lapse_${table}_${columns}`
    .replace(/retention\.blob_path/g, 'file')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/_+$/, '')
    .toLowerCase();
  if (plain.length <= 60) return plain;
  let sum = 0;
  for (const c of `${table}${columns}`) sum = (sum * 31 + (c.codePointAt(0) ?? 0)) % 2_176_782_336;
  return `${plain.slice(0, 52)}_${sum.toString(36)}`;
}
