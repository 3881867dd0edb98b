/**
 * The statement by which an owner makes an index without stopping writers: one for all places that print it. Of a partitioned
 * table PostgreSQL builds none concurrently, and one built at once locks all partitions until it is done, or has no room for
 * so many locks; there the database says step by step what to run (migrations/functions/indexes.sql).
 */
import { type TableName, table, text } from './sql';

interface Indexed {
  readonly table: TableName;
  readonly isPartitioned: boolean;
  /** As they stand within the brackets, quoted. */
  readonly columns: string;
  readonly isUnique?: boolean;
}

export function indexStatement({ table: t, isPartitioned, columns, isUnique = false }: Indexed): string {
  if (!isPartitioned)
    return `CREATE ${isUnique ? 'UNIQUE ' : ''}INDEX CONCURRENTLY ON ${table(t)} (${columns});`;
  const unique = isUnique ? ', true' : '';
  return `SELECT retention.index_statements(${text(table(t))}, ${text(columns)}${unique}); and each statement it answers, one after the other (in psql: \\gexec)`;
}
