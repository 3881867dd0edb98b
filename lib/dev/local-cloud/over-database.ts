/**
 * The local cloud in front of a PostgreSQL of your own: Redis, Blob and SQL over HTTP here, the rows there.
 * Nothing is changed in that database without being asked for, and what will be changed is said first: Lapse's schema
 * and roles with `migrate`, and logins for this start, which go with it, unless one is given.
 */
import { join } from 'node:path';
import { migrate } from '../migrate';
import { Client } from './client';
import { type LocalCloud, startLocalCloud } from './index';
import type { Login } from './roles';

export interface OverDatabase {
  /** Its owner's address, `postgresql://owner:password@host:5432/database`, with `sslmode` as libpq has it. */
  readonly database: string;
  /** Brings Lapse's schema up to date there; otherwise a database without it is refused. */
  readonly migrate: boolean;
  /** The app's own login, which is there already; otherwise logins are made for this start. */
  readonly login?: Login;
  /** A line for the person who asked: what is there, and what is about to be changed. */
  readonly say: (line: string) => void;
  /** Where Redis and Blob are kept; of each database its own below `.lapse` unless given. */
  readonly folder?: string;
  readonly handleSignals?: boolean;
}

export interface Over {
  readonly cloud: LocalCloud;
  /** The settings an app needs, with a login for each role of Lapse. */
  readonly env: Record<string, string>;
}

/** Lapse is tested on these. */
const OLDEST = 140_000;

export async function startOverDatabase(options: OverDatabase): Promise<Over> {
  const address = readAddress(options.database);
  const found = await look(address);
  options.say(inWords(address, found));
  refuseUnfit(address, found, options);
  if (options.migrate) {
    options.say(WILL_MIGRATE);
    const ran = await migrate(address.url, {
      sets: ['retention'],
      direction: 'up',
      say: (line) => options.say(`done: ${line}`),
    });
    options.say(ran.length > 0 ? `done: ${ran.join(', ')}` : 'it was up to date');
  }
  if (!options.login) options.say(WILL_LOG_IN);
  const cloud = await startLocalCloud({
    folder: options.folder ?? join('.lapse', address.folder),
    postgresUrl: address.url,
    ...(options.login ? { login: options.login } : {}),
    ...(options.handleSignals === undefined ? {} : { handleSignals: options.handleSignals }),
  });
  return { cloud, env: cloud.env(address.database) };
}

const WILL_MIGRATE =
  'about to bring up schema retention (with its books in lapse_meta) and the roles of Lapse; PUBLIC loses the right to ' +
  'create temporary tables, roles that use tables here keep it; no table of yours is changed. To take all of it back: ' +
  'npm run migrate -- down --count 999';
const WILL_LOG_IN =
  'about to make three logins of random names and passwords for this start, one for each role of Lapse; they are dropped when this ends, and open nothing after a day';

interface Address {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Below `.lapse`. */
  readonly folder: string;
}

/** Throws what is wrong with it, in words. */
function readAddress(text: string): Address {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error(`--database: ${FORM}`);
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  if (!/^postgres(ql)?:$/.test(url.protocol) || !url.hostname || !url.username || !database) {
    throw new Error(`--database: ${FORM}`);
  }
  const port = Number(url.port || 5432);
  const folder = `over-${url.hostname}-${port}-${database}`.replaceAll(/[^A-Za-z0-9._-]/g, '_');
  return { url: text, host: url.hostname, port, database, folder };
}
const FORM =
  'write the address of its owner as postgresql://owner:password@host:5432/database (over TCP; a socket or a pooler does not do)';

interface Found {
  readonly number: number;
  readonly version: string;
  readonly role: string;
  readonly standby: boolean;
  readonly makes_roles: boolean;
  readonly has_lapse: boolean;
}

async function look(address: Address): Promise<Found> {
  const client = new Client({ connectionString: address.url });
  try {
    await client.connect();
    const { rows } = await client.query<Found>(`select current_setting('server_version_num')::int as number,
      current_setting('server_version') as version, current_user as role, pg_is_in_recovery() as standby,
      rolsuper or rolcreaterole as makes_roles, to_regclass('retention.run') is not null as has_lapse
      from pg_roles where rolname = current_user`);
    return rows[0]!;
  } catch (error) {
    const why = error instanceof Error ? error.message || error.name : String(error);
    throw new Error(`${address.host}:${address.port} does not let this address in: ${why}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}

const inWords = (a: Address, f: Found): string =>
  `PostgreSQL ${f.version} at ${a.host}:${a.port}, database ${a.database}, as ${f.role}; Lapse's schema is ${f.has_lapse ? 'there' : 'not there'}`;

function refuseUnfit(address: Address, found: Found, options: OverDatabase): void {
  if (found.number < OLDEST)
    throw new Error(`PostgreSQL ${found.version} is too old: Lapse needs 14 or newer`);
  if (found.standby) throw new Error(`${address.host} is a standby: use the address of its primary`);
  if (!found.has_lapse && !options.migrate) {
    throw new Error(
      `${address.database} has no schema retention, and nothing was changed: run this again with --migrate, or npm run migrate yourself`,
    );
  }
  if (!found.makes_roles && !options.login) {
    throw new Error(
      `${found.role} may not make roles, so no login was made and nothing was changed: have one created (create role lapse login password '…' in role lapse_app, lapse_operator, lapse_reader) and pass it with --login lapse:password`,
    );
  }
}
