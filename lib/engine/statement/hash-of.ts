/** Hashes of keys, by which two dry runs are compared. */
import { type Sql, sql } from '../../platform/sql';

export const hashOf = (keys: Sql): Sql => sql`encode(sha256(${keys}), 'hex')`;
export const hashOfAll = (key: Sql): Sql =>
  hashOf(sql`coalesce(string_agg(sha256(convert_to(${key}, 'UTF8')), '' order by ${key} collate "C"), '')`);
