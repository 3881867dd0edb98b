/**
 * The one way out of a permanent table (P4): one row, by its key, removed by a function of the database that the
 * table's owner permits in retention.permanent_table; the app itself has no right to delete there.
 */
import { z } from 'zod';
import { DatabaseError, RequestError } from '../platform/errors';
import { maybeRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import { literal, sql, tableLabel } from '../platform/sql';
import { permanentTables } from '../policies';
import { type Acting, type Done, decide } from './carry-out';
import { spellInAny } from './spelling';
import { readParts, type Written } from './subject';
import type { Target } from './targets';

const STATEMENT_MS = 5_000;

export async function removePermanent(acting: Acting, row: { table: string; key: Written }): Promise<Done> {
  const target = await permitted(acting, row.table);
  const parts = readParts('key', row.key);
  await spellInAny(acting.services, 'key', parts, [target]);
  const done = await decide(acting, 'remove_permanent', [
    row.table,
    sql`array(select jsonb_array_elements_text(${JSON.stringify(parts.values)}::jsonb))`,
  ]).catch(explained);
  if (done) return done;
  throw new RequestError(404, 'unknown', `${row.table} has no row with this key`, 'key');
}

async function permitted({ services }: Acting, label: string): Promise<Target> {
  const declared = permanentTables.find((t) => tableLabel(t.table) === label);
  if (!declared) {
    const list = permanentTables.map((t) => tableLabel(t.table)).join(', ') || 'there are none';
    throw new RequestError(422, 'unknown_table', `table must be a permanent one: ${list}`, 'table');
  }
  const permission = query(
    sql`select key_columns from retention.permanent_table where table_name = ${label}`,
    maybeRow(z.object({ key_columns: z.array(z.string()) })),
  );
  const found = await askOne(services.database, permission, { statementMs: STATEMENT_MS, readOnly: true });
  if (found) return { policy: declared.name, table: declared.table, columns: found.key_columns };
  throw new RequestError(
    409,
    'not_permitted',
    `the owner of ${label} has not permitted it: INSERT INTO retention.permanent_table (table_name, key_columns) VALUES (${literal(label).text}, '{id}')`,
    'table',
  );
}

function explained(error: unknown): never {
  if (error instanceof DatabaseError && error.sqlState === 'LP003') {
    throw new RequestError(409, 'stopped', 'everything is stopped; nothing is removed until all.resume');
  }
  if (error instanceof DatabaseError && error.sqlState === 'LP013') {
    throw new RequestError(
      409,
      'takes_more',
      'other rows would go with it, by a cascade or a trigger; nothing was removed: remove those first',
      'key',
    );
  }
  throw error;
}
