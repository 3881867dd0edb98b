/**
 * With whose rights Lapse works: each connection is looked at before its first request, and refused while its login owns
 * what it must not change, could become somebody who does, or is no member of its role. Then nothing is asked with it,
 * whatever it is for: a guard that its own user can switch off is none.
 */
import { z } from 'zod';
import type { Database } from './database';
import { LoginError } from './errors';
import { oneRow, type Query, query } from './query';
import { askOne } from './session';
import { sql } from './sql';

export type Role = 'lapse_app' | 'lapse_operator' | 'lapse_reader';

export interface Wanted {
  readonly role: Role;
  /** The setting that names the login. */
  readonly variable: string;
  /** The setting that would name another one; where it is not set, the app's login does this as well. */
  readonly orVariable?: string;
}

/** A look into small catalogs. */
const LIMITS = { statementMs: 2_000, readOnly: true };

/** The same database, which is asked for nothing before its login has been found fit. Found so once is enough. */
export function fitLogin(database: Database, wanted: Wanted): Database {
  let fit: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    const problem = problemOf(await askOne(database, loginOf(wanted.role), LIMITS), wanted);
    if (problem !== null) throw new LoginError(problem);
  };
  return {
    async transaction(statements, options) {
      fit ??= look();
      const looked = fit;
      await looked.catch((error: unknown) => {
        // What was mended, or passed, is seen by the next request.
        if (fit === looked) fit = undefined;
        throw error;
      });
      return database.transaction(statements, options);
    },
  };
}

const Login = z.object({
  login: z.string(),
  member: z.boolean(),
  /** What it could do beyond its role, the worst first. */
  beyond: z.string().nullable(),
});

/** Rights on the whole server that are as good as a superuser's, or as the right to write every table. */
const POWERS = [
  'pg_write_all_data',
  'pg_read_server_files',
  'pg_write_server_files',
  'pg_execute_server_program',
];

/** The login, with every role it may become. */
const loginOf = (role: Role): Query<z.output<typeof Login>> =>
  query(
    sql`with mine as materialized (
      select oid, rolname, rolsuper, rolcreaterole from pg_roles where pg_has_role(session_user, oid, 'MEMBER')
    ), beyond(rank, what) as (
      select case when rolname = session_user then 1 else 2 end,
        case when rolname = session_user then 'is a superuser' else format('may become %I, a superuser', rolname) end from mine where rolsuper
      union all select 3, case when rolname = session_user then 'may make roles' else format('may become %I, who may make roles', rolname) end
        from mine where rolcreaterole
      union all select 4, format('is a member of %I', rolname) from mine
        where rolname = any(${POWERS}::text[]) or (rolname = 'pg_read_all_data' and ${role} = 'lapse_app')
      union all select 5, 'owns the database' from pg_database d join mine on mine.oid = d.datdba where d.datname = current_database()
      union all select 6, 'owns schema retention' from pg_namespace n join mine on mine.oid = n.nspowner where n.nspname = 'retention'
      union all (select 7, format('owns %s', c.oid::regclass) from pg_class c join mine on mine.oid = c.relowner
        where c.relnamespace = to_regnamespace('retention') limit 1)
      union all (select 8, format('owns %s', p.oid::regprocedure) from pg_proc p join mine on mine.oid = p.proowner
        where p.pronamespace = to_regnamespace('retention') limit 1)
      union all (select 9, format('owns %s, from which rows go by a receipt only', c.oid::regclass)
        from pg_trigger t join pg_class c on c.oid = t.tgrelid join mine on mine.oid = c.relowner
        where t.tgfoid in (select oid from pg_proc where pronamespace = to_regnamespace('retention') and proname = 'guard_deletion') limit 1)
    )
    select session_user::text as login,
      coalesce((select pg_has_role(session_user, r.oid, 'USAGE') from pg_roles r where r.rolname = ${role}), false) as member,
      (select what from beyond order by rank, what limit 1) as beyond`,
    oneRow(Login),
  );

/** What is wrong with the login, and what to do; null when it may be used. */
function problemOf({ login, member, beyond }: z.output<typeof Login>, w: Wanted): string | null {
  const other = w.orVariable ?? w.variable;
  const own = `create role ${w.role.replace('lapse_', 'lapse_login_')} login password '…' in role ${w.role}`;
  if (beyond !== null) {
    return `${w.variable} logs in as ${login}, who ${beyond}: Lapse refuses to work with such rights, and nothing was asked. Make a login with no rights but those of its role (in SQL, not in a console that makes it an administrator): ${own}; and name it in ${w.variable}`;
  }
  if (member) return null;
  return `${login}, the login of ${w.variable}, has not the rights of ${w.role}, and nothing was asked. As the owner, after npm run migrate: grant ${w.role} to "${login}"; or make a login of its own, ${own}; and name it in ${other}`;
}
