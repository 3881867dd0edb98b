/** Tables retention.erasure and retention.erasure_step: what was asked to be erased, and how far it is. */
import { z } from 'zod';
import { answerTimeoutMs, session } from '../batch/session';
import { Parameters } from '../batch/sql';
import type { Database } from '../database';
import type { Erased } from '../erasure/erase-policy';
import type { Subject } from '../erasure/subject';

const STATEMENT_MS = 5_000;

const Opened = z.object({
  id: z.uuid(),
  scope: z.enum(['organization', 'user']),
  subject: z.string(),
  reason: z.string(),
  requested_by: z.string(),
});
export type OpenErasure = z.infer<typeof Opened>;

/** The open request of this subject, or a new one: asking twice is asking once. */
export async function openErasure(
  database: Database,
  subject: Subject,
  reason: string,
  requestedBy: string,
): Promise<OpenErasure> {
  const rows = await write(
    database,
    // The no-op update makes the statement give the row that is there.
    `insert into retention.erasure as e (scope, subject, reason, requested_by) values ($1, $2, $3, $4)
      on conflict (scope, subject) where state = 'open' do update set reason = e.reason
      returning id::text, scope, subject, reason, requested_by`,
    [subject.scope, subject.id, reason, requestedBy],
  );
  return Opened.parse(rows[0]);
}

/** Open requests, the oldest first. */
export async function openErasures(database: Database, limit: number): Promise<OpenErasure[]> {
  const rows = await write(
    database,
    `select id::text, scope, subject, reason, requested_by from retention.erasure where state = 'open'
      order by requested_at, id limit $1::int`,
    [limit],
  );
  return z.array(Opened).parse(rows);
}

export async function recordSteps(
  database: Database,
  erasure: string,
  steps: readonly Erased[],
  finishedAt: Date | null,
): Promise<void> {
  const p = new Parameters();
  const id = p.add(erasure, 'uuid');
  const done = p.add(finishedAt?.toISOString() ?? null, 'timestamptz');
  const { text, params } = p.statement(`with steps as (
      insert into retention.erasure_step as s (erasure, policy, outcome, reason, deleted, dependants_deleted, files, bytes, kept, runs)
      select ${id}, x.policy, x.outcome, x.reason, x.deleted, x."dependantsDeleted", x.files, x.bytes, x.kept,
        case when x."runId" is null then '{}'::uuid[] else array[x."runId"] end
      from jsonb_to_recordset(${p.add(JSON.stringify(steps), 'jsonb')}) x(policy text, outcome text, reason text, deleted bigint,
        "dependantsDeleted" bigint, files bigint, bytes bigint, kept jsonb, "runId" uuid)
      on conflict (erasure, policy) do update set outcome = excluded.outcome, reason = excluded.reason,
        deleted = s.deleted + excluded.deleted, dependants_deleted = s.dependants_deleted + excluded.dependants_deleted,
        files = s.files + excluded.files, bytes = s.bytes + excluded.bytes, kept = excluded.kept, runs = s.runs || excluded.runs
      where not s.runs @> excluded.runs or excluded.runs = '{}'
    )
    update retention.erasure set state = case when ${done} is null then 'open' else 'done' end, finished_at = ${done} where id = ${id}`);
  await write(database, text, params);
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

async function write(
  database: Database,
  text: string,
  params: readonly (string | number | boolean | null | readonly string[])[],
) {
  const rows = await database.transaction([session(STATEMENT_MS), { text, params }], {
    timeoutMs: answerTimeoutMs(STATEMENT_MS),
  });
  return rows[1] ?? [];
}
