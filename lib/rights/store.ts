/**
 * Tables retention.erasure and retention.erasure_step: what was asked to be erased, by whom, and how far it is. Changed
 * by functions of the schema only, each of which writes its entry of the audit chain (lib/migrations/functions/erasure.sql).
 */
import { z } from 'zod';
import { refusal } from '../operators/carry-out';
import type { Database } from '../platform/database';
import { maybeRow, nothing, oneRow, type Query, query, rows } from '../platform/query';
import { askOne } from '../platform/session';
import { id, type Sql, sql, utc } from '../platform/sql';
import { Checked } from './check';
import type { Erased } from './erase-policy';
import { Hashes, type Step } from './graph';
import type { ErasureCall } from './result';
import type { Subject } from './subject';

const LIMITS = { statementMs: 5_000 };
/** A page of requests fits an answer, each with its steps. */
const PAGE = 100;

export const UNDER_WAY = ['requested', 'confirmed', 'open'] as const;

const Request = z.object({
  id: z.uuid(),
  scope: z.enum(['organization', 'user']),
  subject: z.string(),
  reason: z.string(),
  requested_by: z.string(),
  state: z.enum([...UNDER_WAY, 'done', 'withdrawn']),
  rows_found: z.coerce.number().nullable(),
  identifiers: Hashes,
});
export type ErasureRecord = z.infer<typeof Request>;

/** Who decides, and with what they prove it. */
type By = Pick<ErasureCall, 'actor' | 'token'>;

/** The request of this subject that is under way, or a new one: asking twice is asking once. `found`: null when not counted. */
export async function requestErasure(
  database: Database,
  subject: Subject,
  about: {
    readonly reason: string;
    readonly by: By;
    readonly found: number | null;
    readonly identifiers: Hashes;
  },
): Promise<ErasureRecord> {
  const { scope, id } = subject;
  const asked = sql`select retention.request_erasure(${scope}, ${id}, ${about.reason}, ${about.by.actor}, ${about.found}::bigint, ${JSON.stringify(about.identifiers)}::jsonb) as it`;
  const { it } = await askAs(about.by, database, query(asked, oneRow(z.object({ it: Request }))));
  return it;
}

/** Why a request stays as it is: there is none, it is the operator's own, or the state it is in already. */
const Refused = z.object({ refused: z.string() });
export type Refused = z.infer<typeof Refused>;

export const confirmErasure = (database: Database, id: string, reason: string, by: By) =>
  decide(database, sql`retention.confirm_erasure(${id}::uuid, ${reason}, ${by.actor})`, by);
export const withdrawErasure = (database: Database, id: string, reason: string, by: By) =>
  decide(database, sql`retention.withdraw_erasure(${id}::uuid, ${reason}, ${by.actor})`, by);

async function decide(database: Database, decision: Sql, by: By): Promise<ErasureRecord | Refused> {
  const decided = query(sql`select ${decision} as it`, oneRow(z.object({ it: z.union([Refused, Request]) })));
  return (await askAs(by, database, decided)).it;
}

/** False: it may not begin, or was withdrawn or finished meanwhile. `known`: hashes that are added to the request's. */
export const beginErasure = (database: Database, id: string, by: string, known: Hashes): Promise<boolean> =>
  isDone(database, sql`retention.begin_erasure(${id}::uuid, ${by}, ${JSON.stringify(known)}::jsonb)`);

/** A step that begins, with its run: whatever becomes of the call, the run's receipts count. */
export const beginStep = (database: Database, erasure: string, step: Step, run: string): Promise<void> =>
  askOne(
    database,
    query(
      sql`select retention.begin_erasure_step(${erasure}::uuid, ${step.name}, ${step.label}, ${step.kind}, ${run}::uuid)`,
      nothing,
    ),
    LIMITS,
  );

/** Ends a request of which nothing is left, with what is certified; false when something is. */
export const finishErasure = (
  database: Database,
  id: string,
  by: string,
  certificate: string,
): Promise<boolean> => isDone(database, sql`retention.finish_erasure(${id}::uuid, ${by}, ${certificate})`);

/** As far as the check of an earlier call came; null before the first. */
export const readChecked = (database: Database, id: string): Promise<Checked | null> =>
  askOne(
    database,
    query(
      sql`select checked from retention.erasure where id = ${id}::uuid`,
      oneRow(z.object({ checked: Checked.nullable() }).transform((row) => row.checked)),
    ),
    { ...LIMITS, readOnly: true },
  );

export const noteChecked = (database: Database, id: string, checked: Checked | null): Promise<void> =>
  askOne(
    database,
    query(
      sql`select retention.note_erasure_check(${id}::uuid, nullif(${JSON.stringify(checked)}::jsonb, 'null'))`,
      nothing,
    ),
    LIMITS,
  );

/** Files of a subject's folder, handed to the outbox. */
export const queueFiles = (
  database: Database,
  id: string,
  folder: string,
  files: readonly { readonly path: string; readonly bytes: number }[],
): Promise<void> =>
  askOne(
    database,
    query(
      sql`select retention.queue_erasure_files(${id}::uuid, ${folder}, ${JSON.stringify(files)}::jsonb)`,
      nothing,
    ),
    LIMITS,
  );

async function isDone(database: Database, change: Sql): Promise<boolean> {
  const changed = query(sql`select ${change} as done`, oneRow(z.object({ done: z.boolean().nullable() })));
  return (await askOne(database, changed, LIMITS)).done === true;
}

/** Confirmed requests, the one that has waited longest for a try first, so that none that is held keeps others back. */
export const dueErasures = (database: Database, limit: number): Promise<ErasureRecord[]> =>
  askOne(
    database,
    query(
      sql`select id::text, scope, subject, reason, requested_by, state, rows_found::text, identifiers from retention.erasure
      where state in ('confirmed', 'open') order by tried_at nulls first, requested_at, id limit ${limit}::int`,
      rows(Request),
    ),
    LIMITS,
  );

export const recordSteps = (database: Database, erasure: string, steps: readonly Erased[]): Promise<void> =>
  askOne(
    database,
    query(
      sql`select retention.record_erasure_steps(${erasure}::uuid, ${JSON.stringify(steps.map(recorded))}::jsonb)`,
      nothing,
    ),
    LIMITS,
  );

const recorded = ({ step, outcome, reason, kept }: Erased) => ({
  policy: step.name,
  table: step.label,
  action: step.kind,
  outcome,
  reason,
  kept,
});

export const ErasureStep = z.object({
  policy: z.string(),
  table: z.string().nullable(),
  action: z.enum(['delete', 'mask', 'detach']),
  outcome: z.string(),
  reason: z.string().nullable(),
  deleted: z.coerce.number(),
  dependants_deleted: z.coerce.number(),
  files: z.coerce.number(),
  bytes: z.coerce.number(),
  kept: z.record(z.string(), z.coerce.number()),
});
export type ErasureStep = z.infer<typeof ErasureStep>;

/** What the erasure came to so far, over all its runs, by policy. */
export const readSteps = (database: Database, erasure: string): Promise<ErasureStep[]> =>
  askOne(
    database,
    query(
      sql`select policy, table_name as table, action, outcome, reason, deleted::text, dependants_deleted::text, files::text, bytes::text, kept
      from retention.erasure_step where erasure = ${erasure}::uuid order by policy`,
      rows(ErasureStep),
    ),
    LIMITS,
  );

/** A request as operators see it. */
const Listed = z.record(z.string(), z.unknown());

/** `days_left` counts whole days to its last one, below zero when that is over; null once it is settled. `not_read`: tables the check did not read. */
const listed = (now: Date): Sql =>
  sql`e.id::text, e.scope, e.subject, e.state, e.reason, e.rows_found::float8 as rows_found, e.requested_by,
      ${at('requested_at')}, ${at('due_at')}, ${at('warned_at')}, ${at('overdue_at')},
      case when e.state = any(${UNDER_WAY}::text[])
        then floor(extract(epoch from e.due_at - ${now.toISOString()}::timestamptz) / 86400)::float8 end as days_left,
      coalesce(e.finished_at, e.withdrawn_at, ${now.toISOString()}::timestamptz) > e.due_at as late,
      e.confirmed_by, ${at('confirmed_at')}, ${at('tried_at')}, ${at('finished_at')}, e.withdrawn_by, ${at('withdrawn_at')},
      coalesce(e.checked -> 'notRead', '[]') as not_read,
      coalesce((select jsonb_agg(jsonb_build_object('policy', s.policy, 'table', s.table_name, 'action', s.action, 'outcome', s.outcome, 'reason', s.reason,
        'deleted', s.deleted, 'dependantsDeleted', s.dependants_deleted, 'files', s.files, 'kept', s.kept) order by s.policy)
        from retention.erasure_step s where s.erasure = e.id and s.outcome <> 'out_of_reach'), '[]') as policies`;

/** A page of requests in these states, the oldest first, each with what it came to by policy. */
export async function listErasures(
  database: Database,
  states: readonly string[],
  offset: number,
  now: Date,
): Promise<{ entries: readonly z.infer<typeof Listed>[]; next: number | null }> {
  const page = sql`select ${listed(now)} from retention.erasure e where e.state = any(${states}::text[])
    order by e.requested_at, e.id limit ${PAGE + 1}::int offset ${offset}::int`;
  const found = await askOne(database, query(page, rows(Listed)), { ...LIMITS, readOnly: true });
  return { entries: found.slice(0, PAGE), next: found.length > PAGE ? offset + PAGE : null };
}

/** One request with its entries of the audit chain, in their order. Null: there is none. */
export async function readErasure(
  database: Database,
  id: string,
  now: Date,
): Promise<z.infer<typeof Listed> | null> {
  const one = sql`select ${listed(now)}, coalesce((select jsonb_agg(jsonb_build_object('entry', a.n,
      'at', ${utc(sql`a.at`, 'ms')}, 'by', a.actor, 'action', a.action, 'reason', a.reason) order by a.n)
      from retention.audit_entry a where a.subject = e.id::text), '[]') as history
    from retention.erasure e where e.id = ${id}::uuid`;
  return askOne(database, query(one, maybeRow(Listed)), { ...LIMITS, readOnly: true });
}

const at = (column: string): Sql => sql`${utc(sql`e.${id(column)}`, 'ms')} as ${id(column)}`;

/** What an operator decides. */
const askAs = <T>({ token = '' }: By, database: Database, decision: Query<T>): Promise<T> =>
  askOne(database, decision, { ...LIMITS, operatorToken: token }).catch((error: unknown) => {
    throw refusal(error);
  });
