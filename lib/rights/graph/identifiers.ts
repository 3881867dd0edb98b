/**
 * What else a subject is known by, e.g. its e-mail address. Read once, when the erasure is asked for, and kept as keyed hashes
 * only (HMAC-SHA256 under LAPSE_RIGHTS_KEY): rows that name it are found by them when the row that had it is gone. The values
 * are hashed where they are; none of them travels.
 */
import { z } from 'zod';
import type { Database } from '../../platform/database';
import { hmacKeys, keyFor } from '../../platform/keys';
import { query, rows } from '../../platform/query';
import { askEach } from '../../platform/session';
import { anyOf, id, literal, type Sql, sql, tableId } from '../../platform/sql';
import type { Subject } from '../subject';
import { type Nodes, subjectTables } from './nodes';

const LIMITS = { statementMs: 10_000, readOnly: true };

/** Hashes of each identifier by its name, as 64 hexadecimal digits. */
export const Hashes = z.record(z.string(), z.array(z.string().regex(/^[0-9a-f]{64}$/)));
export type Hashes = z.infer<typeof Hashes>;

interface Key {
  readonly inner: string;
  readonly outer: string;
}
interface Hashed {
  readonly hashes: readonly string[];
  /** What was hashed with the key before is found as well. */
  readonly keys: readonly Key[];
}
export type Identifiers = Readonly<Record<string, Hashed>>;

export const IDENTIFIER_PURPOSE = 'lapse.erasure/identifier';

const keyOf = (secret: string): Key => hmacKeys(keyFor(secret, IDENTIFIER_PURPOSE));

export function identifiersOf(hashes: Hashes, secrets: readonly string[]): Identifiers {
  const keys = secrets.map(keyOf);
  return Object.fromEntries(
    Object.entries(hashes)
      .filter(([, all]) => all.length > 0)
      .map(([name, all]) => [name, { hashes: all, keys }]),
  );
}

/** An address is one however it is typed (functions/folded.sql); most need no call for that. */
export const folded = (value: Sql): Sql =>
  sql`case when octet_length(${value}) = length(${value}) then lower(btrim(${value}) collate "C") else retention.folded(${value}) end`;

const hashOf = (value: Sql, { inner, outer }: Key): Sql =>
  sql`encode(sha256(decode(${outer}, 'hex') || sha256(decode(${inner}, 'hex') || convert_to(${folded(value)}, 'UTF8'))), 'hex')`;

export const isIdentifier = (value: Sql, { hashes, keys }: Hashed): Sql =>
  anyOf(...keys.map((key) => sql`${hashOf(value, key)} = any(${`{${hashes.join(',')}}`}::text[])`));

/** The identifiers that the subject's own rows have now. */
export async function readIdentifiers(
  database: Database,
  nodes: Nodes,
  { scope }: Subject,
  printed: (label: string, column: string) => readonly string[],
  secret: string,
): Promise<Hashes> {
  const own = keyOf(secret);
  const queries = subjectTables(nodes, scope).flatMap(({ label, table, line }) => {
    const key = table.key[0]!;
    const spelled = printed(label, key).map((p) => sql`${id('t', key)} = ${p}`);
    return spelled.length === 0
      ? []
      : (line?.identifiers ?? []).map((column) =>
          query(
            sql`select ${literal(column)} as name, ${hashOf(sql`${id('t', column)}::text`, own)} as hash
              from ${tableId(table)} t where ${anyOf(...spelled)} and btrim(${id('t', column)}::text) <> ''`,
            rows(z.object({ name: z.string(), hash: z.string() })),
          ),
        );
  });
  if (queries.length === 0) return {};
  const found = (await askEach(database, queries, LIMITS)).flat();
  return joined(...found.map(({ name, hash }) => ({ [name]: [hash] })));
}

/** All hashes of all, each once. */
export function joined(...all: readonly Hashes[]): Hashes {
  const names = [...new Set(all.flatMap((h) => Object.keys(h)))].sort();
  return Object.fromEntries(
    names.map((name) => [name, [...new Set(all.flatMap((h) => h[name] ?? []))].sort()]),
  );
}
