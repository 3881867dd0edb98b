/**
 * The whole cloud on one machine: a real PostgreSQL behind Neon's HTTP protocol, the Upstash REST protocol,
 * and the Vercel Blob API, served by this process on one port of the loopback interface. The unchanged
 * clients talk to it; only lib/dev/cli and the tests import it. Its state lies in one folder and survives a stop.
 */
import { join, resolve } from 'node:path';
import { parseIntoClientConfig } from 'pg-connection-string';
import { blobEndpoint } from './blob/endpoint';
import { BlobStore } from './blob/store';
import { FaultInjector, type Faults } from './faults';
import { markRunning, readSecrets, refuseIfInUse, unmark } from './folder';
import { type RunningPostgres, startPostgres } from './postgres/start';
import type { RedisBackend } from './redis/backend';
import { RedisEngine } from './redis/engine';
import { RedisConnection } from './redis/resp';
import { redisEndpoint } from './redis/rest';
import {
  createDatabase,
  databaseExists,
  dropDatabase,
  dropLogins,
  embeddedLogins,
  ensureLogins,
  type Login,
  passingLogins,
} from './roles';
import { type Control, serve } from './server';
import { sqlEndpoint } from './sql/endpoint';
import { Sessions } from './sql/sessions';

export type { Fault, FaultRequest, Faults } from './faults';

export interface LocalCloudOptions {
  /** Where everything is kept; made when missing. One local cloud at a time. */
  readonly folder: string;
  /** A free one unless given. */
  readonly port?: number;
  /** Owner's address of a PostgreSQL to use instead of the embedded one. */
  readonly postgresUrl?: string;
  /** A login that does for the app, operators and readers, where there is one; otherwise three are made. Only with `postgresUrl`. */
  readonly login?: Login;
  /** Address of a real Redis (`redis://…`) to use instead of the built-in engine. */
  readonly redisUrl?: string;
  /** False for throw-away data: no waiting for the disk. Default true. */
  readonly durable?: boolean;
  /** `memory` keeps blobs nowhere else: for tests with very many. Default `files`. */
  readonly contents?: 'memory' | 'files';
  /** URLs the store accepts in one delete. */
  readonly maxBlobDeletes?: number;
  /** Milliseconds since 1970, for the expiry of keys in the built-in engine and the upload time of blobs. */
  readonly clock?: () => number;
  readonly faults?: Faults;
  /** Stop on SIGINT and SIGTERM and end the process. Default true; false when the caller does so itself. */
  readonly handleSignals?: boolean;
}

export interface LocalCloud {
  readonly url: string;
  /** The settings an app needs to use `database`, with a login for each role of Lapse. */
  env(database: string): Record<string, string>;
  /** The superuser's address of `database`, over TCP. */
  ownerUrl(database: string): string;
  createDatabase(name: string, template?: string): Promise<void>;
  databaseExists(name: string): Promise<boolean>;
  /** Ends the sessions in it first. */
  dropDatabase(name: string): Promise<void>;
  /** The store itself: bulk loads for seeds, and a look behind the API for tests. */
  readonly blob: BlobStore;
  /** Redis itself, past the REST protocol and its faults; texts are byte strings. */
  readonly redis: RedisBackend;
  /** What a Node process needs in NODE_OPTIONS for the Blob client's `get()` to come here. */
  readonly nodeOptions: string;
  /** See faults.ts; undefined makes everything well again. */
  setFaults(faults: Faults | undefined): void;
  /** Saves the state and stops everything that was started here. Safe to call twice. */
  stop(): Promise<void>;
}

const OWNER = 'postgres';
/** Vercel documents no limit of its own. */
const MAX_BLOB_DELETES = 1000;

export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  const folder = resolve(options.folder);
  const durable = options.durable ?? true;
  const clock = options.clock ?? Date.now;
  await refuseIfInUse(folder);
  const secrets = await readSecrets(folder);
  const undo: (() => Promise<unknown>)[] = [];
  let undone: Promise<void> | undefined;
  const undoAll = () => {
    undone ??= (async () => {
      for (const step of undo.reverse()) await step();
    })();
    return undone;
  };
  try {
    const postgres = options.postgresUrl
      ? undefined
      : await startPostgres({
          folder: join(folder, 'postgres'),
          user: OWNER,
          password: secrets.ownerPassword,
          durable,
        });
    if (postgres) undo.push(() => postgres.stop());
    const owner = new URL(
      options.postgresUrl ??
        `postgresql://${OWNER}:${secrets.ownerPassword}@${postgres!.host}:${postgres!.port}/postgres`,
    );
    const logins = postgres ? embeddedLogins(secrets.ownerPassword) : passingLogins();
    if (!options.login) {
      const made = await ensureLogins(owner.href, logins, !postgres);
      if (!postgres) undo.push(() => dropLogins(owner.href, logins, made));
    }
    const sessions = new Sessions({
      host: owner.hostname,
      port: Number(owner.port || 5432),
      // One reading of sslmode, here and for the owner's own sessions: a certificate that has to be verified is.
      tls: parseIntoClientConfig(owner.href).ssl ?? false,
    });
    undo.push(() => sessions.close());
    const redis = options.redisUrl
      ? new RedisConnection(options.redisUrl)
      : new RedisEngine({ file: join(folder, 'redis.json'), clock });
    undo.push(() => redis.close());
    const blob = new BlobStore({
      folder: join(folder, 'blob'),
      durable,
      contents: options.contents ?? 'files',
      clock,
    });
    undo.push(async () => blob.close());
    const blobToken = `vercel_blob_rw_${secrets.blobStoreId}_${secrets.blobSecret}`;
    const faults = new FaultInjector(options.faults);
    const handlers = [
      sqlEndpoint(sessions),
      redisEndpoint(redis, secrets.redisToken),
      blobEndpoint({
        store: blob,
        token: blobToken,
        maxDeletes: options.maxBlobDeletes ?? MAX_BLOB_DELETES,
        address: () => ({ storeId: secrets.blobStoreId, filesUrl: `${url}/blob/files` }),
      }),
    ];
    const http = await serve(handlers, faults, options.port ?? 0, control(folder, sessions));
    undo.push(() => http.close());
    const url = `http://127.0.0.1:${http.port}`;
    await markRunning(folder, url);
    undo.push(() => unmark(folder));

    const ownerUrl = (database: string) => {
      const at = new URL(owner);
      at.pathname = `/${encodeURIComponent(database)}`;
      return at.href;
    };
    const cloud: LocalCloud = {
      url,
      ownerUrl,
      env: (database) => {
        const as = ({ name, password }: Login) => {
          const at = new URL(ownerUrl(database));
          at.username = name;
          at.password = password;
          return at.href;
        };
        return {
          DATABASE_URL: as(options.login ?? logins.lapse_app),
          ...(options.login
            ? {}
            : {
                DATABASE_URL_OPERATOR: as(logins.lapse_operator),
                DATABASE_URL_READER: as(logins.lapse_reader),
              }),
          MIGRATION_DATABASE_URL: ownerUrl(database),
          NEON_HTTP_ENDPOINT: `${url}/sql`,
          UPSTASH_REDIS_REST_URL: `${url}/redis`,
          UPSTASH_REDIS_REST_TOKEN: secrets.redisToken,
          BLOB_READ_WRITE_TOKEN: blobToken,
          VERCEL_BLOB_API_URL: `${url}/blob`,
          // The client's own ten retries take up to half an hour.
          VERCEL_BLOB_RETRIES: '1',
        };
      },
      createDatabase: async (name, template) => {
        if (template) await sessions.leave(template);
        await createDatabase(owner.href, name, template);
      },
      databaseExists: (name) => databaseExists(owner.href, name),
      dropDatabase: async (name) => {
        await sessions.leave(name);
        await dropDatabase(owner.href, name);
      },
      blob,
      redis,
      nodeOptions: `--import=${new URL('./preload.mjs', import.meta.url)}`,
      setFaults: (next) => faults.set(next),
      stop: undoAll,
    };
    stopWithProcess(undo, postgres, options.handleSignals ?? true, undoAll);
    return cloud;
  } catch (error) {
    await undoAll();
    throw error;
  }
}

/**
 * `GET /local-cloud` tells a second start in the same folder that this one is alive (folder.ts);
 * `DELETE /local-cloud/sessions?database=` lets another process end a database's sessions before it drops it,
 * because PostgreSQL waits 100 ms for each drop that finds one.
 */
function control(folder: string, sessions: Sessions): Control {
  return async (method, url) => {
    if (method === 'DELETE' && url.pathname === '/local-cloud/sessions') {
      await sessions.leave(url.searchParams.get('database') ?? '');
    }
    return { folder };
  };
}

/**
 * Ctrl-C and SIGTERM stop everything in order and then end the process as the signal would have. A process
 * that exits by itself cannot wait: PostgreSQL gets the signal to stop and does so alone.
 */
function stopWithProcess(
  undo: (() => Promise<unknown>)[],
  postgres: RunningPostgres | undefined,
  handleSignals: boolean,
  undoAll: () => Promise<void>,
): void {
  const onExit = () => postgres?.stopNow();
  process.once('exit', onExit);
  undo.push(async () => process.removeListener('exit', onExit));
  if (!handleSignals) return;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const onSignal = () => {
      void undoAll().finally(() => process.kill(process.pid, signal));
    };
    process.once(signal, onSignal);
    undo.push(async () => process.removeListener(signal, onSignal));
  }
}
