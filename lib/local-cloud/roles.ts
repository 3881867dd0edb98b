/**
 * The database side of the local cloud: the roles that a deployment has, and whole databases made, copied and
 * dropped. `lapse_app` is the group the migrations grant to; `lapse_local_app` logs in and is its member, so
 * nothing runs with more rights here than in production.
 */
import { createHmac } from 'node:crypto';
import { Client } from 'pg';

export const APP_LOGIN = 'lapse_local_app';

/** One key for all such changes of one server: tests start several local clouds over it at once. */
const ROLES_LOCK = 7_300_001;
const CREATE_LOCK = 7_300_002;

/** The same for every local cloud over the same server, so that none locks the others out. */
export function appPassword(ownerUrl: string): string {
  const { username, password } = new URL(ownerUrl);
  return createHmac('sha256', password || 'no-password')
    .update(`${username}:${APP_LOGIN}`)
    .digest('hex')
    .slice(0, 32);
}

export async function ensureRoles(ownerUrl: string): Promise<void> {
  const password = appPassword(ownerUrl);
  await asOwner(ownerUrl, async (client) => {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [ROLES_LOCK]);
    const { rows } = await client.query<{ rolname: string }>(
      'select rolname from pg_roles where rolname = any($1)',
      [['lapse_app', APP_LOGIN]],
    );
    const there = new Set(rows.map((r) => r.rolname));
    if (!there.has('lapse_app')) await client.query('create role lapse_app nologin');
    if (!there.has(APP_LOGIN)) await client.query(`create role ${APP_LOGIN} login in role lapse_app`);
    // An address may be given again with another owner password: the login follows it.
    await client.query(`alter role ${APP_LOGIN} password '${password}'`);
    await client.query('commit');
  });
}

/**
 * Makes a database, empty or as a copy. Copying needs the template without sessions, and two copies at once
 * disturb each other: they queue.
 */
export async function createDatabase(ownerUrl: string, name: string, template = 'template0'): Promise<void> {
  await asOwner(ownerUrl, async (client) => {
    await client.query('select pg_advisory_lock($1)', [CREATE_LOCK]);
    await client.query(`create database ${quoted(name)} template ${quoted(template)} strategy file_copy`);
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
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
