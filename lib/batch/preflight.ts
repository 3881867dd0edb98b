/**
 * Is the database fit for this policy? Read from the catalogs by one statement in the run's first request,
 * judged here, and refused with the statement that mends it, before the first delete (R13, DELETION §12).
 */
import { z } from 'zod';
import type { Statement } from '../database';
import type { PermanentTable, Policy, TableName } from '../policies/contract';
import { goingDependants, goingFiles, ownFiles } from './files';
import { judgePartitioning, Partitioning, type Problem, partitioningFacts } from './fit-partitions';
import { name, Parameters, table, tableLabel, text } from './sql';

export type { Problem };

const Facts = z.object({
  relation: z
    .object({
      oid: z.coerce.string(),
      kind: z.string(),
      rls: z.boolean(),
      has_children: z.boolean(),
      has_rules: z.boolean(),
      may: z.boolean(),
      published: z.boolean(),
      replica_identity: z.string(),
    })
    .nullable(),
  columns: z.record(z.string(), z.string()),
  /** Columns of each valid index, in order, and its predicate. */
  indexes: z.array(
    z.object({ columns: z.array(z.string()), partial: z.string().nullable(), unique: z.boolean() }),
  ),
  /** Foreign keys of other tables that point here. */
  references: z.array(
    z.object({
      constraint: z.string(),
      table: z.string(),
      columns: z.array(z.string()),
      on_delete: z.string(),
      indexed: z.boolean(),
      /** Foreign keys that point at that table in turn and would cascade further. */
      cascades_on: z.array(z.string()),
    }),
  ),
  triggers: z.array(z.string()),
  /** Only of a partitioned policy. */
  partitioning: Partitioning.nullable().default(null),
  /** Tables the decision is read from that lack the gate trigger. */
  ungated: z.array(z.string()),
  /** Tables that rows leave by a batch and that lack the guard trigger, partitions as well. */
  unguarded: z.array(z.string()),
  /** By it the database counts what a batch deletes. */
  track_counts: z.boolean(),
});
export type Facts = z.infer<typeof Facts>;

const regclass = (t: TableName): string => `${name(t.schema)}.${name(t.name)}`;

/** One row `{ facts }`. */
export function catalogFacts(policy: Policy): Statement {
  const p = new Parameters();
  const rel = `to_regclass(${p.add(regclass(policy.table))})`;
  const writes = policy.strategy.kind === 'soft-delete' ? 'UPDATE' : 'DELETE';
  const judged = JSON.stringify(policy.tenants?.judgedBy.map(regclass) ?? []);
  const emptied = JSON.stringify(
    policy.strategy.kind === 'delete'
      ? [policy.table, ...goingDependants(policy).map((d) => d.table)].map(regclass)
      : [],
  );
  return p.statement(`with target as (select ${rel} as oid)
  select jsonb_build_object(
    'relation', (
      select jsonb_build_object('oid', c.oid::text, 'kind', c.relkind, 'rls', c.relrowsecurity,
        'has_children', exists (select 1 from pg_inherits where inhparent = c.oid),
        'has_rules', c.relhasrules and exists (select 1 from pg_rewrite w where w.ev_class = c.oid and w.ev_type = '4'),
        'may', has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, '${writes}'),
        'published', exists (select 1 from pg_publication_tables x where x.schemaname = n.nspname and x.tablename = c.relname),
        'replica_identity', case when c.relreplident = 'd' and not exists (
          select 1 from pg_index i where i.indrelid = c.oid and i.indisprimary) then 'none' else c.relreplident::text end)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target.oid),
    'columns', coalesce((select jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))
      from pg_attribute a where a.attrelid = target.oid and a.attnum > 0 and not a.attisdropped), '{}'),
    'indexes', coalesce((select jsonb_agg(jsonb_build_object('unique', i.indisunique,
        'columns', (select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]')
          from unnest(i.indkey::int2[]) with ordinality k(attnum, ord)
          left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum where k.ord <= i.indnkeyatts),
        'partial', pg_get_expr(i.indpred, i.indrelid)))
      from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
      where i.indrelid = target.oid and i.indisvalid and i.indisready and am.amname = 'btree'), '[]'),
    'references', coalesce((select jsonb_agg(jsonb_build_object('constraint', f.conname,
        'table', rn.nspname || '.' || r.relname, 'on_delete', f.confdeltype,
        'columns', (select jsonb_agg(a.attname order by k.ord) from unnest(f.conkey) with ordinality k(attnum, ord)
          join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum),
        'indexed', exists (select 1 from pg_index i where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null
          and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey
          and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] <@ f.conkey),
        'cascades_on', coalesce((select jsonb_agg(gn.nspname || '.' || gc.relname) from pg_constraint g
          join pg_class gc on gc.oid = g.conrelid join pg_namespace gn on gn.oid = gc.relnamespace
          where g.contype = 'f' and g.confrelid = f.conrelid and g.confdeltype = 'c' and g.conrelid <> f.conrelid), '[]')))
      from pg_constraint f join pg_class r on r.oid = f.conrelid join pg_namespace rn on rn.oid = r.relnamespace
      where f.contype = 'f' and f.confrelid = target.oid and f.conparentid = 0), '[]'),
    'triggers', coalesce((select jsonb_agg(g.tgname) from pg_trigger g
      where g.tgrelid = target.oid and not g.tgisinternal and g.tgenabled <> 'D' and (g.tgtype & 8) = 8
        and g.tgfoid is distinct from to_regprocedure('retention.guard_deletion()')), '[]'),
    ${policy.partitioned ? `'partitioning', ${partitioningFacts('target.oid')},` : ''}
    'track_counts', current_setting('track_counts') = 'on',
    'unguarded', coalesce((select jsonb_agg(format('%I.%I', cn.nspname, c.relname)) from jsonb_array_elements_text(${p.add(emptied, 'jsonb')}) x
      join pg_class c on c.oid = to_regclass(x) or c.oid in (select relid from pg_partition_tree(to_regclass(x)) where isleaf)
      join pg_namespace cn on cn.oid = c.relnamespace
      where c.relkind = 'r' and not exists (select 1 from pg_trigger g join pg_proc f on f.oid = g.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
        where g.tgrelid = c.oid and fn.nspname = 'retention' and f.proname = 'guard_deletion' and g.tgenabled <> 'D')), '[]'),
    'ungated', coalesce((select jsonb_agg(x) from jsonb_array_elements_text(${p.add(judged, 'jsonb')}) x
      where not exists (select 1 from pg_trigger g join pg_proc f on f.oid = g.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
        where g.tgrelid = to_regclass(x) and fn.nspname = 'retention' and f.proname = 'gate' and g.tgenabled <> 'D')), '[]')
  ) as facts from target`);
}

/** Everything that keeps this policy from deleting, each with what to run. Empty: fit. */
export function judgeFacts(policy: Policy, raw: unknown, permanent: readonly PermanentTable[]): Problem[] {
  const facts = Facts.parse(raw);
  const here = table(policy.table);
  const r = facts.relation;
  if (!r)
    return [
      { problem: `table ${here} does not exist`, remedy: 'create it, or correct `table` in the policy' },
    ];
  const problems: Problem[] = [];
  const say = (problem: string, remedy: string) => problems.push({ problem, remedy });

  if (policy.partitioned) {
    problems.push(...judgePartitioning(policy, r.kind, facts.partitioning));
  } else if (r.kind !== 'r') {
    say(
      `${here} is not a plain table (relkind ${r.kind})`,
      r.kind === 'p'
        ? 'say so in the policy: partitioned: { by: … }, or name a plain table'
        : 'name a plain table, or one that is partitioned',
    );
  }
  if (r.has_children && r.kind === 'r')
    say(`${here} has inheriting tables`, 'govern each of them by a policy of its own');
  if (r.rls) {
    say(
      `${here} has row-level security: Lapse would see a part and call it drained`,
      `ALTER ROLE <the role in DATABASE_URL> BYPASSRLS, or ALTER TABLE ${here} DISABLE ROW LEVEL SECURITY`,
    );
  }
  if (r.has_rules) say(`${here} has a rule ON DELETE`, 'drop the rule: it would replace the deletion');
  if (!r.may) {
    const right = policy.strategy.kind === 'soft-delete' ? 'UPDATE' : 'DELETE';
    say(`the role may not ${right} on ${here}`, `GRANT SELECT, UPDATE, DELETE ON ${here} TO lapse_app;`);
  }
  if (r.published && r.replica_identity === 'none') {
    say(`${here} is published without a replica identity`, `ALTER TABLE ${here} REPLICA IDENTITY FULL;`);
  }

  for (const column of wantedColumns(policy)) {
    if (!(column in facts.columns)) {
      say(`column ${name(column)} of ${here} does not exist`, 'correct the policy, or migrate the table');
    }
  }
  const clockType = facts.columns[policy.clock.column];
  const wanted = {
    timestamptz: 'timestamp with time zone',
    timestamp: 'timestamp without time zone',
    date: 'date',
  }[policy.clock.type];
  if (clockType && clockType.replace(/\(\d\)/, '') !== wanted) {
    say(
      `the clock ${name(policy.clock.column)} is ${clockType}, the policy says ${policy.clock.type}`,
      'correct clock.type in the policy',
    );
  }

  const unmarked =
    policy.strategy.kind === 'soft-delete' ? `(${plain(policy.strategy.column)} IS NULL)` : null;
  for (const rule of policy.rules) {
    if (rule.keepFor.seconds === null) continue;
    const first = policy.tenants ? [policy.tenants.column] : Object.keys(rule.match);
    const then = [...new Set([policy.clock.column, ...policy.key.map((k) => k.column)])];
    if (!facts.indexes.some((i) => serves(i, first, then, Object.values(rule.match).map(String), unmarked))) {
      const columns = [...first, ...then].map(name).join(', ');
      say(
        `${here} has no index on (${columns}): each batch would read the whole table`,
        `CREATE INDEX CONCURRENTLY ON ${here} (${columns});`,
      );
    }
    if (policy.tenants) break;
  }
  const key = policy.key.map((k) => k.column).sort();
  if (
    !facts.indexes.some((i) => i.unique && i.partial === null && [...i.columns].sort().join() === key.join())
  ) {
    say(
      `the key (${key.map(name).join(', ')}) of ${here} is not unique: a receipt could not name a row`,
      `CREATE UNIQUE INDEX CONCURRENTLY ON ${here} (${policy.key.map((k) => name(k.column)).join(', ')});`,
    );
  }

  for (const f of facts.references) {
    if (!f.indexed) {
      const [schema, relation] = split(f.table);
      say(
        `foreign key ${name(f.constraint)} of ${f.table} is not indexed: each deleted row would scan that table`,
        `CREATE INDEX CONCURRENTLY ON ${table({ schema, name: relation })} (${f.columns.map(name).join(', ')});`,
      );
    }
    if (policy.strategy.kind === 'delete') problems.push(...judgeReference(policy, f));
    if (f.on_delete === 'c' && permanent.some((t) => tableLabel(t.table) === f.table)) {
      say(
        `deleting from ${here} would cascade into ${f.table}, which is permanent`,
        'change that foreign key',
      );
    }
  }
  for (const trigger of facts.triggers.filter((t) => !policy.knownTriggers.includes(t))) {
    say(
      `trigger ${name(trigger)} fires on DELETE and is not declared: it could keep rows or delete others`,
      'read what it does, then name it in knownTriggers of the policy, or drop it',
    );
  }
  if (!facts.track_counts) {
    say(
      'the database does not count what it deletes (track_counts is off), so a receipt could not be held against it',
      'ALTER DATABASE <its name> SET track_counts = on;',
    );
  }
  for (const t of facts.unguarded) {
    say(
      `${t} has no guard: its rows could leave without a receipt, by the role of the app`,
      `SELECT retention.protect(${text(t)});`,
    );
  }
  for (const t of facts.ungated) {
    say(
      `${t} decides about rows of ${here} and has no gate: a change could be missed by a running batch`,
      `CREATE TRIGGER lapse_gate BEFORE INSERT OR UPDATE OR DELETE ON ${t} FOR EACH STATEMENT EXECUTE FUNCTION retention.gate();`,
    );
  }
  return problems;
}

/** Rows whose files could not follow them are not deleted: the files would be nobody's. */
export function judgeStore(policy: Policy, hasStore: boolean): Problem[] {
  const names = ownFiles(policy).length + goingDependants(policy).flatMap((d) => goingFiles(d.files)).length;
  if (hasStore || names === 0) return [];
  return [
    {
      problem: 'its rows name files, and BLOB_READ_WRITE_TOKEN is not set',
      remedy: 'set BLOB_READ_WRITE_TOKEN to the token of the store that holds them',
    },
  ];
}

function judgeReference(policy: Policy, f: Facts['references'][number]): Problem[] {
  const declared = policy.dependants.find(
    (d) => tableLabel(d.table) === f.table && d.references.join() === f.columns.join(),
  );
  if (!declared) {
    const effect = { c: 'go with the row', n: 'lose their reference', d: 'get its default' }[f.on_delete];
    return [
      {
        problem: `${f.table} (${f.columns.join(', ')}) references the table and is not declared: ${effect ? `its rows would ${effect}` : 'its rows would stop the deletion'}`,
        remedy: "declare it in dependants of the policy with fate 'delete', 'keep' or 'block'",
      },
    ];
  }
  if (declared.fate === 'keep' && f.on_delete !== 'n' && f.on_delete !== 'd') {
    return [
      {
        problem: `${f.table} is declared 'keep', but foreign key ${name(f.constraint)} does not let go of the row`,
        remedy: `recreate ${name(f.constraint)} with ON DELETE SET NULL, or declare 'delete' or 'block'`,
      },
    ];
  }
  if (declared.fate === 'delete' && f.cascades_on.length > 0) {
    return [
      {
        problem: `rows of ${f.cascades_on.join(', ')} would go with ${f.table} and be in no receipt`,
        remedy: `give ${f.table} a policy of its own and declare it 'block' here, or drop that cascade`,
      },
    ];
  }
  return [];
}

function wantedColumns(policy: Policy): string[] {
  return [
    policy.clock.column,
    ...policy.key.map((k) => k.column),
    ...policy.rules.flatMap((rule) => Object.keys(rule.match)),
    ...(policy.tenants ? [policy.tenants.column] : []),
    ...(policy.strategy.kind === 'soft-delete' ? [policy.strategy.column] : []),
    ...policy.files.flatMap((f) => [f.column, ...(f.bytes ? [f.bytes] : [])]),
    ...[policy.scope.organization, policy.scope.user].filter((c) => c !== undefined),
  ];
}

/** The index starts with `first` in any order (or is partial on their values), then the clock and the key in order. */
function serves(
  index: Facts['indexes'][number],
  first: readonly string[],
  then: readonly string[],
  values: readonly string[],
  unmarked: string | null,
): boolean {
  const rest = (from: number) => then.every((c, i) => index.columns[from + i] === c);
  // A soft delete's own batches only ask for rows that are not marked yet.
  const partial = index.partial === unmarked ? null : index.partial;
  if (partial !== null) {
    return values.length > 0 && [...first, ...values].every((word) => partial.includes(word)) && rest(0);
  }
  const head = index.columns.slice(0, first.length);
  return [...head].sort().join() === [...first].sort().join() && rest(first.length);
}

/** A name as PostgreSQL prints it in an index's predicate. */
const plain = (identifier: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(identifier) ? identifier : name(identifier);

function split(label: string): [string, string] {
  const dot = label.indexOf('.');
  return [label.slice(0, dot), label.slice(dot + 1)];
}
