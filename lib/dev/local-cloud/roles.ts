/**
 * The database side of the local cloud: the logins that a deployment has, one for each role of Lapse, so that nothing
 * runs with more rights here than in production; and whole databases made, copied and dropped.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { ensureRoles, ROLES, type Role } from '../roles';
import { Client } from './client';

/** One of Lapse's three, or one that does for all of them. */
export interface Login {
  readonly name: string;
  readonly password: string;
}
export type Logins = Readonly<Record<Role, Login>>;

/** One key for all such changes of one server: tests start several local clouds over it at once. */
const ROLES_LOCK = 7_300_001;
const CREATE_LOCK = 7_300_002;

const each = (login: (short: string) => Login): Logins => ({
  lapse_app: login('app'),
  lapse_operator: login('operator'),
  lapse_reader: login('reader'),
});

/** On the server of one folder: the same at every start, from the random password of its owner. */
export const embeddedLogins = (ownerPassword: string): Logins =>
  each((short) => {
    const name = `lapse_local_${short}`;
    return { name, password: createHmac('sha256', ownerPassword).update(name).digest('hex').slice(0, 32) };
  });

/** On a server that is not the local cloud's own: for this start only, dropped when it ends. */
export const passingLogins = (): Logins => {
  const start = randomBytes(6).toString('hex');
  return each((short) => ({
    name: `lapse_local_${start}_${short}`,
    password: randomBytes(24).toString('hex'),
  }));
};

/** Returns the roles of Lapse that were not there before. */
export async function ensureLogins(ownerUrl: string, logins: Logins, passing: boolean): Promise<Role[]> {
  return asOwner(ownerUrl, async (client) => {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [ROLES_LOCK]);
    const has = async (name: string) =>
      (await client.query('select from pg_roles where rolname = $1', [name])).rowCount === 1;
    const before: Role[] = [];
    for (const role of ROLES) if (await has(role)) before.push(role);
    await ensureRoles(client);
    for (const role of ROLES) {
      const { name, password } = logins[role];
      if (!(await has(name))) await client.query(`create role ${name} login in role ${role}`);
      await client.query(`alter role ${name} password '${password}'`);
      // One that a killed process leaves behind opens nothing tomorrow.
      if (passing)
        await client.query(
          `do $$ begin execute format('alter role ${name} valid until %L', now() + interval '1 day'); end $$`,
        );
    }
    await client.query('commit');
    return ROLES.filter((role) => !before.includes(role));
  });
}

/** The logins, and the roles where they were made for them and nothing uses them. */
export async function dropLogins(ownerUrl: string, logins: Logins, roles: readonly Role[]): Promise<void> {
  await asOwner(ownerUrl, async (client) => {
    for (const { name } of Object.values(logins)) await client.query(`drop role if exists ${name}`);
    for (const role of roles) await client.query(`drop role if exists ${role}`).catch(() => undefined);
  });
}

/**
 * Makes a database, empty or as a copy. Copying needs the template without sessions, and two copies at once
 * disturb each other: they queue.
 */
export async function createDatabase(ownerUrl: string, name: string, template = 'template0'): Promise<void> {
  await asOwner(ownerUrl, async (client) => {
    await client.query('select pg_advisory_lock($1)', [CREATE_LOCK]);
    const { rows } = await client.query(
      `select current_setting('server_version_num')::int >= 150000 as chooses`,
    );
    // Before PostgreSQL 15 it is the only way, and has no name.
    const strategy = rows[0]?.chooses ? 'strategy file_copy' : '';
    await client.query(`create database ${quoted(name)} template ${quoted(template)} ${strategy}`);
  });
}

export async function databaseExists(ownerUrl: string, name: string): Promise<boolean> {
  return asOwner(ownerUrl, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    return rowCount === 1;
  });
}

/** Ends the sessions that are still in it. No error when it is not there. */
export async function dropDatabase(ownerUrl: string, name: string): Promise<void> {
  await asOwner(ownerUrl, (client) => client.query(`drop database if exists ${quoted(name)} with (force)`));
}

async function asOwner<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
  } catch (error) {
    if (new URL(url).password === '' && /password|SASL/i.test(String(error))) {
      throw new Error(
        `the address of ${new URL(url).host} has no password and the server asks for one: postgresql://owner:password@…`,
      );
    }
    throw error;
  }
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
