/** What Lapse depends on, and the two signs that it does its work: runs on their schedule, a whole end of the audit chain. */
import { z } from 'zod';
import { entryHash } from '../../operators/audit/hash';
import type { Database } from '../../platform/database';
import { oneRow, type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { actorsIn } from '../../platform/settings/operators';
import { sql, utc } from '../../platform/sql';
import { nextRun } from '../../policies/next-run';
import type { Services } from '../../services';
import { expectedOf } from '../expected';
import { healthy, PROBE_MS, type Probe } from './probe';

/** A name no file has: the store is asked whether it is there. */
const NO_FILE = '.lapse-health';

const MIGRATED = query(
  sql`select to_regclass('retention.run') is not null as migrated`,
  oneRow(z.object({ migrated: z.boolean() })),
);

export const databaseProbe = (services: Services): Probe => ({
  name: 'database',
  required: true,
  remedy: 'check DATABASE_URL and the state of the Neon project; no run deletes until it answers',
  ask: async () => {
    const { migrated } = await read(services.database, MIGRATED);
    return migrated
      ? healthy('answers')
      : { status: 'failed', message: 'it has no schema retention', remedy: 'run npm run migrate' };
  },
});

export const redisProbe = (services: Services): Probe => ({
  name: 'redis',
  required: true,
  remedy: 'check UPSTASH_REDIS_REST_URL, its token and the plan; no run starts without a lease',
  ask: async () => {
    await services.redis.get(`${services.redis.prefix}health`);
    return healthy('answers');
  },
});

const blobProbe = (services: Services): Probe => ({
  name: 'blob',
  required: false,
  remedy:
    'check BLOB_READ_WRITE_TOKEN and the state of the store; files wait in the outbox and are tried again',
  ask: async () => {
    if (!services.blob) {
      return {
        status: 'absent',
        message: 'no store: policies whose rows name files refuse to delete',
        remedy: 'set BLOB_READ_WRITE_TOKEN if there are any',
      };
    }
    await services.blob.head(NO_FILE);
    return healthy('answers');
  },
});

const LastRun = z.object({
  policy: z.string(),
  completed: z.number().nullable(),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
});
const LAST_RUNS = query(
  sql`select policy, extract(epoch from completed_at)::float8 as completed, outcome, reason from retention.last_run`,
  rows(LastRun),
);

/** The policy that is furthest behind its schedule; one that never did its work is behind as well. */
const runsProbe = (services: Services): Probe => ({
  name: 'runs',
  required: false,
  remedy: 'ask the database first: the runs are recorded there',
  ask: async () => {
    if (services.settings.dryRun) return healthy(`only dry runs here (${services.settings.dryRunBecause})`);
    const last = new Map((await read(services.reading, LAST_RUNS)).map((run) => [run.policy, run]));
    const now = services.clock().getTime();
    const behind = services.policies
      .map((p) => {
        const { name, schedule, latenessSeconds } = expectedOf(p);
        const completed = last.get(name)?.completed ?? null;
        if (completed === null) return { policy: name, seconds: Number.POSITIVE_INFINITY, latenessSeconds };
        const due = nextRun(schedule, new Date(completed * 1000))?.getTime() ?? now;
        return { policy: name, seconds: (now - due) / 1000, latenessSeconds };
      })
      .filter((b) => b.seconds > b.latenessSeconds)
      .sort((a, b) => b.seconds - a.seconds);
    const [worst] = behind;
    if (!worst) return healthy(`each of ${services.policies.length} policies did its work on its schedule`);
    const how = Number.isFinite(worst.seconds)
      ? `its next run was due ${Math.round(worst.seconds / 60)} minutes ago`
      : 'it never did its work';
    const latest = last.get(worst.policy);
    const why = latest
      ? `; its latest run: ${[latest.outcome, latest.reason].filter(Boolean).join(', ')}`
      : '';
    return {
      status: 'failed',
      message: `${behind.length} of ${services.policies.length} policies are behind, first ${worst.policy}: ${how}${why}`,
      remedy: `see that vercel.json holds its cron (npm run crons), then call /api/cron/${worst.policy} and read its answer (docs/RUNBOOK.md)`,
    };
  },
});

const Entry = z.object({
  n: z.coerce.number(),
  at: z.string(),
  hash: z.string(),
  fields: z.array(z.string()).length(8),
});

const at = utc(sql`at`);
const LATEST_ENTRIES = query(
  sql`select n::text, hash, ${at} as at, array[n::text, ${at}, actor, action, subject, reason, detail::text, prev] as fields
    from retention.audit_entry e order by e.n desc limit 2`,
  rows(Entry),
);

/** The last entry's hash fits its content, and its link the entry before: the whole chain is verified nightly. */
const auditProbe = (services: Services): Probe => ({
  name: 'audit',
  required: false,
  remedy: 'run npm run audit:verify: it names what was edited, removed or moved (docs/AUDIT.md)',
  ask: async () => {
    const [head, before] = await read(services.reading, LATEST_ENTRIES);
    if (!head) return healthy('nothing has been written yet');
    const whole =
      entryHash(head.fields) === head.hash &&
      (head.n === 1 || (before?.n === head.n - 1 && before.hash === head.fields[7]));
    return whole
      ? healthy(`entry ${head.n} of ${head.at} is the head and fits`)
      : {
          status: 'failed',
          message: `entry ${head.n}, the head of the audit chain, does not fit`,
          remedy: 'run npm run audit:verify: it names what was edited, removed or moved (docs/AUDIT.md)',
        };
  },
});

const Bound = z.object({ bound: z.enum(['none', 'same', 'other']) });

/** Absent is not a fault: until an owner binds them, anyone who has DATABASE_URL can act under any operator's name. */
const operatorsProbe = (services: Services): Probe => ({
  name: 'operators',
  required: false,
  remedy: 'ask the database first: it says whether it knows the operators',
  ask: async () => {
    const { operators } = services.settings;
    const known = actorsIn(operators).map((o) => `${o.name}:${o.sha256}`);
    const { bound } = await read(
      services.database,
      query(sql`select retention.operators_bound(${known}::text[]) as bound`, oneRow(Bound)),
    );
    if (bound === 'none' && operators.length === 0)
      return healthy('LAPSE_OPERATORS is empty: no operator may act');
    if (bound === 'same') return healthy('each is bound to the database by their own token');
    const remedy = 'as the owner of the database, run npm run migrate with LAPSE_OPERATORS as it is deployed';
    return bound === 'none'
      ? {
          status: 'absent',
          message: 'operators are not bound to the database: with DATABASE_URL, a name is enough to act',
          remedy,
        }
      : {
          status: 'failed',
          message: 'LAPSE_OPERATORS is not what the database knows: those whose tokens differ cannot act',
          remedy,
        };
  },
});

const LOGGED_IN = query(
  sql`select session_user::text as login, pg_has_role(session_user, 'lapse_operator', 'MEMBER') as decides,
    pg_has_role(session_user, 'lapse_reader', 'MEMBER') as looks`,
  oneRow(z.object({ login: z.string(), decides: z.boolean(), looks: z.boolean() })),
);

/** Absent is not a fault: where one login does everything, anyone who has it can do everything. */
const loginsProbe = (services: Services): Probe => ({
  name: 'logins',
  required: false,
  remedy: 'ask the database first: it says who logs in',
  ask: async () => {
    const [app] = await Promise.all(
      [services.database, services.deciding, services.reading].map((database) => read(database, LOGGED_IN)),
    );
    const also = [...(app!.decides ? ['lapse_operator'] : []), ...(app!.looks ? ['lapse_reader'] : [])];
    if (also.length === 0) return healthy('runs, decisions and looks each have a login of their own');
    return {
      status: 'absent',
      message: `the login of DATABASE_URL has also the rights of ${also.join(' and ')}: who has it can decide what a person should`,
      remedy: `set DATABASE_URL_OPERATOR and DATABASE_URL_READER to logins of their own, then, as the owner, revoke ${also.join(', ')} from "${app!.login}" (docs/DATABASES.md)`,
    };
  },
});

export const allProbes = (services: Services): readonly Probe[] => [
  databaseProbe(services),
  redisProbe(services),
  blobProbe(services),
  runsProbe(services),
  auditProbe(services),
  operatorsProbe(services),
  loginsProbe(services),
];

/** Canceled at the server before the probe gives up, so that no probe leaves a statement behind. */
const read = <T>(database: Database, asked: Query<T>): Promise<T> =>
  askOne(database, asked, { statementMs: PROBE_MS / 2, readOnly: true, answerMs: PROBE_MS });
