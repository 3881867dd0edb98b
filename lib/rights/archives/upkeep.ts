/**
 * The daily look at archives, beside Lapse's own old records: those whose period is over expire, those no receipt names are
 * discarded, those with erased rows are written anew. Files go through the outbox; holds keep them.
 */
import { z } from 'zod';
import { announceFiles } from '../../files/announce';
import { trimOwnRecords } from '../../operators/records/trim';
import type { JobRequest, JobResult } from '../../platform/job';
import { MAX_DURATION_SECONDS } from '../../platform/jobs';
import { oneRow, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Services } from '../../services';
import { rewriteArchives } from './rewrite';

const LIMITS = { statementMs: 10_000 };
/** Archives a statement: each brings its files into the outbox. */
const MOST = 100;
/** Kept back for one more archive and the answer. */
const CLOSING_MS = 30_000;

export interface Upkeep {
  readonly expired: number;
  readonly discarded: number;
  readonly rewritten: number;
}

export async function keepArchives(services: Services, inTime: () => boolean): Promise<Upkeep> {
  return {
    expired: await expire(services, inTime),
    discarded: await discard(services, inTime),
    rewritten: inTime() ? await rewriteArchives(services, inTime) : 0,
  };
}

async function expire(services: Services, inTime: () => boolean): Promise<number> {
  const { database } = services;
  const due = query(
    sql`select exists (select 1 from retention.archive where state = 'kept' and expires_at <= retention.clock()) as due`,
    oneRow(z.object({ due: z.boolean() })),
  );
  if (!(await askOne(database, due, LIMITS)).due) return 0;
  await announce(services);
  const expiring = query(
    sql`select retention.expire_archives(${MOST}::int)::text as n`,
    oneRow(z.object({ n: z.coerce.number() })),
  );
  let expired = 0;
  while (inTime()) {
    const { n } = await askOne(database, expiring, LIMITS);
    expired += n;
    if (n < MOST) break;
  }
  return expired;
}

async function discard(services: Services, inTime: () => boolean): Promise<number> {
  const { database, blob } = services;
  if (blob === undefined) return 0;
  const asked = sql`select id, prefix from retention.abandoned_archives(${MOST}::int)`;
  const Abandoned = z.object({ id: z.uuid(), prefix: z.string() });
  const abandoned = await askOne(database, query(asked, rows(Abandoned)), LIMITS);
  if (abandoned.length > 0) await announce(services);
  let discarded = 0;
  for (const { id, prefix } of abandoned) {
    if (!inTime()) break;
    const files: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await blob.list({ prefix, ...(cursor ? { cursor } : {}) });
      files.push(...page.files.map((f) => f.pathname));
      cursor = page.cursor;
    }
    const discarding = sql`select retention.discard_archive(${id}::uuid, ${files}::text[]) as done`;
    const read = oneRow(z.object({ done: z.boolean() }));
    discarded += Number((await askOne(database, query(discarding, read), LIMITS)).done);
  }
  return discarded;
}

/** Files are about to wait in the outbox. */
const announce = ({ redis, clock }: Services): Promise<void> =>
  announceFiles(redis, new Date(clock().getTime() + MAX_DURATION_SECONDS * 1000));

/** The job `own-records`. */
export async function recordsJob(
  services: Services,
  request: JobRequest,
): Promise<JobResult & { readonly archives: Upkeep | null }> {
  const records = await trimOwnRecords(services, request);
  const inTime = () => request.deadline.getTime() - services.clock().getTime() > CLOSING_MS;
  const archives = request.dryRun ? null : await keepArchives(services, inTime);
  return { ...records, archives };
}
