/** Sessions over TCP with the app's own logins, one for each role: what somebody could do who has an address of them. */
import { Client } from 'pg';
import type { TestDatabase, TestRow } from './database';

export interface AppLogin {
  sql<R extends TestRow = TestRow>(text: string, params?: readonly unknown[]): Promise<R[]>;
  /** SQLSTATE of the refusal, or what was answered. */
  refusal(text: string, params?: readonly unknown[]): Promise<unknown>;
  end(): Promise<void>;
}

export const appLogin = (db: TestDatabase): Promise<AppLogin> => login(db.env.DATABASE_URL!);
export const operatorLogin = (db: TestDatabase): Promise<AppLogin> => login(db.env.DATABASE_URL_OPERATOR!);
export const readerLogin = (db: TestDatabase): Promise<AppLogin> => login(db.env.DATABASE_URL_READER!);

export async function login(connectionString: string): Promise<AppLogin> {
  const client = new Client({ connectionString });
  client.on('error', () => {});
  await client.connect();
  return {
    sql: async <R extends TestRow>(text: string, params: readonly unknown[] = []) =>
      (await client.query<R>(text, [...params])).rows,
    refusal: (text, params = []) =>
      client.query(text, [...params]).then(
        (done) => done.rows,
        (error: { code?: string }) => error.code,
      ),
    end: () => client.end(),
  };
}

/** Name of the app's login. */
export const appRole = (db: TestDatabase): string => new URL(db.env.DATABASE_URL!).username;
