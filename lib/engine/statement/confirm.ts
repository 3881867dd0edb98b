/** The count after, in a statement that sees what the deleting one did. */
import {
  allOf,
  empty,
  id,
  isKey,
  isUuid,
  keysAsRows,
  raw,
  type Sql,
  sql,
  tableId,
  typed,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { declaresTriggers, rowsLeave } from '../../policies/going';
import { unindexed, withinBlocks } from './heap';
import { expired, unmarked } from './predicate';
import { SEEN_PRESSURE } from './pressure';
import type { Batch } from './request';

/**
 * Whether the database's own count of what left each table, and came into it, proves that the rows of the receipt are gone
 * (migrations/functions/net.sql). Declared triggers may keep some rows and put others back, and a row that stays, marked,
 * is not counted: those are looked for by their keys, which in an index larger than memory costs more than deleting them.
 */
const isCounted = (policy: Policy): boolean => rowsLeave(policy) && !declaresTriggers(policy);

export const confirming = (b: Batch): Sql => {
  const batch = sql`${typed(b.request.runId, 'uuid')}, ${typed(b.request.seq, 'int')}`;
  const pressure = b.request.asksForPressure ? sql`${SEEN_PRESSURE} as pressure,\n    ` : empty;
  return sql`select retention.confirm_batch(${batch}, ${still(b)}) as confirmed,
    ${pressure}extract(epoch from statement_timestamp() - current_setting('lapse.entered', true)::timestamptz)::float8 * 1000 as statement_ms`;
};

/** How many rows are there that should not be; null where the count says it. */
function still({ request, policy, walk }: Batch): Sql {
  if (isCounted(policy)) return sql`null`;
  const mine = sql`retention.receipt where run = ${typed(request.runId, 'uuid')} and seq = ${typed(request.seq, 'int')}`;
  const keys = sql`(select ${isUuid(policy.key) ? sql`retention.uuids_of(key_bytes)` : sql`keys`} from ${mine})`;
  if (request.blocks) {
    const within = withinBlocks(request.blocks);
    // If anything expired is left in the blocks, whether it is one of those that went.
    return sql`(select case when not exists (select 1 from ${mine}) then 0
        when exists (
          select 1 from ${walk.rows} where ${within} and ${unindexed(expired(walk))}
        ) then (${stillThere(policy, keys, within)}) else 0 end)`;
  }
  // What a trigger kept of what goes along, the deleting statement itself has counted (shapes/tree.ts).
  return sql`((${stillThere(policy, keys)}))`;
}

/**
 * How many of these keys, an expression of type text[] or uuid[], are there. `within`: only rows there, which are read
 * one by one and held against the keys.
 */
export function stillThere(policy: Policy, keys: Sql, within?: Sql): Sql {
  const [key] = policy.key;
  const t = tableId(policy.table);
  if (policy.key.length === 1 && key!.type !== undefined && within === undefined) {
    const sought = sql`${id('t', key!.column)} = any(${keys}::${raw(key!.type)}[])`;
    return sql`select count(*) from only ${t} t where ${allOf(sought, unmarked(policy))}`;
  }
  const same = allOf(isKey('t', policy.key), unmarked(policy), within);
  return sql`select count(*) from only ${t} t join ${keysAsRows(keys, policy.key, policy.table)} on ${same}`;
}
