/**
 * The three roles of Lapse, which own nothing and cannot log in: lapse_app runs policies, lapse_operator makes what a
 * person decides, lapse_reader looks. A login is a member of one of them, or, where one does all, of all three.
 * Rights are granted to the roles by lib/migrations; they belong to the server, so each is made once for all its databases.
 */
import type { Client } from 'pg';

export const ROLES = ['lapse_app', 'lapse_operator', 'lapse_reader'] as const;
export type Role = (typeof ROLES)[number];

const list = (names: readonly string[]) => names.map((n) => `"${n.replaceAll('"', '""')}"`).join(', ');

/**
 * Makes those that are missing. Logins that run Lapse already keep what they could do: they become members of what is new.
 * Returns what was done, a line each. Throws the statements to be run by somebody else where this login may not; then
 * nothing was changed.
 */
export async function ensureRoles(client: Client): Promise<string[]> {
  const { rows } = await client.query<Found>(LOOK, [ROLES]);
  const { missing, logins, may } = rows[0]!;
  if (missing.length === 0) return [];
  const statements = [
    ...missing.map((role) => `create role ${role} nologin`),
    // Making the first of them is an installation, not an upgrade.
    ...(logins.length > 0 ? [`grant ${missing.join(', ')} to ${list(logins)}`] : []),
  ];
  if (!may) throw new Error(inWords(missing, statements));
  for (const statement of statements) await client.query(tolerant(statement));
  return statements;
}

interface Found {
  readonly missing: Role[];
  readonly logins: string[];
  readonly may: boolean;
}

const LOOK = `select
  array(select x.name from unnest($1::text[]) with ordinality x(name, n)
    where not exists (select from pg_roles r where r.rolname = x.name) order by x.n) as missing,
  array(select m.rolname::text from pg_auth_members a join pg_roles g on g.oid = a.roleid join pg_roles m on m.oid = a.member
    where g.rolname = 'lapse_app' and m.rolcanlogin and not m.rolcreaterole and not m.rolsuper order by 1) as logins,
  (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) as may`;

/** Another migration, of another database of the server, may make them in the same moment. */
const tolerant = (statement: string): string =>
  statement.startsWith('create')
    ? `do $$ begin ${statement}; exception when duplicate_object or unique_violation then null; end $$`
    : statement;

const inWords = (missing: readonly Role[], statements: readonly string[]): string =>
  [
    `this login may not make roles, and ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing; nothing was changed.`,
    'As a role with CREATEROLE or a superuser, run',
    ...statements.map((s) => `  ${s};`),
    'and then npm run migrate again.',
  ].join('\n');
