/** People's rights and restores as a person sees them before deciding: what would happen, and a digest of exactly that. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { RequestError } from '../../platform/errors';
import { MAX_DURATION_SECONDS } from '../../platform/jobs';
import { eraseSubject } from '../../rights/erase';
import type { RestoreResult } from '../../rights/restore/restore';
import { type ErasureCall, type ErasureResult, sum } from '../../rights/result';
import { readErasure } from '../../rights/store';
import type { Subject } from '../../rights/subject';
import type { Services } from '../../services';
import { deadlineOf } from '../deadline';
import { type Asked, askRestore } from '../restore-route';
import type { By } from './act';

/** A person waits for a page; what is not counted by then is told as such. */
const LOOK_SECONDS = 20;
const hash = (facts: unknown): string => createHash('sha256').update(JSON.stringify(facts)).digest('hex');

/** What one types: short enough for a phone, and no two requests on a desk have the same. */
export const numberOf = (id: string): string => id.replaceAll('-', '').slice(0, 8);

/** For what an operator does now, within the time of its route. */
export function callOf({ services: s, who, correlationId }: By): ErasureCall & { readonly token: string } {
  const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, [s.settings.maxDurationSeconds]);
  return { actor: who.name, token: who.token, correlationId, deadline };
}

export interface ErasureSeen {
  readonly result: ErasureResult;
  readonly digest: string;
}

/** READ ONLY. Throws RequestError where there is no such subject. */
export async function seeErasure(
  s: Services,
  subject: Subject,
  by: { actor: string; correlationId: string },
): Promise<ErasureSeen> {
  const deadline = new Date(s.clock().getTime() + LOOK_SECONDS * 1000);
  const result = await eraseSubject(s, { ...by, deadline, subject, reason: 'preview', dryRun: true });
  const steps = result.policies.map((p) => [
    p.policy,
    p.table,
    p.action,
    p.deleted,
    p.dependantsDeleted,
    p.files,
    sum(p.kept),
  ]);
  const digest = hash([subject.scope, subject.id, result.outcome, steps, result.retained, result.problems]);
  return { result, digest };
}

/** As much as a page needs of one request. */
const Request = z.object({
  id: z.string(),
  scope: z.enum(['organization', 'user']),
  subject: z.string(),
  state: z.enum(['requested', 'confirmed', 'open', 'done', 'withdrawn']),
  reason: z.string(),
  rows_found: z.number().nullable(),
  requested_by: z.string(),
  requested_at: z.string(),
  due_at: z.string(),
  days_left: z.number().nullable(),
  late: z.boolean(),
  confirmed_by: z.string().nullable(),
  finished_at: z.string().nullable(),
  withdrawn_by: z.string().nullable(),
  not_read: z.array(z.string()),
  policies: z.array(
    z.object({
      policy: z.string(),
      table: z.string().nullable(),
      action: z.enum(['delete', 'mask', 'detach']),
      outcome: z.string(),
      reason: z.string().nullable(),
      deleted: z.number(),
      dependantsDeleted: z.number(),
      files: z.number(),
      kept: z.record(z.string(), z.number()),
    }),
  ),
  history: z.array(
    z.object({
      entry: z.number(),
      at: z.string(),
      by: z.string(),
      action: z.string(),
      reason: z.string().nullable(),
    }),
  ),
});
export type ErasureRequest = z.output<typeof Request>;

/** Throws RequestError 404. */
export async function erasureOf(s: Services, id: string): Promise<ErasureRequest> {
  const found = z.uuid().safeParse(id).success ? await readErasure(s.reading, id, s.clock()) : null;
  if (found) return Request.parse(found);
  throw new RequestError(404, 'unknown', 'there is no such request', 'id');
}

export interface RestoreAsk {
  readonly scope: 'run' | 'organization' | 'item';
  readonly subject: string;
  readonly policy?: string | undefined;
  readonly keepDays: number;
}

export interface RestoreSeen {
  /** Null: one mark of a soft deletion is taken away, and there is no archive to look at. */
  readonly result: RestoreResult | null;
  readonly digest: string;
}

export const wishOf = ({
  scope,
  subject,
  policy,
  keepDays,
}: RestoreAsk): Omit<Asked, 'reason' | 'dryRun'> => ({
  ...(scope === 'run'
    ? { run: uuid(subject) }
    : scope === 'organization'
      ? { organization: subject }
      : { key: subject }),
  ...(policy === undefined ? {} : { policy }),
  keepDays,
});

function uuid(run: string): string {
  if (z.uuid().safeParse(run).success) return run;
  throw new RequestError(400, 'bad_field', 'subject: a run is named by its id, a UUID', 'subject');
}

/** Reads the archives and validates each row, and writes nothing. */
export async function seeRestore(
  s: Services,
  ask: RestoreAsk,
  by: { actor: string; token: string },
): Promise<RestoreSeen> {
  const deadline = new Date(s.clock().getTime() + LOOK_SECONDS * 2 * 1000);
  const of = [ask.scope, ask.subject, ask.policy, ask.keepDays];
  const result = await askRestore(
    s,
    { ...wishOf(ask), reason: 'preview', dryRun: true },
    { ...by, deadline },
  ).catch((error: unknown) => {
    if (error instanceof RequestError && error.code === 'no_dry_run') return null;
    throw error;
  });
  if (result === null || !('counts' in result)) return { result: null, digest: hash(of) };
  const { archives, expired, counts, problems, schema } = result;
  return { result, digest: hash([of, archives, expired, Object.entries(counts).sort(), problems, schema]) };
}
