/**
 * The one place that deletes. A batch is one request and one transaction:
 * session → enter_batch (constraints immediate, locks, fence, count before) → pick, judge and lock, delete,
 * receipt, outbox → counts compared, also the database's own of every table (migrations/functions/net.sql).
 * With dependants the rows are locked in a statement of their own first, so that the deleting statement sees
 * every child that exists: a locked parent gets no new ones (DELETION §2).
 * A row leaves only by the `delete` below, and only into a receipt written by the same statement.
 */
import { z } from 'zod';
import type { Row, Statement } from '../../platform/database';
import { KEPT_REASONS } from '../../platform/outcome';
import { session } from '../../platform/session';
import {
  isUuid,
  keysFrom,
  keyText,
  name,
  Parameters,
  sameKey,
  table,
  tableLabel,
  text,
} from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
import { declaresTriggers, goingDependants, mayStay, ownFiles } from '../../policies/going';
import { belongs, bytesOf, capped, ENTRY_COLUMNS, fileColumns, fileRows, MOST_BYTES } from './files';
import { type Blocks, unindexed, withinBlocks } from './heap';
import { type Leg, labelOf, Position } from './leg';
import { cutShort, picking, progress, reasons, walkOrder } from './pick';
import { expired, governed, held, mayGo, staysBecause } from './predicate';
import { Pressure, SEEN_PRESSURE } from './pressure';

export interface BatchOrder {
  readonly policy: Policy;
  readonly version: string;
  readonly runId: string;
  readonly fence: string;
  readonly seq: number;
  readonly leg: Leg;
  readonly position: Position | null;
  /** Rows that are looked at. */
  readonly limit: number;
  /** At most so many of them go, the first in the order of the walk; the next batch looks at the rest again. */
  readonly most?: number;
  readonly asOf: string;
  readonly actor: string;
  readonly reason: string;
  readonly statementTimeoutMs: number;
  /** Walk these blocks of the table instead of the index; `position` and `limit` do not count then. */
  readonly blocks?: Blocks;
}

const count = z.coerce.number().int().nonnegative();
export const BatchResult = z.object({
  picked: count,
  deleted: count,
  dependants_deleted: count,
  files: count,
  bytes: count,
  by_rule: z.record(z.string(), z.object({ deleted: count, bytes: count })),
  kept: z.partialRecord(z.enum(KEPT_REASONS), count),
  /** `ended`: this leg has nothing after what was picked. */
  after: Position.extend({ ended: z.boolean() }),
  /** What else goes on at the server; not in a receipt. */
  pressure: Pressure.prefault({}),
  /** What deciding and deleting took at the server, in milliseconds, without what each batch costs whatever its size; null when read from a receipt. */
  statement_ms: z.coerce.number().nonnegative().nullable().default(null),
});
export type BatchResult = z.infer<typeof BatchResult>;

/** The statements of one batch, and how to read their answer. */
export function batch(order: BatchOrder): {
  statements: Statement[];
  read: (rows: readonly Row[][]) => BatchResult;
} {
  const deciding =
    goingDependants(order.policy).length > 0 ? [lockFirst(order), thenDelete(order)] : [atOnce(order)];
  const statements = [session(order.statementTimeoutMs), enter(order), ...deciding, confirm(order)];
  return { statements, read: (rows) => BatchResult.parse({ ...rows.at(-2)?.[0], ...rows.at(-1)?.[0] }) };
}

export const enter = (order: BatchOrder): Statement => ({
  text: `select retention.enter_batch($1, $2::bigint, $3::uuid, $4::int, $5), set_config('lapse.entered', clock_timestamp()::text, true)`,
  params: [order.policy.name, order.fence, order.runId, order.seq, order.version],
});

function atOnce(order: BatchOrder): Statement {
  const p = new Parameters();
  const asOf = p.add(order.asOf, 'timestamptz');
  if (isPlain(order)) return p.statement(`with ${remove(order, asOf, p)}`);
  return p.statement(`with ${pickAndLock(order, asOf, p)},
  ${seen(order, asOf, p)},
  ${remove(order, asOf, p)}`);
}

/**
 * A block range without dependants needs no locks taken first: the delete itself carries the whole predicate,
 * and PostgreSQL judges it again on any version that is newer than the one it saw (DELETION §2).
 */
const isPlain = (order: BatchOrder): boolean =>
  order.blocks !== undefined &&
  !order.blocks.skipLocked &&
  order.policy.strategy.kind === 'delete' &&
  goingDependants(order.policy).length === 0;

function lockFirst(order: BatchOrder): Statement {
  const p = new Parameters();
  const asOf = p.add(order.asOf, 'timestamptz');
  return p.statement(`with ${pickAndLock(order, asOf, p)},
  ${seen(order, asOf, p)}
  select set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true),
    set_config('lapse.labels', coalesce((select array_agg(label)::text from locked), '{}'), true),
    set_config('lapse.seen', (select to_jsonb(seen)::text from seen), true)`);
}

function thenDelete(order: BatchOrder): Statement {
  const p = new Parameters();
  const asOf = p.add(order.asOf, 'timestamptz');
  const rows = `current_setting('lapse.rows')::tid[]`;
  return p.statement(`with locked as materialized (
    select t.ctid as c, l.label from only ${table(order.policy.table)} t
    join unnest(${rows}, current_setting('lapse.labels')::text[]) l(c, label) on l.c = t.ctid
    where t.ctid = any(${rows}) and ${token(order, p)} and not ${held(order.policy)}
  ),
  seen as materialized (
    select s.picked, s.kept, s.after from jsonb_to_record(current_setting('lapse.seen')::jsonb) s(picked int, kept jsonb, after jsonb)
  ),
  ${remove(order, asOf, p)}`);
}

/** Demands statement 3: without enter_batch, or with another batch's, nothing matches. */
const token = (order: BatchOrder, p: Parameters): string =>
  `current_setting('lapse.batch', true) = ${p.add(`${order.runId}:${order.seq}`)}`;

export function pickAndLock(order: BatchOrder, asOf: string, p: Parameters): string {
  const { policy, leg } = order;
  const ownLabel = labelOf(leg);
  const label = ownLabel === null ? 'w.label' : p.add(ownLabel, 'text');
  if (order.blocks) {
    return `locked as materialized (
    select t.ctid as c, ${label} as label from ${governed(policy, leg)}
    where ${withinBlocks(order.blocks, p)} and ${token(order, p)}
      and ${unindexed(mayGo(policy, leg, asOf, p))}
    for update of t skip locked
  )`;
  }
  return `${picking(policy, leg, order.position, order.limit, asOf, p)},
  locked as materialized (
    select t.ctid as c, ${label} as label from ${governed(policy, leg)}
    where t.ctid = any(array(select c from picked)) and ${token(order, p)}
      and ${mayGo(policy, leg, asOf, p)}
    ${order.most === undefined ? '' : `order by ${walkOrder(policy, leg)} limit ${p.add(order.most, 'bigint')}\n    `}for update of t skip locked
  )`;
}

/** CTEs `at`, `stayed` and `seen`: what was looked at, why the others stay, and where the leg goes on. */
function seen(order: BatchOrder, asOf: string, p: Parameters): string {
  const { policy, leg, blocks } = order;
  if (blocks) {
    // What stays is counted by the index sweep that follows every heap walk.
    const after = { ended: blocks.to >= blocks.end, clock: null, key: [], block: blocks.to };
    return `seen as materialized (
    select ${isPlain(order) ? 'deleted::int as picked' : 'count(*)::int as picked'}, '{}'::jsonb as kept,
      ${p.add(JSON.stringify(after), 'jsonb')} as after from ${isPlain(order) ? 'totals' : 'locked'}
  )`;
  }
  // Rows that stay are looked at again only when there are any; what may go and is not locked is busy.
  const looked = order.most === undefined ? 'picked' : 'looked';
  return `${order.most === undefined ? '' : `${cutShort(policy, leg, order.most, p)},\n  `}${progress(policy, leg, order.limit, p, looked)},
  stayed as materialized (
    select coalesce(${staysBecause(policy, leg, asOf, p)}, 'busy') as reason, count(*) as n
    from ${governed(policy, leg)}
    where (select picked from at) <> (select count(*) from locked)
      and t.ctid = any(array(select c from ${looked} except all select c from locked))
    group by 1
  ),
  seen as materialized (select at.picked, ${reasons('stayed')} as kept, at.after from at)`;
}

/** From `locked(c, label)` and `seen` to the receipt and the answer; another answer where one is given. */
export function remove(order: BatchOrder, asOf: string, p: Parameters, answer?: string): string {
  const { policy } = order;
  const soft = policy.strategy.kind === 'soft-delete' ? policy.strategy : null;
  const files = ownFiles(policy);
  const dependants = goingDependants(policy);
  // Bytes and rows of each organisation, summed up over the run's batches (G4).
  const byTenant = policy.tenants !== undefined && !soft;
  const tenant = byTenant ? `, t.${name(policy.tenants!.column)}::text as tenant` : '';
  const label = text(tableLabel(policy.table));
  const key = isUuid(policy.key) ? `t.${name(policy.key[0]!.column)}` : keyText('t', policy.key);
  const self = { alias: 't', scope: policy.scope, key: keyText('t', policy.key) };
  const returning = `returning t.ctid as c, ${key} as key, (${bytesOf('t', files)})::bigint as bytes${tenant}${fileColumns(files, [self])}`;
  const rows = 't.ctid = any(array(select c from locked))';
  const children = dependants.map((d, i) => removeChildren(d, i, policy, rows));
  const queued = [
    ...fileRows('gone', label, files),
    ...dependants.flatMap((d, i) => fileRows(`d${i}`, text(tableLabel(d.table)), d.files, label)),
  ];
  // Children whose parent a trigger kept make a receipt too, so that the counts differ, and by the row at fault.
  const someWent = ['x.deleted', ...(dependants.length > 0 ? ['x.dependants_deleted'] : [])].join(' + ');
  const childCount = dependants.map((_, i) => `(select count(*) from d${i})`).join(' + ') || '0';
  const childBytes =
    dependants.map((_, i) => `(select coalesce(sum(bytes), 0) from d${i})`).join(' + ') || '0';
  const childKeys = dependants
    .map((d, i) => `${text(tableLabel(d.table))}, coalesce((select jsonb_agg(key) from d${i}), '[]')`)
    .join(', ');
  const run = p.add(order.runId, 'uuid');
  const seq = p.add(order.seq, 'int');
  const policyName = p.add(policy.name, 'text');
  // An update returns the new version's place, so a soft delete is counted from what was locked.
  const went = [
    'select c, bytes, 1 as n from gone',
    ...dependants.map((_, i) => `select c, bytes, 0 as n from d${i}`),
  ].join(' union all ');
  const perLabel = soft
    ? 'select label, count(*) as n, 0 as bytes from locked group by 1'
    : `select l.label, sum(x.n) as n, coalesce(sum(x.bytes), 0) as bytes from (${went}) x join locked l using (c) group by 1`;
  const ownLabel = labelOf(order.leg);
  const byRule =
    ownLabel !== null
      ? `case when count(*) = 0 then '{}' else jsonb_build_object(${p.add(ownLabel, 'text')},
        jsonb_build_object('deleted', count(*), 'bytes', ${capped(`coalesce(sum(bytes), 0) + ${childBytes}`)})) end`
      : `coalesce((select jsonb_object_agg(r.label, jsonb_build_object('deleted', r.n, 'bytes', ${capped('r.bytes')})) from (${perLabel}) r), '{}')`;
  // For a soft delete the row stays, and so do its files and dependants until the purge.
  const gone = isPlain(order)
    ? `delete from only ${table(policy.table)} t
      where ${withinBlocks(order.blocks!, p)} and ${token(order, p)} and ${unindexed(mayGo(policy, order.leg, asOf, p))} ${returning}`
    : soft
      ? `update only ${table(policy.table)} t set ${name(soft.column)} = ${MARK} where ${rows} ${returning}`
      : `delete from only ${table(policy.table)} t where ${rows} ${returning}`;
  const outbox =
    queued.length > 0
      ? `insert into retention.outbox (run, seq, policy, ${ENTRY_COLUMNS})
      select ${run}, ${seq}, ${policyName}, f.* from (${queued.join(' union all ')}) f order by url returning 1`
      : 'select 1 where false';
  const places = order.blocks === undefined && isSoughtByPlace(policy);
  // A plain delete's rows are locked by being deleted.
  const plainly = isPlain(order);
  const seenAfter = plainly ? `  ${seen(order, asOf, p)},\n` : '';
  const told = `select s.picked, x.deleted, x.dependants_deleted, x.files, x.bytes, x.by_rule, s.kept, s.after${places ? `, length(set_config('lapse.places', coalesce(x.places, '{}'), true)) as placed` : ''}
  from totals x, seen s`;
  return `gone as (${gone}),
  ${children.map((c) => `${c},\n  `).join('')}queued as (${outbox}),
  totals as materialized (
    select count(*) as deleted, ${capped(`coalesce(sum(bytes), 0) + ${childBytes}`)} as bytes, coalesce(array_agg(key), '{}') as keys,${places ? ' array_agg(c)::text as places,' : ''}
      ${childCount} as dependants_deleted, (select count(*) from queued) as files,
      ${byRule} as by_rule
    from gone
  ),
${seenAfter}  ${
    byTenant
      ? `tenant_totals as (
    insert into retention.tenant_total as tt (run, tenant, label, deleted, bytes)
    select ${run}, g.tenant, l.label, sum(x.n), ${capped('coalesce(sum(x.bytes), 0)')}
    from (${went}) x join gone g using (c) join locked l using (c) group by 2, 3 order by 2, 3
    on conflict (run, tenant, label) do update set deleted = tt.deleted + excluded.deleted, bytes = least(tt.bytes + excluded.bytes, ${MOST_BYTES})
  ),
  `
      : ''
  }receipt as (
    insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, ${keysColumn(policy)},
      dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept, cursor_after)
    select ${run}, ${seq}, ${policyName}, ${p.add(order.version)}, ${soft ? "'soft_delete'" : "'delete'"},
      ${p.add(order.actor)}, ${p.add(order.reason)}, ${asOf}, ${label}, x.keys,
      jsonb_build_object(${childKeys}), x.by_rule, ${plainly ? 'x.deleted' : '(select count(*) from locked)'}, x.deleted, x.dependants_deleted,
      x.files, x.bytes, s.picked, s.kept, s.after
    from totals x, seen s where ${someWent} > 0
    returning 1
  )
  ${answer ?? told}`;
}

/** A row is marked when it is marked: not at the instant its pass counts from, which may be days ago. */
export const MARK = '(select retention.clock())';

const keysColumn = (policy: Policy): string => (isUuid(policy.key) ? 'uuid_keys' : 'keys');

function removeChildren(d: Dependant, i: number, policy: Policy, rows: string): string {
  return `d${i} as (
    delete from ${table(d.table)} d using only ${table(policy.table)} t where ${rows} and ${belongs(d, policy)}
    returning t.ctid as c, ${keyText('d', d.key)} as key, (${bytesOf('d', d.files)})::bigint as bytes${fileColumns(
      d.files,
      [
        { alias: 'd', scope: d.scope, key: keyText('d', d.key) },
        { alias: 't', scope: policy.scope, key: keyText('t', policy.key) },
      ],
    )}
  )`;
}

/**
 * Where a deleted row is looked for after: at its place. Looking up random keys in an index larger than memory costs
 * more than deleting the rows does, and nothing can have put a row back under its key: preflight refuses rules and
 * triggers on DELETE. By the key for a policy that declares such triggers, and for a row that stays, marked.
 */
const isSoughtByPlace = (policy: Policy): boolean =>
  policy.strategy.kind === 'delete' && !declaresTriggers(policy);

/** The count after, in a statement that sees what the delete did. */
function confirm(order: BatchOrder): Statement {
  const { policy, blocks } = order;
  const p = new Parameters();
  const run = p.add(order.runId, 'uuid');
  const seq = p.add(order.seq, 'int');
  const keys = `(select ${keysColumn(policy)} from retention.receipt where run = ${run} and seq = ${seq})`;
  const still = blocks
    ? // If anything expired is left in the blocks, whether it is one of those that went.
      `select case when not exists (select 1 from retention.receipt where run = ${run} and seq = ${seq}) then 0
        when exists (
          select 1 from ${governed(policy, order.leg)} where ${withinBlocks(blocks, p)} and ${unindexed(expired(policy, order.leg, p))}
        ) then (${stillThere(policy, keys, withinBlocks(blocks, p))}) else 0 end`
    : isSoughtByPlace(policy)
      ? `select count(*) from only ${table(policy.table)} t where t.ctid = any(current_setting('lapse.places')::tid[])`
      : `select (${stillThere(policy, keys)}) + ${childrenLeft(policy, keys)}`;
  return p.statement(`select retention.confirm_batch(${run}, ${seq}, (${still})) as confirmed,
    ${SEEN_PRESSURE} as pressure,
    extract(epoch from statement_timestamp() - current_setting('lapse.entered', true)::timestamptz)::float8 * 1000 as statement_ms`);
}

/**
 * How many of these keys, an expression of type text[] or uuid[], are there. `within`: only rows there, which are read
 * one by one and held against the keys.
 */
export function stillThere(policy: Policy, keys: string, within?: string): string {
  const marked = policy.strategy.kind === 'soft-delete' ? [`t.${name(policy.strategy.column)} is null`] : [];
  const single = policy.key.length === 1 && within === undefined ? policy.key[0]! : null;
  if (single) {
    const sought = [`t.${name(single.column)} = any(${keys}::${single.type}[])`, ...marked];
    return `select count(*) from only ${table(policy.table)} t where ${sought.join(' and ')}`;
  }
  const sought = [sameKey('t', policy.key), ...marked, ...(within === undefined ? [] : [within])];
  return `select count(*) from only ${table(policy.table)} t join ${keysFrom(keys, policy.key)} on ${sought.join(' and ')}`;
}

/** How many children of these keys a trigger kept: they would refer to nothing. */
export const childrenLeft = (policy: Policy, keys: string): string =>
  goingDependants(policy)
    .filter(mayStay)
    .map((d) => {
      const same = d.references.map((column, i) => `d.${name(column)} = kt.k${i}`).join(' and ');
      return `(select count(*) from ${table(d.table)} d join ${keysFrom(keys, policy.key)} on ${same})`;
    })
    .join(' + ') || '0';
