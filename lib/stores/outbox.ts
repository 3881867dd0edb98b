/**
 * Table retention.outbox. States: pending → deleting (claimed; a file may be gone from here on) → deleted, or
 * kept because a live row names it or it was uploaded again, or dead after MOST_ATTEMPTS. An entry stays
 * `deleting` through failures: the store may have done what it did not answer, so nobody may use the path yet.
 * A claim that died is due again after CLAIM_SECONDS.
 */
import { z } from 'zod';
import { answerTimeoutMs, session } from '../batch/session';
import { Parameters } from '../batch/sql';
import type { Database, Statement } from '../database';
import { formsOf, type Reference, referenced } from '../outbox/references';

/**
 * Five calls of a hundred files. Each path takes an advisory lock, and a small server has room for about 6,000
 * locks in all.
 */
export const PAGE = 500;
/** A page takes seconds, a call at most ten: after two minutes nobody works on the claim any more. */
export const CLAIM_SECONDS = 120;
/**
 * At full backoff two days: a store that is away for a night leaves nothing for a person to do. With a third of
 * all calls failing, one entry in half a million gets here.
 */
export const MOST_ATTEMPTS = 20;

const CLAIM_MS = 5_000;
const claimSession = (): Statement => session(CLAIM_MS);

export const Claimed = z.object({
  url: z.string(),
  path: z.string(),
  ids: z.array(z.coerce.string()),
  attempts: z.coerce.number().int(),
  bytes: z.coerce.number().int().nonnegative(),
  /** When the last row that named the path went, ISO 8601 with microseconds. */
  decided_at: z.string(),
});
export type Claimed = z.infer<typeof Claimed>;

export interface Claim {
  /** Due paths that were locked; 0 when nothing is due or all of it is in someone else's hands. */
  readonly paths: number;
  readonly files: readonly Claimed[];
  /** Entries closed because a live row names the file. */
  readonly kept: number;
}

/** Locks due paths in one statement and judges them in the next; duplicates of a path are settled together. */
export async function claim(
  database: Database,
  references: readonly Reference[],
  bases: readonly string[],
  at: Date,
): Promise<Claim> {
  // Every look of the judgement is one probe of an index. An outbox that was never analyzed would be read whole
  // for each path, and compiling the judgement would take longer than asking it.
  const lock = new Parameters();
  const p = new Parameters();
  const until = p.add(new Date(at.getTime() + CLAIM_SECONDS * 1000).toISOString(), 'timestamptz');
  const statements = [
    claimSession(),
    lock.statement(
      `select set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true), retention.lock_files(${lock.add(PAGE, 'int')}, ${lock.add(at.toISOString(), 'timestamptz')}) as paths`,
    ),
    p.statement(`with entries as materialized (
      select p.path, o.id, o.url, o.attempts, o.bytes, o.created_at
      from unnest(current_setting('lapse.files')::text[]) p(path)
      -- Path by path through the index, whatever the planner thinks of the array's length.
      cross join lateral (
        select * from retention.outbox where path = p.path and state in ('pending', 'deleting') offset 0
      ) o
    ),
    judged as materialized (
      select e.path, e.decided_at, ${referenced(references, '(e.urls || e.forms)')} as live
      from (
        select path, array_agg(distinct url) as urls, ${formsOf('path', bases)} as forms, max(created_at) as decided_at
        from entries group by path
      ) e
    ),
    claimed as (
      update retention.outbox o set state = case when j.live then 'kept' else 'deleting' end,
        settled_as = case when j.live then 'referenced' end, next_attempt_at = ${until}, error_class = null
      from entries e join judged j using (path) where o.id = e.id
      returning o.id, o.state, o.url, o.attempts, o.bytes, j.path, j.decided_at
    )
    select url, path, jsonb_agg(id::text) as ids, max(attempts) as attempts, coalesce(max(bytes), 0)::text as bytes,
      to_char(max(decided_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as decided_at, bool_or(state = 'kept') as kept
    from claimed group by url, path`),
  ];
  const rows = await database.transaction(statements, { timeoutMs: answerTimeoutMs(CLAIM_MS) });
  const found = rows[2] ?? [];
  const files = z.array(Claimed).parse(found.filter((r) => !r.kept));
  const kept = found.filter((r) => r.kept).reduce((n, r) => n + (r.ids as unknown[]).length, 0);
  return { paths: Number(rows[1]?.[0]?.paths ?? 0), files, kept };
}

/** How one file's deletion ended. `failed` is tried again at `retryAt`, or is dead after MOST_ATTEMPTS or when `hopeless`. */
export type Settlement =
  | { readonly ids: readonly string[]; readonly as: 'deleted' | 'missing' | 'rewritten' }
  /** The store was not asked: as before, at `retryAt`. */
  | { readonly ids: readonly string[]; readonly as: 'untried'; readonly retryAt: Date }
  | {
      readonly ids: readonly string[];
      readonly as: 'failed';
      readonly errorClass: string;
      readonly retryAt: Date;
      readonly hopeless?: boolean;
    };

/** Repeating it changes nothing that matters: only entries still `deleting` are settled. Gives how many died. */
export async function settleFiles(database: Database, settlements: readonly Settlement[]): Promise<number> {
  if (settlements.length === 0) return 0;
  const p = new Parameters();
  const answers = p.add(
    JSON.stringify(
      settlements.flatMap((s) => {
        const { ids, as: how, ...more } = s;
        const answer = {
          how,
          ...('retryAt' in more ? { retry_at: more.retryAt.toISOString() } : {}),
          ...('errorClass' in more ? { error: more.errorClass, hopeless: more.hopeless ?? false } : {}),
        };
        return ids.map((id) => ({ id, ...answer }));
      }),
    ),
    'jsonb',
  );
  const rows = await database.transaction(
    [
      claimSession(),
      p.statement(`with settled as (
        update retention.outbox o set
          state = case when a.how = 'rewritten' then 'kept' when a.how = 'untried' then 'deleting' when a.how <> 'failed' then 'deleted'
            when a.hopeless or o.attempts + 1 >= ${MOST_ATTEMPTS} then 'dead' else 'deleting' end,
          settled_as = case when a.how not in ('failed', 'untried') then a.how end,
          attempts = o.attempts + (a.how <> 'untried')::int, error_class = a.error, next_attempt_at = coalesce(a.retry_at, o.next_attempt_at)
        from jsonb_to_recordset(${answers}) a(id bigint, how text, error text, retry_at timestamptz, hopeless boolean)
        where o.id = a.id and o.state = 'deleting'
        returning o.state
      )
      select count(*) filter (where state = 'dead') as dead from settled`),
    ],
    { timeoutMs: answerTimeoutMs(CLAIM_MS) },
  );
  return Number(rows[1]?.[0]?.dead ?? 0);
}

export const OutboxState = z.object({
  /** Entries the store has not confirmed; counted up to OPEN_CAP + 1. */
  open: z.coerce.number().int(),
  open_bytes: z.coerce.number().int(),
  dead: z.coerce.number().int(),
  oldest_at: z.string().nullable(),
  /** When the next open entry is due. */
  next_at: z.string().nullable(),
});
export type OutboxState = z.infer<typeof OutboxState>;

/** Counting stops here: about 10 ms of an index. */
export const OPEN_CAP = 100_000;

export async function outboxState(database: Database): Promise<OutboxState> {
  const rows = await database.transaction(
    [
      claimSession(),
      {
        text: `select count(*) as open, coalesce(sum(bytes), 0)::text as open_bytes, min(created_at)::text as oldest_at,
            to_char(min(next_attempt_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as next_at,
            (select count(*) from (select 1 from retention.outbox where state = 'dead' limit ${OPEN_CAP + 1}) d) as dead
          from (
            select bytes, created_at, next_attempt_at from retention.outbox
            where state in ('pending', 'deleting') order by next_attempt_at, id limit ${OPEN_CAP + 1}
          ) o`,
        params: [],
      },
    ],
    { readOnly: true, timeoutMs: answerTimeoutMs(CLAIM_MS) },
  );
  return OutboxState.parse(rows[1]?.[0]);
}
