/**
 * Poisoned rows (R7): which rows of a failing batch refuse to go? Each picked row is tried alone in a block of
 * its own and undone, whatever happened, so nothing is deleted here; rows that refuse become dead letters in
 * the same transaction, behind the same locks and fence as the batch. The batch is then sent again without
 * them, and is still the one place that deletes. Two requests where splitting needs up to 147 (DELETION §6).
 */
import { z } from 'zod';
import { nothing, oneRow, type Query, query } from '../../platform/query';
import {
  cte,
  inlined,
  keyAsText,
  list,
  literal,
  raw,
  type Sql,
  sql,
  tableId,
  tableLabel,
  typed,
  withParts,
} from '../../platform/sql';
import { contentsOf, namesFiles } from '../../policies/contents';
import { namesArchive } from './archived';
import { enter } from './batch';
import { change } from './change';
import { stillThere } from './confirm';
import { deleting } from './deleting';
import { detachingOne } from './detach';
import { detachedAlong } from './detach-tree';
import { mayGo } from './predicate';
import { type Batch, type BatchRequest, batchOf } from './request';
import { isTree } from './shapes';
import { LOCKED_PLACES, locked } from './shapes/locked';
import { pickAndLock } from './shapes/places';
import { tree } from './shapes/tree';
import { picking, walking } from './shapes/tree-steps';

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

export function setAside(request: BatchRequest): SettingAside {
  const b = batchOf(request);
  const refused = cte(
    'refused',
    sql`
      select r.* from retention.try_each(${LOCKED_PLACES}, ${before(b)}, ${inlined(attempt(b))}, ${inlined(still(b))}) r
    `,
    true,
  );
  const rows = cte(
    'rows',
    sql`
      select ${keyAsText('t', request.policy.key)} as key, r.sql_state, r.constraint_name
      from only ${tableId(request.policy.table)} t join refused r on r.place = t.ctid
      where t.ctid = any(${LOCKED_PLACES})
    `,
  );
  return {
    entered: enter(request),
    locked: query(
      sql`${withParts(...pickAndLock(isTree(b) ? picking(b) : b))}
    select set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true)`,
      nothing,
    ),
    found: letters(request, [refused, rows], sql`select key, sql_state, constraint_name from rows`),
  };
}

/** The picked rows as they are, without trying them: for a row that took too long, or failed alone. */
export function setAsideUntried(
  request: BatchRequest,
  why: { sqlState: string; constraint: string | null },
): SettingAside {
  const { walk, policy } = batchOf(request);
  const rows = cte(
    'rows',
    sql`
      select ${keyAsText('t', policy.key)} as key from ${walk.rows}
      where t.ctid = any(array(select c from picked)) and ${mayGo(walk)}
    `,
  );
  const cause = list(typed(why.sqlState, 'text'), typed(why.constraint, 'text'));
  return {
    entered: enter(request),
    found: letters(
      request,
      [...walk.picked(request.position, request.limit), rows],
      sql`select key, ${cause} from rows`,
    ),
  };
}

/** Written by the database (retention.set_aside), which sees that this transaction has entered the batch. */
function letters(request: BatchRequest, before: readonly Sql[], rows: Sql): Query<Letters> {
  const about = list(
    typed(request.policy.name, 'text'),
    literal(tableLabel(request.policy.table)),
    typed(request.runId, 'uuid'),
    typed(request.seq, 'int'),
    typed(request.asOf, 'timestamptz'),
  );
  const given = cte(
    'given',
    sql`
      select array_agg(x.key order by x.key) as keys, array_agg(x.sql_state order by x.key) as states,
        array_agg(x.constraint_name order by x.key) as constraints
      from (${rows}) x(key, sql_state, constraint_name)
    `,
  );
  return query(
    sql`${withParts(...before, given)}select count(*)::int as letters, coalesce(jsonb_agg(distinct sql_state), '[]') as states,
      coalesce(jsonb_agg(distinct constraint_name) filter (where constraint_name is not null), '[]') as constraints
    from given g cross join lateral retention.set_aside(${about}, g.keys, g.states, g.constraints)`,
    oneRow(Letters),
  );
}

/** The place of the row that is tried: a parameter of the text that retention.try_each executes. */
const PLACE = raw('$1');

/** The archive that the attempt's receipt names; of a tree, what the batch would lock below one row. */
function before(b: Batch): string | null {
  const naming = namesArchive(b);
  const walked =
    isTree(b) &&
    sql`set_config('lapse.rows', array[${PLACE}]::text, true), set_config('lapse.labels', '{attempt}', true), ${walking(b)}`;
  const named = naming && sql`(select count(*) from (${naming}) x)`;
  return named || walked ? inlined(sql`select ${list(named, walked)}`) : null;
}

/**
 * What the batch would do to one row. With what goes along, or where rows name files, it is the batch's own deleting
 * statement, so that a row whose file cannot be queued is found out too. Answers with the row's key.
 */
function attempt(b: Batch): Sql {
  const { request, policy } = b;
  const key = keyAsText('t', policy.key);
  const row = sql`t.ctid = ${PLACE}`;
  // Whether it is as it was archived the batch itself asks, of all its rows.
  const { blocks: _, archived: __, ...single } = request;
  const seen = [cte('seen', sql`select 1 as picked, '{}'::jsonb as kept, '{}'::jsonb as after`)];
  if (isTree(b)) {
    // A trigger may keep what should have gone along; of a row that is taken apart, only some rows go now.
    const shape = tree(batchOf(single));
    const answer = sql`(select ${key} from only ${tableId(policy.table)} t where ${row} and (${shape.locked} = x.deleted))`;
    return deleting(batchOf(single), { ...shape, lead: [...shape.lead, ...detachedAlong(b)], seen }, answer);
  }
  if (namesFiles(policy) || contentsOf(policy).length > 0) {
    const lead = [cte('locked', sql`select ${PLACE} as c, 'attempt'::text as label`, true)];
    return deleting(
      batchOf(single),
      { ...locked(batchOf(single)), lead: [...lead, ...detachingOne(policy, row)], seen },
      sql`(select key::text from gone)`,
    );
  }
  return sql`${withParts(...detachingOne(policy, row))}${change(policy, row, key)}`;
}

/** Whether the row of key `$1` is there after it. */
function still(b: Batch): Sql {
  const { policy } = b;
  const key = sql`array[$1::text]`;
  if (isTree(b)) {
    // What goes over several batches is there until the last of them.
    return sql`select current_setting('lapse.state') = 'whole' and (${stillThere(policy, key)}) > 0`;
  }
  return sql`select (${stillThere(policy, key)}) > 0`;
}
