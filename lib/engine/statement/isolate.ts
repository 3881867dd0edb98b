/**
 * Poisoned rows (R7): which rows of a failing batch refuse to go? Each picked row is tried alone in a block of
 * its own and undone, whatever happened, so nothing is deleted here; rows that refuse become dead letters in
 * the same transaction, behind the same locks and fence as the batch. The batch is then sent again without
 * them, and is still the one place that deletes. Two requests where splitting needs up to 147 (DELETION §6).
 */
import { z } from 'zod';
import { nothing, oneRow, type Query, query } from '../../platform/query';
import { keyText, Literals, name, Parameters, table, tableLabel, text } from '../../platform/sql';
import { goingDependants, namesFiles } from '../../policies/going';
import { type BatchOrder, childrenLeft, enter, MARK, pickAndLock, remove, stillThere } from './batch';
import { belongs } from './files';
import { picking } from './pick';
import { governed, mayGo } from './predicate';

/** How many rows were set aside, and why: classes and constraints only, for a key may be personal data. */
const Letters = z.object({
  letters: z.number().int(),
  states: z.array(z.string()),
  constraints: z.array(z.string()),
});
export type Letters = z.infer<typeof Letters>;

/** One request, in this order. */
export type SettingAside = {
  readonly entered: Query<void>;
  readonly locked?: Query<void>;
  readonly found: Query<Letters>;
};

export function setAside(order: BatchOrder): SettingAside {
  const p = new Parameters();
  const asOf = p.add(order.asOf, 'timestamptz');
  const lock = p.statement(`with ${pickAndLock(order, asOf, p)}
    select set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true)`);
  const q = new Parameters();
  const found = q.statement(`with refused as materialized (
      select r.* from retention.try_each(current_setting('lapse.rows')::tid[], ${q.add(attempt(order))}, ${q.add(still(order))}) r
    ),
    rows as (
      select ${keyText('t', order.policy.key)} as key, r.sql_state, r.constraint_name
      from only ${table(order.policy.table)} t join refused r on r.place = t.ctid
      where t.ctid = any(current_setting('lapse.rows')::tid[])
    ),
    ${letters(order, 'select key, sql_state, constraint_name from rows', q)}`);
  return {
    entered: query(enter(order), nothing),
    locked: query(lock, nothing),
    found: query(found, oneRow(Letters)),
  };
}

/** The picked rows as they are, without trying them: for a row that took too long, or failed alone. */
export function setAsideUntried(
  order: BatchOrder,
  why: { sqlState: string; constraint: string | null },
): SettingAside {
  const p = new Parameters();
  const asOf = p.add(order.asOf, 'timestamptz');
  const { policy, leg } = order;
  const statement = p.statement(`with ${picking(policy, leg, order.position, order.limit, asOf, p)},
    rows as (
      select ${keyText('t', policy.key)} as key from ${governed(policy, leg)}
      where t.ctid = any(array(select c from picked)) and ${mayGo(policy, leg, asOf, p)}
    ),
    ${letters(order, `select key, ${p.add(why.sqlState, 'text')}, ${p.add(why.constraint, 'text')} from rows`, p)}`);
  return { entered: query(enter(order), nothing), found: query(statement, oneRow(Letters)) };
}

/** Written by the database (retention.set_aside), which sees that this transaction has entered the batch. */
function letters(order: BatchOrder, rows: string, p: Parameters): string {
  const given = [
    p.add(order.policy.name),
    text(tableLabel(order.policy.table)),
    p.add(order.runId, 'uuid'),
    p.add(order.seq, 'int'),
    p.add(order.asOf, 'timestamptz'),
  ].join(', ');
  return `given as (
      select array_agg(x.key order by x.key) as keys, array_agg(x.sql_state order by x.key) as states,
        array_agg(x.constraint_name order by x.key) as constraints
      from (${rows}) x(key, sql_state, constraint_name)
    )
    select count(*)::int as letters, coalesce(jsonb_agg(distinct sql_state), '[]') as states,
      coalesce(jsonb_agg(distinct constraint_name) filter (where constraint_name is not null), '[]') as constraints
    from given g cross join lateral retention.set_aside(${given}, g.keys, g.states, g.constraints)`;
}

/**
 * What the batch would do to one row: `$1` is its place. Where rows name files it is the batch's own deleting statement,
 * so that a row whose file cannot be queued is found out too. Answers with the row's key.
 */
function attempt(order: BatchOrder): string {
  const { policy } = order;
  const row = `only ${table(policy.table)} t`;
  const returning = `returning ${keyText('t', policy.key)}`;
  if (policy.strategy.kind === 'soft-delete') {
    return `update ${row} set ${name(policy.strategy.column)} = ${MARK} where t.ctid = $1 ${returning}`;
  }
  if (namesFiles(policy)) {
    const { blocks: _, ...single } = order;
    const p = new Literals();
    return `with locked as materialized (select $1 as c, 'attempt'::text as label),
      seen as (select 1 as picked, '{}'::jsonb as kept, '{}'::jsonb as after),
      ${remove(single, p.add(order.asOf, 'timestamptz'), p, 'select key::text from gone')}`;
  }
  const children = goingDependants(policy).map(
    (d, i) =>
      `d${i} as (delete from ${table(d.table)} d using ${row} where t.ctid = $1 and ${belongs(d, policy)})`,
  );
  return `${children.length > 0 ? `with ${children.join(', ')} ` : ''}delete from ${row} where t.ctid = $1 ${returning}`;
}

/** Whether the row of key `$1` is there after it, or a child of it that a trigger kept. */
const still = ({ policy }: BatchOrder): string =>
  `select (${stillThere(policy, 'array[$1::text]')}) + ${childrenLeft(policy, 'array[$1::text]')} > 0`;
