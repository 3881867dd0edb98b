/**
 * The database side of the local cloud: the roles that a deployment has, and whole databases made, copied and
 * dropped. `lapse_app` is the group the migrations grant to; the app logs in as a member of it, so nothing runs with more rights here than in production.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** The app's login. */
export interface Login {
  readonly name: string;
  readonly password: string;
}

/** One key for all such changes of one server: tests start several local clouds over it at once. */
const ROLES_LOCK = 7_300_001;
const CREATE_LOCK = 7_300_002;

/** On the server of one folder: the same at every start, from the random password of its owner. */
export const embeddedLogin = (ownerPassword: string): Login => ({
  name: 'lapse_local_app',
  password: createHmac('sha256', ownerPassword).update('lapse_local_app').digest('hex').slice(0, 32),
});

/** On a server that is not the local cloud's own: for this start only, dropped when it ends. */
export const passingLogin = (): Login => ({
  name: `lapse_local_${randomBytes(6).toString('hex')}`,
  password: randomBytes(24).toString('hex'),
});

/** True when the group was not there before. */
export async function ensureRoles(ownerUrl: string, login: Login, passing: boolean): Promise<boolean> {
  return asOwner(ownerUrl, async (client) => {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [ROLES_LOCK]);
    const has = async (name: string) =>
      (await client.query('select from pg_roles where rolname = $1', [name])).rowCount === 1;
    const isNew = !(await has('lapse_app'));
    if (isNew) await client.query('create role lapse_app nologin');
    if (!(await has(login.name))) await client.query(`create role ${login.name} login in role lapse_app`);
    await client.query(`alter role ${login.name} password '${login.password}'`);
    // One that a killed process leaves behind opens nothing tomorrow.
    if (passing)
      await client.query(
        `do $$ begin execute format('alter role ${login.name} valid until %L', now() + interval '1 day'); end $$`,
      );
    await client.query('commit');
    return isNew;
  });
}

/** The login, and the group where it was made for it and nothing uses it. */
export async function dropRoles(ownerUrl: string, login: Login, group: boolean): Promise<void> {
  await asOwner(ownerUrl, async (client) => {
    await client.query(`drop role if exists ${login.name}`);
    if (group) await client.query('drop role if exists lapse_app').catch(() => undefined);
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
