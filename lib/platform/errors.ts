/**
 * Every error Lapse raises on purpose, each carrying its subject and what to do next.
 * Errors of the services are mapped to these once, at the edge (lib/platform/database.ts, lib/platform/redis.ts, lib/platform/blob.ts),
 * so that no message holding row values or keys travels further (PLATFORM §E2).
 */

/** The base: `code` is stable and safe to log; `message` never holds row values. */
export class LapseError extends Error {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** One or more settings are missing or wrong. Lists each by its variable's name; nothing runs (G6). */
export class SettingsError extends LapseError {
  constructor(readonly problems: readonly string[]) {
    super(
      'settings',
      `Lapse cannot start. Fix these settings and deploy again:\n  - ${problems.join('\n  - ')}`,
    );
  }
}

/** A policy declaration breaks the contract of lib/policies/contract.ts. */
export class PolicyError extends LapseError {
  constructor(
    readonly policy: string,
    readonly problems: readonly string[],
  ) {
    super('policy', `Policy "${policy}" is not valid:\n  - ${problems.join('\n  - ')}`);
  }
}

/** The data map breaks the contract of lib/policies/data-map-contract.ts. */
export class DataMapError extends LapseError {
  constructor(readonly problems: readonly string[]) {
    super(
      'data_map',
      `The data map (lib/policies/data-map.ts) is not valid:\n  - ${problems.join('\n  - ')}`,
    );
  }
}

/** What keeps something from being done, and the statement or the step that fixes it. */
export interface Problem {
  readonly problem: string;
  readonly remedy: string;
  /** Rows may have no key before it is mended: not even a dry run can look at them. */
  readonly unnamed?: true;
}

/** The database is not fit for this policy yet; each problem names the statement that fixes it (R13). */
export class PreflightError extends LapseError {
  constructor(
    readonly policy: string,
    readonly problems: readonly Problem[],
  ) {
    super(
      'preflight',
      `Policy "${policy}" may not delete yet:\n${problems.map((p) => `  - ${p.problem}\n    ${p.remedy}`).join('\n')}`,
    );
  }
}

/**
 * What the caller of the database may do about a failure:
 * `transient` try again; `busy` someone else holds a lock, try again and do not count it as a failure;
 * `unknown` the answer was lost, the transaction may have committed; `poisoned` a row refuses to go;
 * `timeout` the statement ran out of time; `fenced` this run may no longer delete; `fatal` trying again does not help.
 */
export type DatabaseFailure = 'transient' | 'busy' | 'unknown' | 'poisoned' | 'timeout' | 'fenced' | 'fatal';

/** A failure of PostgreSQL or of the way to it. `sqlState` is null when no answer came. */
export class DatabaseError extends LapseError {
  constructor(
    readonly failure: DatabaseFailure,
    readonly sqlState: string | null,
    message: string,
    readonly at: { table?: string; constraint?: string } = {},
    options?: ErrorOptions,
  ) {
    super(`database.${failure}`, message, options);
  }

  /** Whether the same request may succeed when it is sent again. */
  get mayPass(): boolean {
    return ['transient', 'busy', 'unknown'].includes(this.failure);
  }
}

/** A login of the database that may not be used: nothing was asked with it. */
export class LoginError extends DatabaseError {
  constructor(message: string) {
    super('fatal', null, message);
  }
}

/** Redis did not answer or refused. Correctness never depends on it; a run that needs its lease stops. */
export class RedisError extends LapseError {
  constructor(message: string, options?: ErrorOptions) {
    super('redis', message, options);
  }
}

/**
 * What the caller of the store may do: `transient` try again, not before `retryAfterSeconds`; `not_found` no such
 * file; `changed` another file has that name now; `refused` the store never accepts this request; `fatal` nor any other.
 */
export type BlobFailure = 'transient' | 'not_found' | 'changed' | 'refused' | 'fatal';

/** A failure of Vercel Blob or of the way to it. The message never holds a file's name. */
export class BlobError extends LapseError {
  constructor(
    readonly failure: BlobFailure,
    message: string,
    readonly retryAfterSeconds: number | null = null,
    options?: ErrorOptions,
  ) {
    super(`blob.${failure}`, message, options);
  }
}

/** An archive cannot be used: `missing` not all of it is there, `damaged` it is not what was written. */
export class ArchiveError extends LapseError {
  constructor(
    readonly failure: 'missing' | 'damaged',
    message: string,
    options?: ErrorOptions,
  ) {
    super(`archive.${failure}`, message, options);
  }
}

/** A request to Lapse is wrong: `status` is the 4xx to answer, `field` the parameter at fault. */
export class RequestError extends LapseError {
  constructor(
    readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 410 | 413 | 422 | 429,
    code: string,
    message: string,
    readonly field?: string,
  ) {
    super(code, message);
  }
}

/** What logs, records and Sentry say about a failure: never words that Lapse did not write itself. */
export const codeOf = (error: unknown): string => (error instanceof LapseError ? error.code : 'unexpected');
