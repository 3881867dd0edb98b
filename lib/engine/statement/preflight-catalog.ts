/**
 * The preflight's one statement: reads from the catalogs everything the checks judge, of the governed table, its
 * dependants, whatever their rows would take along at any depth, and every table a fragment of the policy asks.
 */
import { z } from 'zod';
import { oneRow, type Query, query } from '../../platform/query';
import {
  allOf,
  anyOf,
  constant,
  empty,
  id,
  inlined,
  list,
  raw,
  type Sql,
  sql,
  type TableName,
  tableId,
  typed,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { goingDependants, rowsLeave } from '../../policies/going';
import { parentTable } from '../../policies/hanging';
import { contentPolicies } from './content-policies';
import { belongs } from './files';
import { fileFacts } from './fit-files';
import { partitioningFacts } from './fit-partitions';
import { keptByLater } from './later';
import { byClock } from './legs/columns';
import { condition, isDue, isPast, unmarked, whereIndexed } from './predicate';

/** Tables by name: the governed one, the dependants, the tenants' own, those named in `judgedBy`; at last that of the clock, where it is another, or those that have a part in it. */
const tablesOf = (policy: Policy): TableName[] => [
  policy.table,
  ...policy.dependants.map((d) => d.table),
  ...(policy.tenants ? [policy.tenants.table] : []),
  ...judgedBy(policy),
  ...(policy.clock.in ? [policy.clock.in.table] : []),
  ...(policy.clock.orLaterIn ?? []).map((of) => of.table),
];

/** The tables that functions read which the preflight cannot look into. */
export const judgedBy = (policy: Policy): TableName[] => [
  ...(policy.judgedBy ?? []),
  ...(policy.tenants?.judgedBy ?? []),
];

/** What must be readable to tell an organization: where nobody can be told, rows may wait forever. */
function recipients({ to }: NonNullable<Policy['notice']>, tenants: NonNullable<Policy['tenants']>): Sql {
  const { table, key } = tenants;
  const columns = [to.address, ...(to.zone === undefined ? [] : [to.zone])];
  return sql`select ${list(...columns.map((c) => sql`${id('r', c)}::text`))} from ${tableId(to.table ?? table)} r
    where ${id('r', to.organization ?? key.column)} = null::${raw(key.type)}`;
}

/** The queries PostgreSQL plans, so that it says what each part of the policy asks, or why that part cannot stand. */
function fragmentsOf(policy: Policy): Record<string, string> {
  const governed = sql`from only ${tableId(policy.table)} t`;
  const matches = policy.rules.flatMap((r) =>
    Object.entries(r.match).map(([column, value]) => sql`${id('t', column)} = ${String(value)}`),
  );
  const { tenants } = policy;
  const later = keptByLater(policy, SOME_TIME);
  const parts: Record<string, Sql> = {
    ...(policy.where ? { where: sql`select 1 ${governed} where (${raw(policy.where)})` } : {}),
    ...(tenants
      ? { label: sql`select '{}'::jsonb ->> (${raw(tenants.label)}) from ${tableId(tenants.table)} o` }
      : {}),
    ...(tenants && policy.notice ? { notice: recipients(policy.notice, tenants) } : {}),
    ...(policy.clock.in ? { clock: sql`select 1 ${governed} where ${isPast(policy, SOME_TIME)}` } : {}),
    ...(later ? { clock: sql`select 1 ${governed} where ${later}` } : {}),
    ...(matches.length > 0 ? { match: sql`select 1 ${governed} where ${anyOf(...matches)}` } : {}),
    ...Object.fromEntries(
      policy.dependants.map((d, i) => [
        `dependants.${i}`,
        sql`select 1 from ${tableId(parentTable(d, policy))} t, ${tableId(d.table)} d where ${belongs(d, policy)}`,
      ]),
    ),
  };
  return Object.fromEntries(Object.entries(parts).map(([part, asked]) => [part, inlined(asked)]));
}

/** The walk of each rule, or of a tenant, as PostgreSQL plans it. */
function walksOf(policy: Policy): Record<string, string> {
  const t = sql`only ${tableId(policy.table)}`;
  const walk = (where: Sql | null, ...first: Sql[]) =>
    inlined(sql`select 1 from ${t} t where ${allOf(...first, !policy.clock.in && isDue(policy, SOME_TIME), unmarked(policy), where)}
      order by ${byClock(policy)} limit 1`);
  const { tenants } = policy;
  // A value that the planner does not know.
  const each = tenants
    ? [[sql`${id('t', tenants.column)} = (select null::${raw(tenants.key.type)})`]]
    : policy.rules.map((rule) =>
        Object.entries(rule.match).map(([c, value]) => sql`${id('t', c)} = ${String(value)}`),
      );
  const where = condition(policy);
  return Object.fromEntries(
    each.flatMap((first, i) => [
      [String(i), walk(whereIndexed(policy), ...first)],
      ...(where && !policy.whereIndexed ? [[withWhere(i), walk(where, ...first)]] : []),
    ]),
  );
}
/** The same walk with the policy's `where`: an index may have exactly such rows. */
export const withWhere = (i: number): string => `${i} where`;
const SOME_TIME = sql`'2020-01-01Z'::timestamptz`;

const typesOf = (policy: Policy): string[] => [
  ...new Set([
    ...[...policy.key, ...policy.dependants.flatMap((d) => d.key)].flatMap((k) => k.type ?? []),
    ...(policy.tenants ? [policy.tenants.key.type] : []),
  ]),
];

/** Judged by lib/engine/statement/preflight.ts, whatever form it has. */
const Answer = z.object({ facts: z.unknown() }).transform((row) => row.facts);

/** CatalogFacts of lib/engine/statement/preflight-facts.ts; beside them, under `contents`, the same of each content of the policy. */
export function catalogFacts(policy: Policy): Query<unknown> {
  const contents = contentPolicies(policy);
  if (contents.length === 0) return query(factsOf(policy), oneRow(Answer));
  const each = list(...contents.map((content) => sql`(${factsOf(content)})`));
  return query(
    sql`select (${factsOf(policy)}) || jsonb_build_object('contents', jsonb_build_array(${each})) as facts`,
    oneRow(Answer),
  );
}

function factsOf(policy: Policy): Sql {
  const going = new Set<TableName>([
    ...(rowsLeave(policy) ? [policy.table] : []),
    ...goingDependants(policy).map((d) => d.table),
  ]);
  const asked = tablesOf(policy).map((t, n) => ({ n, schema: t.schema, name: t.name, goes: going.has(t) }));
  const given = (value: unknown) => typed(JSON.stringify(value), 'jsonb');
  const partitioning = policy.partitioned
    ? sql`, 'partitioning', ${partitioningFacts(sql`(select oid from asked where n = 0)`)}`
    : empty;
  return sql`with recursive ${reach(given(asked))},
  ${asking(given(fragmentsOf(policy)))},
  ${walking(policy, given(walksOf(policy)))},
  ${looking}
  select jsonb_build_object(
    'role', current_user,
    'track_counts', current_setting('track_counts') = 'on',
    'declared', (select jsonb_agg(case when oid is not null then jsonb_build_object('oid', oid::text, 'root', root::text) end order by n) from asked),
    'relations', coalesce((select jsonb_agg(x.facts || x.called || jsonb_build_object('parts', x.parts) order by x.label) from described x where x.k <= ${constant(OF_A_KIND)} or x.own), '[]'),
    'references', coalesce((select jsonb_agg(${FOREIGN_KEY} order by f.conname) from links f
      where f.to_root in (select root from going union select root from asked where n = 0)), '[]'),
    'types', (select coalesce(jsonb_object_agg(y.t, to_regtype(y.t)::oid::text), '{}') from jsonb_array_elements_text(${given(typesOf(policy))}) y(t)),
    'walks', (select coalesce(jsonb_object_agg(w.part, ${WALK}), '{}') from walks w),
    'fragments', (select coalesce(jsonb_object_agg(q.part, ${FRAGMENT}), '{}') from plans q),
    'files', ${fileFacts(policy)}
    ${partitioning}
  ) as facts`;
}

/** Partitions of one kind that are described: a line each, or one for all where there are more than three of a kind. */
const OF_A_KIND = 4;

const rootOf = (oid: Sql): Sql => sql`coalesce(pg_partition_root(${oid})::oid, ${oid})`;

/** CTEs `asked`, `links` (all foreign keys, those of partitions only where they are not the root's) and `going`. */
const reach = (tables: Sql): Sql => sql`asked as materialized (
    select d.n, d.goes, c.oid, ${rootOf(sql`c.oid`)} as root
    from jsonb_to_recordset(${tables}) d(n int, schema text, name text, goes boolean)
    left join (pg_class c join pg_namespace s on s.oid = c.relnamespace)
      on s.nspname = d.schema and c.relname = d.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
  ),
  links as materialized (
    select f.*, ${rootOf(sql`f.conrelid`)} as from_root, ${rootOf(sql`f.confrelid`)} as to_root
    from pg_constraint f where f.contype = 'f' and f.conparentid = 0
  ),
  going(root) as (
    select root from asked where goes and oid is not null
    union
    select f.from_root from going g join links f on f.to_root = g.root and f.confdeltype = 'c'
  )`;

/** CTEs `plans` and `reading`: the tables that stand in them. */
const asking = (fragments: Sql): Sql => sql`plans as materialized (
    select q.key as part, q.value as query, retention.explained(q.value) as x from jsonb_each_text(${fragments}) q
  ),
  reading as materialized (
    select distinct q.part, c.oid, ${rootOf(sql`c.oid`)} as root, n ->> 'Alias' as alias
    from plans q cross join lateral jsonb_path_query(q.x -> 'plan', 'strict $.** ? (exists (@."Relation Name"))') n
    join pg_namespace s on s.nspname = n ->> 'Schema' join pg_class c on c.relnamespace = s.oid and c.relname = n ->> 'Relation Name'
  )`;

/** CTE `walks`; of a partitioned table, whose rows lie in its partitions, the walk of one of them. */
const walking = (policy: Policy, walks: Sql): Sql => sql`leaf as materialized (
    select t.relid from asked a cross join lateral retention.parts_of(a.oid) t where a.n = 0 and t.isleaf and t.level > 0 limit 1
  ),
  walks as materialized (
    select q.key as part, retention.planned_walk(
      coalesce(replace(q.value, ${tableId(policy.table).text}, (select relid::regclass::text from leaf)), q.value)) as x
    from jsonb_each_text(${walks}) q
  )`;

/** Of a partition, its columns are its root's, and its indexes count where rows are looked up in it. */
const isWhole = sql`(x.oid = x.root or x.oid in (select oid from asked))`;

const names = (
  array: Sql,
  relation: Sql,
): Sql => sql`(select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]')
        from unnest(${array}) with ordinality k(attnum, ord)
        left join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.attnum and k.attnum > 0)`;

/** Whether index `i` reads column `a` of `x`, as a column of it or within an expression. */
const OF_COLUMN = sql`(a.attnum = any(i.indkey::int2[]) or exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass
          and d.objid = i.indexrelid and d.refclassid = 'pg_class'::regclass and d.refobjid = x.oid and d.refobjsubid = a.attnum))`;

/** What the type of column `a` is below every domain: one may be made of another. Each is looked up by its oid. */
const BASE = sql`(select case when d.typtype <> 'd' then d.oid else (with recursive y(oid, below) as (
          select d.oid, d.typbasetype
          union all
          select t.oid, t.typbasetype from y cross join lateral (select * from pg_type where oid = y.below offset 0) t where y.below <> 0)
        select y.oid from y where y.below = 0) end
      from pg_type d where d.oid = a.atttypid)`;

/** A NOT NULL that was never validated (PostgreSQL 18) keeps no old NULL out. */
const COLUMN = sql`jsonb_build_object('type', format_type(a.atttypid, a.atttypmod), 'plain', format_type(a.atttypid, null),
      'type_oid', a.atttypid::text, 'base_oid', ${BASE}::text, 'base', format_type(${BASE}, null),
      'may_update', has_column_privilege(x.oid, a.attnum, 'UPDATE'),
      'not_null', a.attnotnull and not exists (select 1 from pg_constraint k
        where k.conrelid = x.oid and k.contype = 'n' and k.conkey = array[a.attnum] and not k.convalidated),
      'generated', a.attgenerated <> '' or a.attidentity <> '',
      'unique', exists (select 1 from pg_index i where i.indrelid = x.oid and i.indisunique and ${OF_COLUMN}),
      'primary', exists (select 1 from pg_index i where i.indrelid = x.oid and i.indisprimary and a.attnum = any(i.indkey::int2[])),
      'names_files', exists (select 1 from pg_index i
        where i.indrelid = x.oid and pg_get_expr(i.indexprs, i.indrelid) like '%blob_path(%' and ${OF_COLUMN}),
      'constraints', (select coalesce(jsonb_agg(jsonb_build_object('name', k.conname, 'kind', k.contype) order by k.conname), '[]')
        from pg_constraint k where k.conrelid = x.oid and k.contype in ('c', 'f', 'x') and a.attnum = any(k.conkey)))`;

const INDEX = sql`jsonb_build_object('unique', i.indisunique, 'method', am.amname, 'partial', pg_get_expr(i.indpred, i.indrelid),
      'columns', ${names(sql`(i.indkey::int2[])[0:i.indnkeyatts - 1]`, sql`i.indrelid`)})`;

/** What a root hands down to its partitions counts as internal before PostgreSQL 15. */
const TRIGGER = sql`jsonb_build_object('name', g.tgname, 'schema', fn.nspname, 'function', fp.proname, 'each_row', (g.tgtype & 1) = 1,
      'conditional', g.tgqual is not null, 'columns', ${names(sql`g.tgattr::int2[]`, sql`x.oid`)},
      'on', to_jsonb(array_remove(array[case when (g.tgtype & 4) = 4 then 'insert' end, case when (g.tgtype & 16) = 16 then 'update' end,
        case when (g.tgtype & 8) = 8 then 'delete' end], null)))`;

const CALLED = sql`jsonb_build_object('oid', x.oid::text, 'root', x.root::text, 'schema', s.nspname, 'name', c.relname)`;

const RELATION = sql`jsonb_build_object('kind', c.relkind,
      'has_heirs', exists (select 1 from pg_inherits h join pg_class hc on hc.oid = h.inhrelid where h.inhparent = x.oid and not hc.relispartition),
      'rls', row_security_active(x.oid),
      'rules', coalesce((select jsonb_agg(jsonb_build_object('name', w.rulename,
          'on', case w.ev_type when '1' then 'select' when '2' then 'update' when '3' then 'insert' else 'delete' end))
        from pg_rewrite w where w.ev_class = x.oid and w.ev_enabled <> 'D'), '[]'),
      'may', jsonb_build_object('use', has_schema_privilege(s.oid, 'USAGE'), 'select', has_table_privilege(x.oid, 'SELECT'),
        'delete', has_table_privilege(x.oid, 'DELETE'), 'update', has_any_column_privilege(x.oid, 'UPDATE')),
      'unidentified', c.relkind = 'r'
        and (c.relreplident = 'n' or c.relreplident = 'd' and not exists (select 1 from pg_index i where i.indrelid = x.oid and i.indisprimary))
        and exists (select 1 from published b join pg_namespace bs on bs.nspname = b.schemaname
          join pg_class bc on bc.relnamespace = bs.oid and bc.relname = b.tablename where bc.oid in (x.oid, x.root)),
      'columns', case when ${isWhole} then (select coalesce(jsonb_object_agg(a.attname, ${COLUMN}), '{}')
        from pg_attribute a where a.attrelid = x.oid and a.attnum > 0 and not a.attisdropped) else '{}' end,
      'indexes', case when ${isWhole} or x.root <> (select root from asked where n = 0) or x.oid in (select f.conrelid from links f) then (select coalesce(jsonb_agg(${INDEX}), '[]')
        from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
        where i.indrelid = x.oid and i.indisvalid and i.indisready and am.amname in ('btree', 'hash')) else '[]' end,
      'triggers', coalesce((select jsonb_agg(${TRIGGER} order by g.tgname)
        from pg_trigger g join pg_proc fp on fp.oid = g.tgfoid join pg_namespace fn on fn.oid = fp.pronamespace
        where g.tgrelid = x.oid and (not g.tgisinternal or g.tgparentid <> 0) and g.tgenabled in ('O', 'A')
          and (g.tgparentid = 0 or fn.nspname = 'retention')), '[]'))`;

/**
 * CTEs `parts`, every relation to be described, `published`, and `described`: of partitions of which nothing is different but the
 * name, and none is spoken of by itself (`own`), the first few stand for the others.
 */
const looking = sql`wanted as materialized (
    select root from asked where oid is not null union select root from going union select root from reading
    union select f.from_root from links f join going g on f.to_root = g.root
    union select f.from_root from links f join asked a on a.n = 0 and f.to_root = a.root
  ),
  parts as materialized (
    select root as oid, root from wanted
    union select t.relid::oid, w.root from wanted w cross join lateral retention.parts_of(w.root) t
  ),
  published as materialized (
    select schemaname, tablename from pg_publication_tables where exists (select 1 from pg_publication)
  ),
  described as materialized (
    select y.*, row_number() over (partition by y.root, y.own, y.facts order by y.label) as k, count(*) over (partition by y.root) as parts from (
      select x.root, ${CALLED} as called, ${RELATION} as facts, s.nspname || '.' || c.relname as label,
        x.oid = x.root or x.oid in (select a.oid from asked a where a.oid is not null) or x.oid in (select r.oid from reading r)
          or x.oid in (select f.conrelid from links f) or x.oid in (select f.confrelid from links f) as own
      from parts x join pg_class c on c.oid = x.oid join pg_namespace s on s.oid = c.relnamespace
    ) y
  )`;

const WALK = sql`(select coalesce(jsonb_agg(jsonb_build_object('node', n -> 'Node Type', 'filter', n -> 'Filter')), '[]')
        from jsonb_path_query(w.x -> 'plan', 'strict $.** ? (exists (@."Node Type"))') n)`;

const FOREIGN_KEY = sql`jsonb_build_object('name', f.conname, 'at', f.conrelid::text, 'from', f.from_root::text, 'to', f.to_root::text,
      'columns', ${names(sql`f.conkey`, sql`f.conrelid`)}, 'to_columns', ${names(sql`f.confkey`, sql`f.confrelid`)}, 'on_delete', f.confdeltype)`;

/** Every word in front of a bracket, in what was written and in what PostgreSQL made of it, that is the name of such a function. */
const FRAGMENT = sql`jsonb_build_object('state', q.x -> 'state', 'message', q.x -> 'message',
      'reads', (select coalesce(jsonb_agg(jsonb_build_object('oid', r.oid::text, 'root', r.root::text, 'alias', r.alias)), '[]') from reading r where r.part = q.part),
      'calls', (select coalesce(jsonb_agg(distinct fn.nspname || '.' || fp.proname), '[]') from pg_proc fp join pg_namespace fn on fn.oid = fp.pronamespace
        where fp.provolatile <> 'i' and fn.nspname not in ('pg_catalog', 'information_schema') and fp.proname in (
          select coalesce(replace(m[1], '""', '"'), lower(m[2])) from (
            select q.query as said union all select v #>> '{}' from jsonb_path_query(q.x -> 'plan', 'strict $.** ? (@.type() == "string")') v
          ) y cross join lateral regexp_matches(y.said, '(?:"((?:[^"]|"")+)"|([[:alpha:]_][[:alnum:]_$]*))\\s*\\(', 'g') m)))`;
