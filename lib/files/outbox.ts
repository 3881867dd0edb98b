/**
 * Table retention.outbox. States: pending → deleting (claimed; a file may be gone from here on) → deleted, or
 * kept because a live row names it or it was uploaded again, or dead after MOST_ATTEMPTS or because of its name, or
 * held until a legal hold is released. An entry stays `deleting` through failures: the store may have done what it did not answer, so the path must not be used yet.
 * A claim that died is due again after CLAIM_SECONDS.
 */
import { z } from 'zod';
import type { Database, Row } from '../platform/database';
import { oneRow, type Query, query } from '../platform/query';
import { ask, askOne } from '../platform/session';
import { constant, literal, type Sql, sql, utc } from '../platform/sql';
import { type FileReference, referenced } from './references';

/**
 * Five calls of a hundred files. Each path takes an advisory lock, and a small server has room for about 6,000
 * locks in all.
 */
export const PAGE = 500;
/** A claim whose drain died is due again after two minutes. */
const CLAIM_SECONDS = 120;
/**
 * How long a claim is worked on: a hold or a stop that arrives in that time waits for its end. Long enough for five calls of
 * a hundred files, or for five hundred looks at a store that answers in 100 ms; what is left is given back.
 */
export const WORK_SECONDS = 5;
/** A call begun at the very end may take five seconds more (lib/platform/blob.ts). Less than the limit of an operator's action. */
const IN_FORCE_SECONDS = 12;
/** The class of an attempt that found no such file: believed when the next one finds none either. */
const MISSED = 'blob.not_found';
/**
 * 20 to 40 hours, by the jitter: a store that is away for a night leaves nothing for a person to do. With a third of
 * all calls failing, one entry in half a million gets here.
 */
export const MOST_ATTEMPTS = 20;

const CLAIM_MS = 5_000;

export const Claimed = z.object({
  /** The canonical pathname that was judged: what the store is asked for, never the row's own text. */
  path: z.string(),
  ids: z.array(z.coerce.string()),
  attempts: z.coerce.number().int(),
  bytes: z.coerce.number().int().nonnegative(),
  /** The policy says that the store made the name. */
  suffixed: z.boolean(),
  /** The last attempt found no such file. */
  missed: z.boolean(),
  /** When the last row that named the path went, ISO 8601 with microseconds. */
  decided_at: z.string(),
});
export type Claimed = z.infer<typeof Claimed>;

/** What became of the entries of a page. */
interface Judged {
  readonly files: readonly Claimed[];
  /** Entries closed because a live row names the file. */
  readonly kept: number;
  /** Entries a legal hold keeps. */
  readonly held: number;
  /** Entries that are dead because of their name: unreadable, at another host, or outside their column's prefix. */
  readonly refused: number;
}

export interface Claim extends Judged {
  /** Due paths that were locked; 0 when nothing is due or all of it is in someone else's hands. */
  readonly paths: number;
  /** Everything is stopped: nothing was looked at. */
  readonly stopped: boolean;
}

/** What this version declares, by which entries are judged, whoever wrote them into the database. */
export interface Declared {
  readonly references: readonly FileReference[];
  readonly hosts: readonly string[];
  /** Below which anything is deleted, beside archives. */
  readonly folders: readonly string[];
}

/**
 * Locks due paths in one statement and judges them in the next; all entries of a path are settled together. An entry
 * whose name must not be deleted by is dead at once, and does not stop the file's other entries.
 */
export async function claimFiles(database: Database, declared: Declared, at: Date): Promise<Claim> {
  // Every look of the judgment is one probe of an index: an outbox that was never analyzed would be read whole
  // for each path.
  const { paths, judged } = await ask(
    database,
    { paths: lockFiles(at), judged: judge(declared, at) },
    { statementMs: CLAIM_MS, indexesOnly: true },
  );
  return { ...judged, paths: Math.max(0, paths), stopped: paths < 0 };
}

/** How many paths were locked; less than 0 while everything is stopped. */
const lockFiles = (at: Date): Query<number> =>
  query(sql`select retention.lock_files(${PAGE}::int, ${at.toISOString()}::timestamptz) as paths`, ([row]) =>
    Number(row?.paths ?? 0),
  );

/** Only the entries that are to be deleted have to be read in full. */
function judgedOf(found: readonly Row[]): Judged {
  const count = (state: string) =>
    found.filter((r) => r.state === state).reduce((n, r) => n + (r.ids as unknown[]).length, 0);
  const files = z.array(Claimed).parse(found.filter((r) => r.state === 'deleting'));
  return { files, kept: count('kept'), held: count('held'), refused: count('dead') };
}

/** An array of the elements of a JSON array, which may be long. */
const texts = (all: readonly string[]): Sql =>
  sql`array(select jsonb_array_elements_text(${JSON.stringify(all)}::jsonb))`;

/** Judges the locked paths; one row a path and state. With everything stopped there are none. */
export function judge({ references, hosts, folders }: Declared, at: Date): Query<Judged> {
  const until = new Date(at.getTime() + CLAIM_SECONDS * 1000).toISOString();
  return query(
    sql`with entries as materialized (
      select p.path, o.id, o.attempts, o.bytes, o.suffixed, o.created_at, o.error_class, o.policy = any(nullif(current_setting('lapse.files_off', true), '')::text[]) as off,
        coalesce(retention.blob_refusal(o.url, o.prefix, ${texts(hosts)}),
          -- Files of an archive are queued by its own function, which is no batch's.
          case when not case when o.table_name = '(archive)' and o.run is null then starts_with(p.path, 'archives/')
            else p.path ^@ any(${texts(folders)}) end then 'name.outside' end) as refusal
      from unnest(nullif(current_setting('lapse.files', true), '')::text[]) p(path)
      -- Path by path through the index, whatever the planner thinks of the array's length.
      cross join lateral (
        select * from retention.outbox where path = p.path and state in ('pending', 'deleting') offset 0
      ) o
    ),
    judged as materialized (
      select e.path, e.decided_at, e.off, ${referenced(references, sql`e.path`)} as live,
        (select exists (select 1 from retention.hold where released_at is null)) and retention.is_held_file(e.path) as held
      from (select path, max(created_at) as decided_at, bool_or(off) as off from entries group by path) e
    ),
    claimed as (
      update retention.outbox o set
        state = case when e.refusal is not null then 'dead' when j.live then 'kept' when j.held then 'held' when j.off then o.state else 'deleting' end,
        settled_as = case when e.refusal is null and j.live then 'referenced' end, error_class = e.refusal, next_attempt_at = ${until}::timestamptz,
        claimed_until = case when e.refusal is null and not (j.live or j.held or j.off) then clock_timestamp() + make_interval(secs => ${constant(IN_FORCE_SECONDS)}) end
      from entries e join judged j using (path) where o.id = e.id
      returning o.id, case when o.claimed_until is null and o.state in ('pending', 'deleting') then 'off' else o.state end as state,
        o.attempts, o.bytes, o.suffixed, e.error_class, j.path, j.decided_at
    )
    select path, state, jsonb_agg(id::text) as ids, max(attempts) as attempts, coalesce(max(bytes), 0)::text as bytes,
      bool_and(suffixed) as suffixed, bool_or(coalesce(error_class = ${literal(MISSED)}, false)) as missed,
      ${utc(sql`max(decided_at)`)} as decided_at
    from claimed group by path, state`,
    judgedOf,
  );
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

/** Repeating it changes nothing that matters: only entries still `deleting` are settled. Returns how many died. */
export async function settleFiles(database: Database, settlements: readonly Settlement[]): Promise<number> {
  if (settlements.length === 0) return 0;
  const { dead } = await askOne(database, settling(settlements.flatMap(answersOf)), {
    statementMs: CLAIM_MS,
  });
  return dead;
}

/** One for each entry of a file. */
function answersOf({ ids, as: how, ...more }: Settlement): object[] {
  const answer = {
    how,
    ...('retryAt' in more ? { retry_at: more.retryAt.toISOString() } : {}),
    ...('errorClass' in more ? { error: more.errorClass, hopeless: more.hopeless ?? false } : {}),
  };
  return ids.map((id) => ({ id, ...answer }));
}

const settling = (answers: readonly object[]) =>
  query(
    sql`with settled as (
        update retention.outbox o set
          state = case when a.how = 'rewritten' then 'kept' when a.how = 'untried' then 'deleting' when a.how <> 'failed' then 'deleted'
            when a.hopeless or o.attempts + 1 >= ${constant(MOST_ATTEMPTS)} then 'dead' else 'deleting' end,
          settled_as = case when a.how not in ('failed', 'untried') then a.how end,
          attempts = o.attempts + (a.how <> 'untried')::int, error_class = a.error, claimed_until = null, next_attempt_at = coalesce(a.retry_at, o.next_attempt_at)
        from jsonb_to_recordset(${JSON.stringify(answers)}::jsonb) a(id bigint, how text, error text, retry_at timestamptz, hopeless boolean)
        where o.id = a.id and o.state = 'deleting'
        returning o.state
      )
      select count(*) filter (where state = 'dead') as dead from settled`,
    oneRow(z.object({ dead: z.coerce.number() })),
  );

export const OutboxState = z.object({
  /** Entries the store has not confirmed; counted up to OPEN_CAP + 1. */
  open: z.coerce.number().int(),
  open_bytes: z.coerce.number(),
  held: z.coerce.number().int(),
  dead: z.coerce.number().int(),
  stopped: z.boolean(),
  oldest_at: z.string().nullable(),
  /** When the next open entry of a policy that is not paused is due. */
  next_at: z.string().nullable(),
});
export type OutboxState = z.infer<typeof OutboxState>;

/** Counting stops here: about 10 ms of an index. */
const OPEN_CAP = 100_000;
const some = (state: string): Sql =>
  sql`(select count(*) from (select 1 from retention.outbox where state = ${literal(state)} limit ${constant(OPEN_CAP + 1)}) d)`;

/** Of the entries whose policy is not paused. */
const NEXT = sql`min(next_attempt_at) filter (where policy <> all(array(select policy from retention.policy_state where paused)))`;
const STATE = query(
  sql`select count(*) as open, coalesce(sum(bytes), 0)::text as open_bytes, min(created_at)::text as oldest_at,
            ${utc(NEXT, 'ms')} as next_at,
            ${some('dead')} as dead, ${some('held')} as held, (select stopped from retention.kill_switch) is distinct from false as stopped
          from (
            select policy, bytes, created_at, next_attempt_at from retention.outbox
            where state in ('pending', 'deleting') order by next_attempt_at, id limit ${constant(OPEN_CAP + 1)}
          ) o`,
  oneRow(OutboxState),
);

export const outboxState = (database: Database): Promise<OutboxState> =>
  askOne(database, STATE, { statementMs: CLAIM_MS, readOnly: true });
