/**
 * All settings, read once and checked all at once: a missing or bad one names itself and nothing runs.
 * The environment holds secrets, addresses and the few knobs the requirements name; other bounds are
 * constants beside the code they bound. Retention periods are read by lib/policies (their variables are
 * declared by the policies themselves).
 */
import { z } from 'zod';
import { SettingsError } from './errors';
import { MAX_DURATION_SECONDS } from './jobs';
import { KEY } from './keys';
import { type AlertSettings, alertEnvironment, alertSettings } from './settings/alerts';
import { databaseEnvironment, databaseProblems } from './settings/databases';
import { type LinkSettings, linkEnvironment, linkSettings } from './settings/links';
import { type NoticeSettings, noticeEnvironment, noticeSettings } from './settings/notices';
import { type Operator, operatorList, signingKey } from './settings/operators';
import { type OrderSettings, orderEnvironment, orderSettings } from './settings/orders';
import { isPrivate } from './transport';

const truthy = ['1', 'true', 'yes'];
const falsy = ['0', 'false', 'no', ''];

/** R9: true/1/yes in any case. An unreadable value is refused, never read as false. */
const flag = z
  .string()
  .default('')
  .transform((v) => v.trim().toLowerCase())
  .refine((v) => truthy.includes(v) || falsy.includes(v), 'must be true, 1, yes, false, 0 or no')
  .transform((v) => truthy.includes(v));

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

const secret = z
  .string({ error: 'is required: at least 16 random characters' })
  .min(16, 'must be at least 16 characters')
  .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces');

/** An address that is sent secrets: over TLS, but for a server on this machine. */
const privateUrl = (error: string) =>
  z
    .url({ error })
    .refine(isPrivate, 'must begin with https://: secrets are sent to it (http:// only on this machine)');

const key32 = z.string().regex(KEY, 'must be 64 hexadecimal digits: openssl rand -hex 32');

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** In any letter case, and also by the name that other languages use. */
const logLevel = z
  .string()
  .default('info')
  .transform((v) => v.trim().toLowerCase())
  .transform((v) => (v === 'warning' ? 'warn' : v))
  .pipe(z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')} (or WARNING)` }));

const onOff = z
  .enum(['on', 'off'], { error: 'must be on or off' })
  .default('on')
  .transform((v) => v === 'on');

const Environment = z.object({
  ...databaseEnvironment,
  /** Only if Neon's HTTP protocol is served elsewhere than at the host's own /sql (a proxy of your own). */
  NEON_HTTP_ENDPOINT: privateUrl('must be a URL').optional(),
  /** The bearer that a proxy of your own asks for; only with NEON_HTTP_ENDPOINT. */
  NEON_HTTP_TOKEN: secret.optional(),
  UPSTASH_REDIS_REST_URL: privateUrl('is required: the REST URL of the Upstash database'),
  UPSTASH_REDIS_REST_TOKEN: z.string({ error: 'is required' }).min(1, 'must not be empty'),
  BLOB_READ_WRITE_TOKEN: z.string().min(1, 'must not be empty').optional(),
  CRON_SECRET: secret,
  /** Each is still accepted, with a warning in the log, while its successor is being rolled out. */
  CRON_SECRET_PREVIOUS: secret.optional(),
  METRICS_TOKEN_PREVIOUS: secret.optional(),
  CLEANUP_BATCH_SIZE: whole(1, 10_000).default(1000),
  /** R2: lowered to what a function has. A day is more than any of them. */
  CLEANUP_MAX_DURATION_SECONDS: whole(1, 86_400).optional(),
  /** Batches side by side; as many as the server bears unless given, and small work uses one. */
  CLEANUP_LANES: whole(1, 8).optional(),
  /** R1: with more sessions than this inside transactions, or a standby further behind, the runner rests between batches. */
  CLEANUP_BUSY_SESSIONS: whole(1, 10_000).default(20),
  CLEANUP_REPLICATION_LAG_SECONDS: whole(1, 86_400).default(30),
  /** R1: the most of the time that a run works while others write; the rest is theirs. 100: always full speed. */
  CLEANUP_PERCENT_WHILE_OTHERS_WRITE: whole(5, 100).default(80),
  CLEANUP_DRY_RUN: flag,
  RETENTION_DRY_RUN: flag,
  /** Orphans are only reported until this is true. */
  RECONCILE_DELETE: flag,
  SLA_WARNING_THRESHOLD_PERCENT: whole(1, 1000).default(80),
  SLA_CRITICAL_THRESHOLD_PERCENT: whole(1, 1000).default(100),
  /** G2, R10: on unless switched off by name; a run says so when they are off. */
  LAPSE_MASS_DELETION_GUARD: onOff,
  LAPSE_PROGRESSIVE_ROLLOUT: onOff,
  /** G6: how long a shorter period, a downgrade or a removed override waits. */
  LAPSE_COOLING_OFF_DAYS: whole(0, 365).default(7),
  /** PostgreSQL is asked by each job at least this often, whatever is known; 0: by each call, as if nothing were known. */
  LAPSE_SAFETY_LOOK_HOURS: whole(0, 168).default(24),
  /** Named operators: name:role:sha256 of the token in hex, comma separated; the role may be left out. */
  LAPSE_OPERATORS: operatorList.default([]),
  /** Ed25519 private key, PKCS #8 in base64: signs the exported head of the audit chain. */
  LAPSE_AUDIT_SIGNING_KEY: signingKey.optional(),
  /** What is kept of people outside their tables is encrypted and hashed with keys derived from it. */
  LAPSE_RIGHTS_KEY: key32.optional(),
  /** What was encrypted with it is still read while it is set. */
  LAPSE_RIGHTS_KEY_PREVIOUS: key32.optional(),
  /** Of the keyed hash that a mask leaves: by a policy, or by an erasure. */
  LAPSE_MASK_KEY: key32.optional(),
  ...orderEnvironment,
  ...alertEnvironment,
  ...linkEnvironment,
  ...noticeEnvironment,
  /** Bearer of /api/metrics and of the details of /api/health. */
  METRICS_TOKEN: secret.optional(),
  LOG_LEVEL: logLevel,
  SENTRY_DSN: z.url('must be a URL').optional(),
  /** Two installations may share one Redis: each has its own names. */
  LAPSE_NAMESPACE: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 lower-case letters, digits or dashes')
    .optional(),
  /** What the console's sessions are encrypted with (lib/http/console/session.ts); without it no one can sign in. */
  LAPSE_SESSION_SECRET: z
    .string()
    .min(32, 'must be at least 32 characters: openssl rand -base64 48')
    .optional(),
  VERCEL_ENV: z.string().optional(),
  VERCEL_TARGET_ENV: z.string().optional(),
  VERCEL_GIT_COMMIT_SHA: z.string().optional(),
});

/** Every variable that is read here, for the check of .env.example. */
export const SETTING_NAMES: readonly string[] = Object.keys(Environment.shape);

export interface PressureLimits {
  readonly sessions: number;
  readonly lagSeconds: number;
  /** At most of the time, while others write (lib/engine/run/duty.ts): above 0; 1 makes no room for them. */
  readonly shareInCompany: number;
}

export interface Settings {
  readonly databaseUrl: string;
  /** Undefined: DATABASE_URL's login does it, as a member of lapse_operator or lapse_reader. */
  readonly operatorUrl: string | undefined;
  readonly readerUrl: string | undefined;
  readonly neonHttpEndpoint: string | undefined;
  readonly neonHttpToken: string | undefined;
  readonly redisUrl: string;
  readonly redisToken: string;
  readonly blobToken: string | undefined;
  readonly cronSecret: string;
  /** R1: rows per batch to start from. */
  readonly batchSize: number;
  /** Undefined: as many as the server bears. */
  readonly lanes: number | undefined;
  /** Above these, others are assumed to need the database more (R1). */
  readonly pressure: PressureLimits;
  /** R2: can only lower the budget. */
  readonly maxDurationSeconds: number | undefined;
  /** Values that were not taken as written; logged at the start. */
  readonly warnings: readonly string[];
  /** R9: true when asked for, and always outside production. */
  readonly dryRun: boolean;
  /** Why `dryRun` is on, for the answer and the log; null when off. */
  readonly dryRunBecause: string | null;
  readonly production: boolean;
  /** The reconciliation may hand orphans to the outbox. */
  readonly reconcileDelete: boolean;
  /** The longest a job goes without asking PostgreSQL. */
  readonly safetyLookSeconds: number;
  readonly sla: { readonly warningPercent: number; readonly criticalPercent: number };
  readonly guards: {
    /** G2: the mass-deletion guard judges each run. */
    readonly massDeletion: boolean;
    /** R10: a new version deletes 10, 100, 1000, then all. */
    readonly rollout: boolean;
    readonly coolingOffSeconds: number;
  };
  readonly operators: readonly Operator[];
  /** Undefined: the console is closed. */
  readonly sessionSecret: string | undefined;
  readonly auditSigningKey: string | undefined;
  /** The one that encrypts and hashes first; each of them is read. */
  readonly rightsKeys: readonly string[];
  readonly maskKey: string | undefined;
  readonly orders: OrderSettings;
  readonly alerts: AlertSettings;
  /** Undefined: no signed link is made, and none is accepted. */
  readonly links: LinkSettings | undefined;
  /** Undefined: no organization is told anything. */
  readonly notices: NoticeSettings | undefined;
  readonly logLevel: string;
  readonly sentryDsn: string | undefined;
  /** Prefix of every Redis key; the environment's name unless set. */
  readonly namespace: string;
  readonly environment: string;
  readonly release: string | undefined;
}

/** Names the variable of each problem. `KV_REST_API_*` (Vercel's marketplace names) are accepted for Upstash's own. */
export function readSettings(env: Record<string, string | undefined>): Settings {
  const e = checked(env);
  if (e.SLA_WARNING_THRESHOLD_PERCENT > e.SLA_CRITICAL_THRESHOLD_PERCENT) {
    throw new SettingsError([
      'SLA_WARNING_THRESHOLD_PERCENT must not be above SLA_CRITICAL_THRESHOLD_PERCENT',
    ]);
  }
  const orders = orderSettings(e);
  const alerts = alertSettings(e);
  const links = linkSettings(e);
  const notices = noticeSettings(e);
  const problems = [
    ...databaseProblems(e),
    ...orders.problems,
    ...alerts.problems,
    ...links.problems,
    ...notices.problems,
    ...reused(e),
  ];
  if (problems.length > 0) throw new SettingsError(problems);
  const dryRunBecause = whyDry(e);
  return {
    databaseUrl: e.DATABASE_URL,
    operatorUrl: e.DATABASE_URL_OPERATOR,
    readerUrl: e.DATABASE_URL_READER,
    neonHttpEndpoint: e.NEON_HTTP_ENDPOINT,
    neonHttpToken: e.NEON_HTTP_TOKEN,
    redisUrl: e.UPSTASH_REDIS_REST_URL,
    redisToken: e.UPSTASH_REDIS_REST_TOKEN,
    blobToken: e.BLOB_READ_WRITE_TOKEN,
    cronSecret: e.CRON_SECRET,
    batchSize: e.CLEANUP_BATCH_SIZE,
    lanes: e.CLEANUP_LANES,
    pressure: {
      sessions: e.CLEANUP_BUSY_SESSIONS,
      lagSeconds: e.CLEANUP_REPLICATION_LAG_SECONDS,
      shareInCompany: e.CLEANUP_PERCENT_WHILE_OTHERS_WRITE / 100,
    },
    maxDurationSeconds: lowered(e.CLEANUP_MAX_DURATION_SECONDS),
    warnings: warningsOf(e),
    dryRun: dryRunBecause !== null,
    dryRunBecause,
    production: isProduction(e),
    reconcileDelete: e.RECONCILE_DELETE,
    safetyLookSeconds: e.LAPSE_SAFETY_LOOK_HOURS * 3_600,
    sla: slaOf(e),
    guards: guardsOf(e),
    operators: e.LAPSE_OPERATORS,
    ...keysOf(e),
    orders: orders.settings,
    alerts: alerts.settings,
    links: links.settings,
    notices: notices.settings,
    logLevel: e.LOG_LEVEL,
    sentryDsn: e.SENTRY_DSN,
    namespace: e.LAPSE_NAMESPACE ?? (e.VERCEL_TARGET_ENV ?? e.VERCEL_ENV ?? 'development').toLowerCase(),
    environment: e.VERCEL_TARGET_ENV ?? e.VERCEL_ENV ?? 'development',
    release: e.VERCEL_GIT_COMMIT_SHA,
  };
}

type Checked = z.output<typeof Environment>;

const keysOf = (
  e: Checked,
): Pick<Settings, 'sessionSecret' | 'auditSigningKey' | 'rightsKeys' | 'maskKey'> => ({
  sessionSecret: e.LAPSE_SESSION_SECRET,
  auditSigningKey: e.LAPSE_AUDIT_SIGNING_KEY,
  rightsKeys: [e.LAPSE_RIGHTS_KEY, e.LAPSE_RIGHTS_KEY_PREVIOUS].filter((key) => key !== undefined),
  maskKey: e.LAPSE_MASK_KEY,
});

function checked(env: Record<string, string | undefined>): Checked {
  const parsed = Environment.safeParse({
    ...env,
    UPSTASH_REDIS_REST_URL: env.UPSTASH_REDIS_REST_URL ?? env.KV_REST_API_URL,
    UPSTASH_REDIS_REST_TOKEN: env.UPSTASH_REDIS_REST_TOKEN ?? env.KV_REST_API_TOKEN,
  });
  if (parsed.success) return parsed.data;
  throw new SettingsError(parsed.error.issues.map((i) => `${i.path.join('.')} ${i.message}`));
}

const isProduction = (e: Checked): boolean => e.VERCEL_ENV === 'production';

/** Null: deletions are real. */
function whyDry(environment: Checked): string | null {
  if (!isProduction(environment))
    return `not production (VERCEL_ENV is ${environment.VERCEL_ENV ?? 'unset'})`;
  if (environment.CLEANUP_DRY_RUN) return 'CLEANUP_DRY_RUN';
  return environment.RETENTION_DRY_RUN ? 'RETENTION_DRY_RUN' : null;
}

const Guards = Environment.pick({
  LAPSE_MASS_DELETION_GUARD: true,
  LAPSE_PROGRESSIVE_ROLLOUT: true,
  LAPSE_COOLING_OFF_DAYS: true,
});

/** The guard rails alone, for a command that needs nothing else of the environment. */
export function guardSettings(env: Record<string, string | undefined>): Settings['guards'] {
  const parsed = Guards.safeParse(env);
  if (parsed.success) return guardsOf(parsed.data);
  throw new SettingsError(parsed.error.issues.map((i) => `${i.path.join('.')} ${i.message}`));
}

const slaOf = (e: Checked): Settings['sla'] => ({
  warningPercent: e.SLA_WARNING_THRESHOLD_PERCENT,
  criticalPercent: e.SLA_CRITICAL_THRESHOLD_PERCENT,
});

const guardsOf = (e: z.output<typeof Guards>): Settings['guards'] => ({
  massDeletion: e.LAPSE_MASS_DELETION_GUARD,
  rollout: e.LAPSE_PROGRESSIVE_ROLLOUT,
  coolingOffSeconds: e.LAPSE_COOLING_OFF_DAYS * 86_400,
});

const lowered = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : Math.min(seconds, MAX_DURATION_SECONDS);

function warningsOf(environment: Checked): string[] {
  const asked = environment.CLEANUP_MAX_DURATION_SECONDS;
  if (asked === undefined || asked <= MAX_DURATION_SECONDS) return [];
  return [
    `CLEANUP_MAX_DURATION_SECONDS is ${asked}, more than the ${MAX_DURATION_SECONDS} seconds a function has; a run takes at most those, and the next one resumes it`,
  ];
}

/** One value for two purposes would grant with one secret what needs the other. */
function reused(environment: Checked): string[] {
  const values = new Map<string, string>();
  const problems: string[] = [];
  for (const name of ['CRON_SECRET', 'METRICS_TOKEN', 'LAPSE_SESSION_SECRET'] as const) {
    const value = environment[name];
    if (value === undefined) continue;
    const other = values.get(value);
    if (other)
      problems.push(`${name} must not have the same value as ${other}: each grants different access`);
    values.set(value, name);
  }
  return problems;
}
