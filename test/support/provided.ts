/** What the global setup tells the tests about the local cloud it started. Plain text only: it crosses processes. */
interface ProvidedCloud {
  readonly url: string;
  /** Superuser's address of the database `postgres`. */
  readonly ownerUrl: string;
  /** The migrated database that every test database is a copy of; null before there are migrations. */
  readonly template: string | null;
  /** The settings of an app, for the database named DATABASE_NAME, which each test replaces by its own. */
  readonly env: Readonly<Record<string, string>>;
  /** Address of the real Redis the tests run against; null with the built-in engine. */
  readonly redisUrl: string | null;
}

/** Stands in `env` where the name of the database belongs. */
export const DATABASE_NAME = 'name-of-the-database';

declare module 'vitest' {
  interface ProvidedContext {
    cloud: ProvidedCloud;
  }
}
