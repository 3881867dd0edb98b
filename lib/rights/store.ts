/**
 * Tables retention.erasure and retention.erasure_step: what was asked to be erased, by whom, and how far it is. Changed
 * by functions of the schema only, each of which writes its entry of the audit chain (lib/migrations/functions/erasure.sql).
 */
import { z } from 'zod';
import { refusal } from '../operators/carry-out';
import type { Database, Row, Statement } from '../platform/database';
import { askRows, provenBy } from '../platform/session';
import type { Erased } from './erase-policy';
import type { ErasureCall } from './result';
import type { Subject } from './subject';

const STATEMENT_MS = 5_000;
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
});
export type ErasureRecord = z.infer<typeof Request>;

/** Who decides, and with what they prove it. */
type By = Pick<ErasureCall, 'actor' | 'token'>;

/** The request of this subject that is under way, or a new one: asking twice is asking once. `found`: null when not counted. */
export async function requestErasure(
  database: Database,
  subject: Subject,
  about: { readonly reason: string; readonly by: By; readonly found: number | null },
): Promise<ErasureRecord> {
  const text = 'select retention.request_erasure($1, $2, $3, $4, $5::bigint) as it';
  const params = [subject.scope, subject.id, about.reason, about.by.actor, about.found];
  return Request.parse((await writeAs(about.by, database, text, params))[0]?.it);
}

/** Why a request stays as it is: there is none, it is the operator's own, or the state it is in already. */
export interface Refused {
  readonly refused: string;
}

export const confirmErasure = (database: Database, id: string, reason: string, by: By) =>
  decide(database, 'confirm_erasure', id, reason, by);
export const withdrawErasure = (database: Database, id: string, reason: string, by: By) =>
  decide(database, 'withdraw_erasure', id, reason, by);

async function decide(
  database: Database,
  how: 'confirm_erasure' | 'withdraw_erasure',
  id: string,
  reason: string,
  by: By,
): Promise<ErasureRecord | Refused> {
  const text = `select retention.${how}($1::uuid, $2, $3) as it`;
  const rows = await writeAs(by, database, text, [id, reason, by.actor]);
  const it = rows[0]?.it as Partial<Refused> | undefined;
  return it?.refused === undefined ? Request.parse(it) : { refused: it.refused };
}

/** False: it may not begin, or has been taken back or finished meanwhile. */
export async function beginErasure(database: Database, id: string, by: string): Promise<boolean> {
  const rows = await write(database, 'select retention.begin_erasure($1::uuid, $2) as begun', [id, by]);
  return rows[0]?.begun === true;
}

/** Ends a request of which nothing is left; false when something is. */
export async function finishErasure(database: Database, id: string, by: string): Promise<boolean> {
  const rows = await write(database, 'select retention.finish_erasure($1::uuid, $2) as done', [id, by]);
  return rows[0]?.done === true;
}

/** Confirmed requests, the one that has waited longest for a try first, so that none that is held keeps others back. */
export async function dueErasures(database: Database, limit: number): Promise<ErasureRecord[]> {
  const rows = await write(
    database,
    `select id::text, scope, subject, reason, requested_by, state, rows_found::text from retention.erasure
      where state in ('confirmed', 'open') order by tried_at nulls first, requested_at, id limit $1::int`,
    [limit],
  );
  return z.array(Request).parse(rows);
}

export async function recordSteps(
  database: Database,
  erasure: string,
  steps: readonly Erased[],
): Promise<void> {
  await write(database, 'select retention.record_erasure_steps($1::uuid, $2::jsonb)', [
    erasure,
    JSON.stringify(steps),
  ]);
}

export const ErasureStep = z.object({
  policy: z.string(),
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
export async function readSteps(database: Database, erasure: string): Promise<ErasureStep[]> {
  const rows = await write(
    database,
    `select policy, outcome, reason, deleted::text, dependants_deleted::text, files::text, bytes::text, kept
      from retention.erasure_step where erasure = $1::uuid order by policy`,
    [erasure],
  );
  return z.array(ErasureStep).parse(rows);
}

const utc = (column: string) =>
  `to_char(e.${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;

/** A page of requests in these states, the oldest first, each with what it came to by policy. */
export async function listErasures(
  database: Database,
  states: readonly string[],
  offset: number,
): Promise<{ entries: readonly Row[]; next: number | null }> {
  const [rows = []] = await askRows(
    database,
    [
      {
        text: `select e.id::text, e.scope, e.subject, e.state, e.reason, e.rows_found::float8 as rows_found, e.requested_by,
            ${utc('requested_at')}, e.confirmed_by, ${utc('confirmed_at')}, ${utc('tried_at')}, ${utc('finished_at')},
            e.withdrawn_by, ${utc('withdrawn_at')},
            coalesce((select jsonb_agg(jsonb_build_object('policy', s.policy, 'outcome', s.outcome, 'reason', s.reason,
              'deleted', s.deleted, 'dependantsDeleted', s.dependants_deleted, 'files', s.files, 'kept', s.kept) order by s.policy)
              from retention.erasure_step s where s.erasure = e.id and s.outcome <> 'out_of_reach'), '[]') as policies
          from retention.erasure e where e.state = any($1::text[]) order by e.requested_at, e.id limit ${PAGE + 1} offset $2::int`,
        params: [states, offset],
      },
    ],
    { statementMs: STATEMENT_MS, readOnly: true },
  );
  return { entries: rows.slice(0, PAGE), next: rows.length > PAGE ? offset + PAGE : null };
}

type Params = Statement['params'];

async function write(database: Database, text: string, params: Params): Promise<Row[]> {
  const [rows = []] = await askRows(database, [{ text, params }], { statementMs: STATEMENT_MS });
  return rows;
}

/** What an operator decides. */
async function writeAs({ token }: By, database: Database, text: string, params: Params): Promise<Row[]> {
  const statements = [provenBy(token), { text, params }];
  const [, rows = []] = await askRows(database, statements, { statementMs: STATEMENT_MS }).catch(
    (error: unknown) => {
      throw refusal(error);
    },
  );
  return rows;
}
