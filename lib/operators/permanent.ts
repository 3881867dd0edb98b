/**
 * The one way out of a permanent table (P4): one row, by its key or by its address, removed by a function of the database
 * that the table's owner permits in retention.permanent_table; the app itself has no right to delete there. An address is
 * hashed here, with a key that only the environment has: it reaches neither the database nor the log nor the audit chain.
 */
import { z } from 'zod';
import { DatabaseError, RequestError } from '../platform/errors';
import { hmacKeys, keyedHash, keyFor } from '../platform/keys';
import { maybeRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import { literal, type Sql, sql, tableLabel } from '../platform/sql';
import { permanentTables } from '../policies';
import { type Acting, type Done, decide } from './carry-out';
import { spellInAny } from './spelling';
import { readParts, type Written } from './subject';
import type { Target } from './targets';

const STATEMENT_MS = 5_000;
/** One purpose for all permanent tables: an address has the same hash in each entry of the chain. */
const PURPOSE = 'lapse.permanent';

/** By one of the three; `addressHash` as an entry of the chain has it. */
interface Row {
  readonly table: string;
  readonly key?: Written | undefined;
  readonly address?: string | undefined;
  readonly addressHash?: string | undefined;
}

export async function removePermanent(acting: Acting, row: Row): Promise<Done> {
  const { key, address, addressHash } = row;
  const given = [key, address, addressHash].filter((x) => x !== undefined);
  if (given.length !== 1) {
    throw new RequestError(400, 'bad_field', 'name the row by one of key, address and addressHash', 'key');
  }
  if (key === undefined) return byAddress(acting, row.table, addressHash ?? address!, address);
  const target = await permitted(acting, row.table, 'key');
  const parts = readParts('key', key);
  await spellInAny(acting.services, 'key', parts, [target]);
  const values = sql`array(select jsonb_array_elements_text(${JSON.stringify(parts.values)}::jsonb))`;
  return found(acting, row.table, 'key', [values, sql`null`, sql`null`, sql`null`]);
}

/** `written`: the address, or its hash where `address` is not given. */
async function byAddress(
  acting: Acting,
  table: string,
  written: string,
  address: string | undefined,
): Promise<Done> {
  const [secret] = acting.services.settings.rightsKeys;
  if (secret === undefined) {
    const message =
      'LAPSE_RIGHTS_KEY is not set, and an address is found by its keyed hash: set it (openssl rand -hex 32), or name the key of the row';
    throw new RequestError(409, 'no_key', message, 'address');
  }
  if (address !== undefined && acting.reason.toLowerCase().includes(address.toLowerCase())) {
    const message =
      'reason: must not name the address, it stays in the audit chain; write a number of your file';
    throw new RequestError(422, 'bad_field', message, 'reason');
  }
  await permitted(acting, table, 'address');
  const key = keyFor(secret, PURPOSE);
  const hash = address === undefined ? written.toLowerCase() : keyedHash(key, plain(address));
  const { inner, outer } = hmacKeys(key);
  const field = address === undefined ? 'addressHash' : 'address';
  return found(acting, table, field, [sql`null::text[]`, ...[hash, inner, outer].map((v) => sql`${v}`)]);
}

/** What the database and the audit chain know an address by; null while LAPSE_RIGHTS_KEY is not set. */
export function addressHash([secret]: readonly string[], address: string): string | null {
  return secret === undefined ? null : keyedHash(keyFor(secret, PURPOSE), plain(address));
}

/** As the function of the database has it: other letters than these have a lower case that depends on a language. */
const plain = (address: string): string =>
  address.replace(/^ +| +$/g, '').replace(/[A-Z]/g, (c) => c.toLowerCase());

async function found(acting: Acting, table: string, field: string, args: readonly Sql[]): Promise<Done> {
  const done = await decide(acting, 'remove_permanent', [table, ...args]).catch(explained);
  if (done) return done;
  throw new RequestError(404, 'unknown', `${table} has no row with this ${field}`, field);
}

async function permitted({ services }: Acting, label: string, by: 'key' | 'address'): Promise<Target> {
  const declared = permanentTables.find((t) => tableLabel(t.table) === label);
  if (!declared) {
    const list = permanentTables.map((t) => tableLabel(t.table)).join(', ') || 'there are none';
    throw new RequestError(422, 'unknown_table', `table must be a permanent one: ${list}`, 'table');
  }
  const permission = query(
    sql`select key_columns, person_column from retention.permanent_table where table_name = ${label}`,
    maybeRow(z.object({ key_columns: z.array(z.string()), person_column: z.string().nullable() })),
  );
  const allowed = await askOne(services.database, permission, { statementMs: STATEMENT_MS, readOnly: true });
  const missing =
    by === 'key'
      ? `INSERT INTO retention.permanent_table (table_name, key_columns) VALUES (${literal(label).text}, '{id}')`
      : `INSERT INTO retention.permanent_table (table_name, key_columns, person_column) VALUES (${literal(label).text}, '{id}', 'email') ON CONFLICT (table_name) DO UPDATE SET person_column = excluded.person_column`;
  if (!allowed || (by === 'address' && allowed.person_column === null)) {
    throw new RequestError(
      409,
      'not_permitted',
      `the owner of ${label} has not permitted it: ${missing}`,
      'table',
    );
  }
  if (by === 'key' && allowed.key_columns.includes(allowed.person_column ?? '')) {
    const message = `the key of ${label} is the address itself, which must not stand in the audit chain: name it as address`;
    throw new RequestError(422, 'bad_field', message, 'key');
  }
  return { policy: declared.name, table: declared.table, columns: allowed.key_columns };
}

function explained(error: unknown): never {
  if (error instanceof DatabaseError && error.sqlState === 'LP003') {
    throw new RequestError(409, 'stopped', 'everything is stopped; nothing is removed until all.resume');
  }
  if (error instanceof DatabaseError && error.sqlState === 'LP013') {
    throw new RequestError(
      409,
      'takes_more',
      'more than one row would go: by a cascade or a trigger, or several have this address; nothing was removed: remove those first, or one by its key',
      'key',
    );
  }
  throw error;
}
