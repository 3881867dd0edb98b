/**
 * Sessions behind the Neon endpoint: one pool per connection string. The user, password and database are the
 * client's own, so PostgreSQL itself refuses a wrong one; host and port have to be the server's we stand before.
 */
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientConfig, Pool, type PoolClient } from 'pg';
import { Client } from '../client';

/** Neon's proxy keeps as many per endpoint; when none is free it opens another, until PostgreSQL has no connection left. */
const MOST_KEPT = 20;
/** Long enough for a run's batches, short enough that a hundred test databases do not use up max_connections. */
const IDLE_MS = 5_000;
/** An idle session ends within a few milliseconds; waiting longer would mean waiting for another statement. */
const LEAVE_MS = 200;

export interface Upstream {
  readonly host: string;
  readonly port: number;
  /** How to speak TLS with a server elsewhere; false for none. */
  readonly tls: NonNullable<ClientConfig['ssl']>;
}

/** For a service that many share; without them a session is opened whenever none is free. */
export interface SessionLimits {
  /** Sessions of one login. */
  readonly most?: number;
  /** How long a request waits for one of them, and for the server to let it in. */
  readonly waitMs?: number;
  readonly idleMs?: number;
}

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Throws when the string is not a PostgreSQL URL with a user and a database. */
export function readLogin(connectionString: string): Login {
  const url = new URL(connectionString);
  if (!/^postgres(ql)?:$/.test(url.protocol)) throw new Error('not a postgres URL');
  const login = {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
  };
  if (!login.user || !login.database) throw new Error('no user or no database');
  return login;
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]', '::1'];

/** What is wrong with asking this server under that address; null when it is its own. */
export function foreignAddress(connectionString: string, upstream: Upstream): string | null {
  const { hostname, port } = new URL(connectionString);
  const same = (host: string) => (LOOPBACK.includes(host) ? 'localhost' : host.toLowerCase());
  const asked = Number(port || 5432);
  if (same(hostname) === same(upstream.host) && asked === upstream.port) return null;
  return (
    `this endpoint serves the PostgreSQL at ${upstream.host}:${upstream.port} only, and the address names ` +
    `${hostname}:${asked}: use the DATABASE_URL that npm run local prints, or start the local cloud over that server`
  );
}

/** Every value stays the text PostgreSQL sent: the client converts. */
const asText = { getTypeParser: () => (value: string) => value } as unknown as ClientConfig['types'];

export class Sessions {
  readonly #pools = new Map<string, { pool: Pool; login: Login }>();

  constructor(
    readonly upstream: Upstream,
    private readonly limits: SessionLimits = {},
  ) {}

  config(login: Login): ClientConfig {
    return {
      host: this.upstream.host,
      port: this.upstream.port,
      ...login,
      types: asText,
      ssl: this.upstream.tls,
    };
  }

  async acquire(login: Login): Promise<PoolClient> {
    const key = JSON.stringify(login);
    let entry = this.#pools.get(key);
    if (!entry) {
      const pool = new Pool({
        ...this.config(login),
        Client,
        max: this.limits.most ?? Number.POSITIVE_INFINITY,
        idleTimeoutMillis: this.limits.idleMs ?? IDLE_MS,
        ...(this.limits.waitMs === undefined ? {} : { connectionTimeoutMillis: this.limits.waitMs }),
      });
      // A session that dies while idle (server stopped, database dropped) is only removed from the pool.
      pool.on('error', () => {});
      // One that dies between two statements of a request makes the next one fail, which reports it.
      pool.on('connect', (client) => client.on('error', () => {}));
      entry = { pool, login };
      this.#pools.set(key, entry);
    }
    try {
      return await entry.pool.connect();
    } catch (error) {
      // A client that tries passwords must not leave a pool behind for each.
      if (entry.pool.totalCount === 0 && this.#pools.get(key) === entry) {
        this.#pools.delete(key);
        void entry.pool.end();
      }
      throw error;
    }
  }

  /** Returns a session to the pool, or ends it: because it is `broken`, or because enough are kept. */
  release(login: Login, session: PoolClient, broken: boolean): void {
    const pool = this.#pools.get(JSON.stringify(login))?.pool;
    session.release(broken || pool === undefined || pool.idleCount >= MOST_KEPT);
  }

  /** Ends every idle session of one database, so that it can be dropped or copied; busy ones end when done. */
  async leave(database: string): Promise<void> {
    const theirs = [...this.#pools].filter(([, entry]) => entry.login.database === database);
    for (const [key] of theirs) this.#pools.delete(key);
    const ended = Promise.all(theirs.map(([, entry]) => entry.pool.end()));
    await Promise.race([ended, sleep(LEAVE_MS, undefined, { ref: false })]);
  }

  async close(): Promise<void> {
    const entries = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(entries.map((entry) => entry.pool.end()));
  }

  /** PostgreSQL's CancelRequest: a connection of its own that names the session to interrupt. */
  async cancel(session: PoolClient): Promise<void> {
    const { processID, secretKey } = session as unknown as { processID: number; secretKey: number };
    if (this.upstream.tls) return this.#cancelByStatement(session, processID);
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE(80877102, 4);
    packet.writeInt32BE(processID, 8);
    packet.writeInt32BE(secretKey, 12);
    await new Promise<void>((done) => {
      const socket = createConnection(this.upstream.port, this.upstream.host, () => socket.end(packet));
      socket.once('error', () => done());
      socket.once('close', () => done());
      socket.resume();
    });
  }

  async #cancelByStatement(session: PoolClient, processID: number): Promise<void> {
    const { user, password, database } = session as unknown as Login;
    const client = new Client(this.config({ user, password, database }));
    try {
      await client.connect();
      await client.query('select pg_cancel_backend($1)', [processID]);
    } catch {
      // The session may have ended by itself; nothing is left to cancel then.
    } finally {
      await client.end().catch(() => {});
    }
  }
}
