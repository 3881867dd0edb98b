/**
 * The deleting statement, of the same named parts in every shape: what goes (`gone`), what goes along (`d0` …), its files
 * (`queued`), their `totals`, what was looked at (`seen`), the tenants' own totals, and the receipt, which the database
 * writes within the same statement (retention.write_receipt): no receipt, no deletion.
 */
import {
  cte,
  empty,
  id,
  isUuid,
  jsonObject,
  keyAsText,
  list,
  literal,
  type Sql,
  sql,
  summed,
  tableLabel,
  typed,
  united,
  withParts,
} from '../../platform/sql';
import { contentsOf } from '../../policies/contents';
import type { Policy } from '../../policies/contract';
import { goingFiles, ownFiles, rowsLeave } from '../../policies/going';
import { unlikeAlong, versionOf } from './archived';
import { change, changeAlong } from './change';
import { contentsGone } from './contents';
import { bytesOf, capped, ENTRY_COLUMNS, fileColumns, fileRows, MOST_BYTES } from './files';
import type { Batch } from './request';
import type { Along, Shape } from './shapes/shape';

/** `answer`: the deletion's figures unless given. */
export const deleting = (b: Batch, shape: Shape, answer = FIGURES): Sql => sql`${withParts(
  ...shape.lead,
  gone(b, shape),
  ...(shape.along ?? []).map((along, i) => goneAlong(b, along, i)),
  ...contentsGone(b.policy, shape, self(b.policy)),
  ...unlikeAlong(b, shape),
  queued(b, shape),
  totals(b, shape),
  ...shape.seen,
  countsTenants(b.policy) && tenantTotals(b, shape),
)}select ${answer}
  from totals x cross join seen s${unlikeAlong(b, shape).length > 0 ? sql` cross join unlike` : empty}${bound(shape)} cross join lateral ${receipt(b, shape)} r`;

/** Rows that nobody has counted before are counted now, and all of them stay where there were too many. */
const bound = ({ most }: Shape): Sql =>
  most === undefined
    ? empty
    : sql` cross join lateral retention.refuse_more(x.deleted + x.dependants_deleted, ${typed(most, 'bigint')}) m`;

/** What a batch says of itself. */
const FIGURES = sql`s.picked, x.deleted, x.dependants_deleted, x.files, x.bytes, x.by_rule, s.kept, s.after`;

/** Bytes and rows of each organization, summed up over the run's batches (G4). */
const countsTenants = (policy: Policy): boolean => policy.tenants !== undefined && rowsLeave(policy);

const self = (policy: Policy) => ({ alias: 't', scope: policy.scope, key: keyAsText('t', policy.key) });

/** Part `gone(c, key, bytes, …)`: place and key of each row, the size of its files, and the files themselves. */
const gone = ({ policy, walk }: Batch, { rows, using, labels }: Shape): Sql =>
  cte(
    'gone',
    change(
      policy,
      rows,
      list(
        sql`t.ctid as c`,
        sql`${isUuid(policy.key) ? id('t', policy.key[0]!.column) : keyAsText('t', policy.key)} as key`,
        sql`(${bytesOf('t', ownFiles(policy))})::bigint as bytes`,
        labels === 'gone' && (walk.ownLabel === null || countsTenants(policy)) && sql`${walk.label} as label`,
        countsTenants(policy) && sql`${id('t', policy.tenants!.column)}::text as tenant`,
        fileColumns(ownFiles(policy), [self(policy)]),
      ),
      using,
    ),
  );

const goneAlong = ({ request, policy }: Batch, { place, using, where, root }: Along, i: number): Sql =>
  cte(
    `d${i}`,
    changeAlong(
      place.table,
      using,
      where,
      list(
        sql`${root} as c`,
        sql`${keyAsText('d', place.key)} as key`,
        sql`(${bytesOf('d', place.files)})::bigint as bytes`,
        request.archived && sql`${versionOf('d')} as version`,
        fileColumns(place.files, [
          { alias: 'd', scope: place.scope, key: keyAsText('d', place.key) },
          self(policy),
        ]),
      ),
    ),
  );

interface Went {
  readonly label: string;
  readonly relation: Sql;
  readonly files: Along['place']['files'];
}

/** Whether its rows name files that go, with their size. */
const hasBytes = ({ files }: Went): boolean => goingFiles(files).some((f) => f.bytes !== undefined);

/** What leaves another table with the rows: dependants, then what the rows were the last to refer to. */
function along(policy: Policy, { along: those = [] }: Shape): Went[] {
  const named = (relation: string) => (d: Pick<Along['place'], 'table' | 'files'>, i: number) => ({
    label: tableLabel(d.table),
    relation: id(`${relation}${i}`),
    files: d.files,
  });
  return [...those.map((a) => a.place).map(named('d')), ...contentsOf(policy).map(named('c'))];
}

/** Part `queued`: a row for each file that was handed to the outbox. */
function queued({ request, policy }: Batch, shape: Shape): Sql {
  const label = literal(tableLabel(policy.table));
  const files = [
    ...fileRows(sql`gone`, label, ownFiles(policy)),
    ...along(policy, shape).flatMap((d) => fileRows(d.relation, literal(d.label), d.files, label)),
  ];
  if (files.length === 0) return cte('queued', sql`select 1 where false`);
  const batch = list(typed(request.runId, 'uuid'), typed(request.seq, 'int'), typed(policy.name, 'text'));
  return cte(
    'queued',
    sql`insert into retention.outbox (run, seq, policy, ${ENTRY_COLUMNS})
      select ${batch}, f.* from (${united(files)}) f order by url returning 1`,
  );
}

/** Part `totals`, one row. */
function totals(b: Batch, shape: Shape): Sql {
  const children = along(b.policy, shape);
  // A table that rows leave on several ways is named once.
  const keysOfAll = [...new Set(children.map((d) => d.label))].map((label) => {
    const keys = united(
      children.filter((d) => d.label === label).map((d) => sql`select key from ${d.relation}`),
    );
    return sql`${literal(label)}, coalesce((select jsonb_agg(key) from (${keys}) k), '[]')`;
  });
  const ofAll = (what: Sql) => summed(children.map((d) => sql`(select ${what} from ${d.relation})`));
  const bytesOfAll = summed(
    children.filter(hasBytes).map((d) => sql`(select coalesce(sum(bytes), 0) from ${d.relation})`),
  );
  return cte(
    'totals',
    sql`
    select ${list(
      sql`count(*) as deleted`,
      isUuid(b.policy.key)
        ? sql`coalesce(string_agg(uuid_send(key), ''::bytea), '') as keys`
        : sql`coalesce(array_agg(key), '{}') as keys`,
      sql`${ofAll(sql`count(*)`)} as dependants_deleted`,
      sql`${jsonObject(keysOfAll)} as dependants`,
      sql`${capped(sql`coalesce(sum(bytes), 0) + ${bytesOfAll}`)} as bytes`,
      sql`(select count(*) from queued) as files`,
      sql`${byRule(b, shape)} as by_rule`,
    )} from gone
  `,
    true,
  );
}

/** Relation `(c, bytes, n)`: every row that went, by the place of the governed row it went with; `n` counts that row itself. */
const went = (policy: Policy, shape: Shape): Sql =>
  united([
    sql`select c, bytes, 1 as n from gone`,
    ...along(policy, shape).map((d) => sql`select c, bytes, 0 as n from ${d.relation}`),
  ]);

/** The same with label, and tenant where there are tenants. */
function labeled(policy: Policy, shape: Shape): Sql {
  const tenant = countsTenants(policy) && sql`g.tenant`;
  if (shape.labels === 'gone') return sql`select ${list(sql`g.label`, tenant)}, g.bytes, 1 as n from gone g`;
  if (shape.hasOwners)
    return sql`select ${list(sql`g.label`, tenant)}, x.bytes, x.n from (${went(policy, shape)}) x join owners g using (c)`;
  return sql`select ${list(sql`l.label`, tenant)}, x.bytes, x.n from (${went(policy, shape)}) x join gone g using (c) join locked l using (c)`;
}

/** A row that stays has another place after it was changed: it is counted from what was locked. */
const labeledThere = (policy: Policy, shape: Shape): Sql =>
  united([
    sql`select label, 0::bigint as bytes, 1 as n from locked`,
    ...along(policy, shape).map(
      (d) =>
        sql`select l.label, d.bytes, 0 from ${d.relation} d join ${id(shape.hasOwners ? 'owners' : 'locked')} l using (c)`,
    ),
  ]);

function byRule({ policy, walk }: Batch, shape: Shape): Sql {
  const entry = (n: Sql, bytes: Sql) => sql`jsonb_build_object('deleted', ${n}, 'bytes', ${capped(bytes)})`;
  if (walk.ownLabel !== null) {
    const bytes = summed([
      sql`coalesce(sum(bytes), 0)`,
      ...along(policy, shape)
        .filter(hasBytes)
        .map((d) => sql`(select coalesce(sum(bytes), 0) from ${d.relation})`),
    ]);
    // Rows may go before the one they go with.
    const none = summed([
      sql`count(*)`,
      ...(shape.hasOwners ? along(policy, shape).map((d) => sql`(select count(*) from ${d.relation})`) : []),
    ]);
    return sql`case when ${none} = 0 then '{}' else jsonb_build_object(${walk.label}, ${entry(sql`count(*)`, bytes)}) end`;
  }
  const rows = rowsLeave(policy) ? labeled(policy, shape) : labeledThere(policy, shape);
  const labels = sql`select x.label, sum(x.n) as n, coalesce(sum(x.bytes), 0) as bytes from (${rows}) x group by 1`;
  return sql`coalesce((select jsonb_object_agg(r.label, ${entry(sql`r.n`, sql`r.bytes`)}) from (${labels}) r), '{}')`;
}

const tenantTotals = ({ request, policy }: Batch, shape: Shape): Sql =>
  cte(
    'tenant_totals',
    sql`
    insert into retention.tenant_total as tt (run, tenant, label, deleted, bytes)
    select ${typed(request.runId, 'uuid')}, x.tenant, x.label, sum(x.n), ${capped(sql`coalesce(sum(x.bytes), 0)`)}
    from (${labeled(policy, shape)}) x group by 2, 3 order by 2, 3
    on conflict (run, tenant, label) do update set deleted = tt.deleted + excluded.deleted, bytes = least(tt.bytes + excluded.bytes, ${MOST_BYTES})
  `,
  );

/** Children whose parent a trigger kept make a receipt too, so that the counts differ, and by the row at fault. */
function receipt({ request, policy, strategy, walk }: Batch, { locked }: Shape): Sql {
  const keys = isUuid(policy.key) ? sql`null, x.keys` : sql`x.keys, null`;
  return sql`retention.write_receipt(${list(
    typed(request.runId, 'uuid'),
    typed(request.seq, 'int'),
    literal(strategy.action),
    typed(request.reason, 'text'),
    walk.asOf,
    literal(tableLabel(policy.table)),
    keys,
    sql`x.dependants, x.by_rule`,
    locked,
    sql`x.deleted, x.dependants_deleted, x.files, x.bytes, s.picked, s.kept, s.after`,
  )})`;
}
