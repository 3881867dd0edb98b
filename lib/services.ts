/**
 * Everything a run needs, made once per instance and passed in: tests pass their own clock and addresses.
 * Holds no state of any run: overlapping invocations share one instance on Vercel.
 */
import { connectBlob } from './platform/blob';
import type { Backoff, Context } from './platform/context';
import { connect, type Database } from './platform/database';
import { SettingsError } from './platform/errors';
import { createLog } from './platform/log';
import { fitLogin, type Role } from './platform/login';
import { connectRedis } from './platform/redis';
import { readSettings, type Settings } from './platform/settings';
import { resolvePolicies } from './policies';
import type { Policy } from './policies/contract';
import { dataMap } from './policies/data-map';
import type { DataMap } from './policies/data-map-contract';
import { missingForNotices } from './policies/notice';
import type { OrderReview } from './policies/order-contract';
import { orderReview } from './policies/order-review';

/** From 50 ms to 2 s, doubled with jitter: about 8 s in all, well inside a run (R8). */
const BACKOFF: Backoff = { retries: 8, minTimeout: 50, maxTimeout: 2_000, factor: 2, randomize: true };

export interface Services extends Context {
  readonly policies: readonly Policy[];
  /** What was decided about each table, and what an erasure does with each personal column. */
  readonly dataMap: DataMap;
  /** P9; undefined where none is declared. */
  readonly orderReview: OrderReview | undefined;
}

/** Throws SettingsError naming every variable that is missing or wrong; then nothing runs. */
export function createServices(env: Record<string, string | undefined> = process.env): Services {
  const settings = readSettings(env);
  const policies = resolvePolicies(env);
  const missing = missingForNotices(policies, settings);
  if (missing.length > 0) throw new SettingsError(missing);
  const log = createLog({ level: settings.logLevel });
  for (const warning of settings.warnings) log.warn({ event: 'settings.warning' }, warning);
  return {
    settings,
    policies,
    dataMap,
    orderReview,
    ...connections(settings),
    redis: connectRedis(settings.redisUrl, settings.redisToken, settings.namespace),
    blob: settings.blobToken === undefined ? undefined : connectBlob(settings.blobToken),
    clock: () => new Date(),
    log,
    backoff: BACKOFF,
  };
}

/** A login that may more than its role is refused on first use: lib/platform/login.ts. */
function connections({ databaseUrl, operatorUrl, readerUrl, neonHttpEndpoint, neonHttpToken }: Settings) {
  const as = (role: Role, variable: string, url: string | undefined): Database =>
    fitLogin(connect(url ?? databaseUrl, neonHttpEndpoint, neonHttpToken), {
      role,
      variable: url === undefined ? 'DATABASE_URL' : variable,
      ...(url === undefined && role !== 'lapse_app' ? { orVariable: variable } : {}),
    });
  return {
    database: as('lapse_app', 'DATABASE_URL', databaseUrl),
    deciding: as('lapse_operator', 'DATABASE_URL_OPERATOR', operatorUrl),
    reading: as('lapse_reader', 'DATABASE_URL_READER', readerUrl),
  };
}

let made: Services | null = null;

/** The services of this instance, made on first use. Clients only: no state of a run is kept here. */
export function services(): Services {
  made ??= createServices();
  return made;
}
