/**
 * What every framework brings along: tables that only serve it, columns that name a tenant or a user, and the marks of
 * a soft delete. Known are Prisma, Drizzle, Rails, Django, Supabase, and what runs beside them often.
 */
import type { ForeignKey, TableFacts } from './catalog';
import { singular, snake, wordsOf } from './words';

/** Whole schemas that somebody else keeps. */
const SCHEMAS: Readonly<Record<string, string>> = {
  drizzle: "Drizzle's record of migrations",
  supabase_migrations: "Supabase's record of migrations",
  supabase_functions: "kept by Supabase's own services",
  realtime: "kept by Supabase's own services",
  _realtime: "kept by Supabase's own services",
  vault: "kept by Supabase's own services",
  pgsodium: "kept by Supabase's own services",
  net: "kept by Supabase's own services",
  cron: 'kept by pg_cron',
  pgboss: 'the queue of pg-boss, which removes its own jobs',
  graphile_worker: 'the queue of Graphile Worker, which removes its own jobs',
};
/** On Supabase only: elsewhere these are names like any other. */
const SUPABASE: Readonly<Record<string, string>> = {
  auth: 'kept by Supabase Auth; a person is erased through its API',
  storage: 'kept by Supabase Storage; a file is deleted through its API',
};
const TABLES: Readonly<Record<string, string>> = {
  _prisma_migrations: "Prisma's record of migrations",
  __drizzle_migrations: "Drizzle's record of migrations",
  schema_migrations: 'record of migrations',
  ar_internal_metadata: "Rails' own note of the environment",
  django_migrations: "Django's record of migrations",
  django_content_type: "Django's list of models",
  django_site: "Django's list of sites",
  auth_permission: "Django's list of permissions",
  alembic_version: 'record of migrations',
  flyway_schema_history: 'record of migrations',
  databasechangelog: 'record of migrations',
  databasechangeloglock: 'record of migrations',
  knex_migrations: 'record of migrations',
  knex_migrations_lock: 'record of migrations',
  kysely_migration: 'record of migrations',
  kysely_migration_lock: 'record of migrations',
  typeorm_metadata: 'record of migrations',
  goose_db_version: 'record of migrations',
  pgmigrations: 'record of migrations',
  sequelizemeta: 'record of migrations',
  _sqlx_migrations: 'record of migrations',
  __efmigrationshistory: 'record of migrations',
  lapse_migrations: "Lapse's own record of migrations",
  spatial_ref_sys: 'reference data of PostGIS',
};

/** Why nothing of a table is anybody's data; null: it may be. */
export function technicalBecause(table: TableFacts, isSupabase: boolean): string | null {
  if (table.extension !== null) return `came with the extension ${table.extension}`;
  return (
    SCHEMAS[table.schema] ??
    (isSupabase ? SUPABASE[table.schema] : undefined) ??
    TABLES[table.name.toLowerCase()] ??
    null
  );
}

const USERS = new Set(['user', 'account', 'customer', 'person', 'profile', 'member', 'client', 'contact']);
const ORGANIZATIONS = new Set([
  ...['organization', 'org', 'tenant', 'workspace', 'team', 'company', 'store', 'shop', 'site', 'project'],
]);
/** The first that a table has is taken: who wrote a row is not whom it is about. */
const USER_COLUMNS = [
  ...['user', 'account', 'customer', 'owner', 'author', 'member', 'person', 'profile', 'viewer'],
  ...['created_by', 'sender', 'recipient', 'client'],
].map((name) => new RegExp(`^${name}(_?(id|uuid|uid))?$`));
const ORGANIZATION_COLUMNS = [
  ...['organi[sz]ation', 'org', 'tenant', 'workspace', 'team', 'company', 'store', 'shop'],
].map((name) => new RegExp(`^${name}_?(id|uuid|uid)$`));

/** What asks for tokens is a program. */
const PROGRAMS = /(^|_)(oauth2?|oidc|openid|api|auth|authorization|token|grant|consent)s?(_|$)/;
const isProgram = (column: string, table: string): boolean =>
  /^client(_|$)/.test(snake(column)) && PROGRAMS.test(snake(table));
const isProgramTable = (table: string | undefined): boolean =>
  table !== undefined && /clients?$/.test(snake(table)) && PROGRAMS.test(snake(table));

/** `owner_id` beside `owner_type` names rows of whichever table stands there: number 5 of it is no user 5. */
export const namesManyTables = ({ columns }: Pick<TableFacts, 'columns'>, column: string): boolean => {
  const stem = snake(column).replace(/_(id|uuid|uid)$/, '');
  return columns.some((c) => new RegExp(`^${stem}_(type|kind|class|model|table)$`).test(snake(c.name)));
};

const american = (word: string): string => word.replace(/^organi[sz]/, 'organiz');

export interface Subjects {
  readonly organization?: string;
  readonly user?: string;
}

/** The columns by which a hold or an erasure finds a row. A foreign key to such a table says it better than a name. */
export function subjectsOf(
  table: TableFacts,
  references: readonly ForeignKey[],
  nameOf: (oid: string) => string | undefined,
): Subjects {
  const find = (tables: ReadonlySet<string>, names: readonly RegExp[]) => {
    const rank = (column: string) => names.findIndex((name) => name.test(snake(column)));
    const ranked = (columns: string[]) =>
      columns.filter((c) => rank(c) >= 0).sort((a, b) => rank(a) - rank(b));
    const keys = references.filter((f) => {
      const to = nameOf(f.to);
      const last = to === undefined ? undefined : wordsOf(to).at(-1);
      return (
        f.from === table.oid &&
        f.columns.length === 1 &&
        last !== undefined &&
        tables.has(american(singular(last))) &&
        !isProgramTable(to)
      );
    });
    // A bare `sender` may be an address, unless a foreign key says that it is somebody.
    const ofPrograms = references.filter((f) => f.from === table.oid && isProgramTable(nameOf(f.to)));
    const named = ranked(table.columns.map((c) => c.name)).filter(
      (c) =>
        /(id|uuid|uid)$/.test(snake(c)) &&
        !namesManyTables(table, c) &&
        !isProgram(c, table.name) &&
        !ofPrograms.some((f) => f.columns[0] === c),
    );
    const own = keys.map((f) => f.columns[0]!);
    return ranked(own)[0] ?? named[0] ?? own[0];
  };
  const organization = find(ORGANIZATIONS, ORGANIZATION_COLUMNS);
  const user = find(USERS, USER_COLUMNS);
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(user === undefined || user === organization ? {} : { user }),
  };
}

/** Says at what point of its life a row is: those that are not over may be as old as others. */
export const statusOf = (table: TableFacts): string[] =>
  table.columns
    .filter(
      (c) =>
        /(^|_)(status|state|phase|stage)$/.test(snake(c.name)) ||
        (c.plain === 'boolean' &&
          /^(is_)?(active|done|completed|processed|archived|deleted)$/.test(snake(c.name))),
    )
    .map((c) => c.name);
