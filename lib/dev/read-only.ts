/** The app's door to PostgreSQL over a plain connection, for commands that only look: every transaction is READ ONLY and rolled back. */
import { NeonDbError } from '@neondatabase/serverless';
import { type Client, DatabaseError as PgError } from 'pg';
import { type Database, mapDatabaseError } from '../platform/database';

export const readOnly = (client: Client): Database => ({
  async transaction(statements) {
    await client.query('begin transaction isolation level read committed, read only');
    try {
      const answers = [];
      for (const { text, params } of statements) {
        const values = params.map((p) => (typeof p === 'number' || typeof p === 'boolean' ? String(p) : p));
        answers.push((await client.query(text, values)).rows as Record<string, unknown>[]);
      }
      return answers;
    } catch (error) {
      throw mapDatabaseError(asOverHttp(error));
    } finally {
      await client.query('rollback');
    }
  },
});

/** Both drivers carry PostgreSQL's own fields, under the same names. */
function asOverHttp(error: unknown): unknown {
  if (!(error instanceof PgError)) return error;
  const { code, table, constraint, routine } = error;
  return Object.assign(new NeonDbError(error.message), { code, table, constraint, routine });
}
