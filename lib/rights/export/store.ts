/**
 * Table retention.export: copies of everything that is held about one subject, and how far each is. Changed by functions of the
 * schema only (lib/migrations/functions/exports.sql), each with its entry of the audit chain.
 */
import { z } from 'zod';
import { refusal } from '../../operators/carry-out';
import type { Database } from '../../platform/database';
import { maybeRow, oneRow, type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { type Sql, sql, utc } from '../../platform/sql';
import type { ErasureCall } from '../result';
import type { Subject } from '../subject';

const LIMITS = { statementMs: 5_000 };
/** How long it can be fetched: a holiday longer than a weekend, and no longer than a link should be in a mailbox. */
const KEPT_DAYS = 7;
const KEPT_SECONDS = KEPT_DAYS * 86_400;

const Export = z.object({
  id: z.string(),
  scope: z.enum(['organization', 'user']),
  subject: z.string(),
  reason: z.string(),
  requested_by: z.string(),
  state: z.enum(['requested', 'written', 'withdrawn', 'gone']),
  expires_at: z.coerce.date(),
  prefix: z.string().nullable(),
  manifest_sha256: z.string().nullable(),
  row_count: z.coerce.number().nullable(),
  file_count: z.coerce.number().nullable(),
  byte_count: z.coerce.number().nullable(),
});
export type Export = z.output<typeof Export>;

type By = Pick<ErasureCall, 'actor' | 'token'>;

const asOperator = <T>({ token = '' }: By, database: Database, decision: Query<T>): Promise<T> =>
  askOne(database, decision, { ...LIMITS, operatorToken: token }).catch((error: unknown) => {
    throw refusal(error);
  });

/** The one of this subject that is being written, or a new one. */
export async function requestExport(
  database: Database,
  { scope, id }: Subject,
  by: By & { readonly reason: string },
): Promise<Export> {
  const asked = sql`select retention.request_export(${scope}, ${id}, ${by.reason}, ${by.actor}, ${KEPT_SECONDS}::float8) as it`;
  return (await asOperator(by, database, query(asked, oneRow(z.object({ it: Export }))))).it;
}

/** False: there is nothing of this id to do it with. */
export async function decideExport(
  database: Database,
  decision: 'link_export' | 'withdraw_export',
  by: By & { readonly id: string; readonly reason: string },
): Promise<boolean> {
  const args = sql`${by.actor}, ${by.reason}, ${by.id}::uuid`;
  const call: Sql =
    decision === 'link_export'
      ? sql`retention.link_export(${args})`
      : sql`retention.withdraw_export(${args})`;
  const done = await asOperator(
    by,
    database,
    query(sql`select n::text from ${call}`, maybeRow(z.object({ n: z.string() }))),
  );
  return done !== null;
}

const Yes = z.object({ is: z.boolean() });

export interface Complete {
  readonly prefix: string;
  readonly sha256: string;
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
}

/** False: it was taken back meanwhile. */
export async function completeExport(database: Database, id: string, c: Complete): Promise<boolean> {
  const change = sql`select retention.write_export(${id}::uuid, ${c.prefix}, ${c.sha256}, ${c.rows}::bigint, ${c.files}::bigint,
    ${c.bytes}::bigint, ${KEPT_SECONDS}::float8) as is`;
  return (await askOne(database, query(change, oneRow(Yes)), LIMITS)).is;
}

export async function endExport(database: Database, id: string): Promise<void> {
  await askOne(database, query(sql`select retention.end_export(${id}::uuid) as is`, oneRow(Yes)), LIMITS);
}

const Refused = z.object({ refused: z.enum(['used', 'expired']).nullable() });

/** Uses the link; null: it may be sent now, once. */
export async function fetchExport(
  database: Database,
  link: { readonly id: string; readonly expiresAt: Date },
  id: string,
): Promise<'used' | 'expired' | null> {
  const used = sql`select retention.fetch_export(${link.id}::uuid, ${link.expiresAt.toISOString()}::timestamptz, ${id}::uuid) as refused`;
  return (await askOne(database, query(used, oneRow(Refused)), LIMITS)).refused;
}

const exports = (where: Sql): Query<Export[]> =>
  query(sql`select to_jsonb(e) as it from retention.export e where ${where}`, (found) =>
    rows(z.object({ it: Export }))(found).map((row) => row.it),
  );

export const readExport = async (database: Database, id: string): Promise<Export | null> =>
  (await askOne(database, exports(sql`e.id = ${id}::uuid`), { ...LIMITS, readOnly: true }))[0] ?? null;

/** To be written, the oldest first. */
export const openExports = (database: Database, now: Date): Promise<Export[]> =>
  askOne(
    database,
    exports(
      sql`e.state = 'requested' and e.expires_at > ${now.toISOString()}::timestamptz order by e.requested_at limit 100`,
    ),
    { ...LIMITS, readOnly: true },
  );

/** Whose time is over, that were taken back, or whose subject has been erased since: nothing of them may stay in the store. */
export const endedExports = (database: Database, now: Date): Promise<Export[]> =>
  askOne(
    database,
    exports(sql`e.state <> 'gone' and (e.state = 'withdrawn' or e.expires_at <= ${now.toISOString()}::timestamptz
      or exists (select from retention.erasure x where x.scope = e.scope and x.subject = e.subject and x.state = 'done'
        and x.finished_at > e.requested_at)) order by e.expires_at limit 100`),
    { ...LIMITS, readOnly: true },
  );

/** All of a subject that may lie in the store. */
export const exportsOf = (database: Database, { scope, id }: Subject): Promise<Export[]> =>
  askOne(database, exports(sql`e.scope = ${scope} and e.subject = ${id} and e.state <> 'gone' limit 1000`), {
    ...LIMITS,
    readOnly: true,
  });

const Next = z.object({ next: z.coerce.date().nullable() });

/** When one has to be deleted next; the past while one is to be written. Null: there is none. */
export const nextEnd = async (database: Database): Promise<Date | null> => {
  const next = sql`select min(case when state = 'written' then expires_at else requested_at end) as next from retention.export where state <> 'gone'`;
  return (await askOne(database, query(next, oneRow(Next)), { ...LIMITS, readOnly: true })).next;
};

const Listed = z.record(z.string(), z.unknown());

/** As operators see them, the newest first. */
export const listExports = (database: Database): Promise<z.output<typeof Listed>[]> =>
  askOne(
    database,
    query(
      sql`select id::text, scope, subject, state, reason, requested_by, ${utc(sql`requested_at`, 'ms')} as requested_at,
        ${utc(sql`expires_at`, 'ms')} as expires_at, row_count::float8 as rows, file_count::float8 as files, byte_count::float8 as bytes,
        ${utc(sql`gone_at`, 'ms')} as gone_at from retention.export order by retention.export.requested_at desc, id limit 200`,
      rows(Listed),
    ),
    { ...LIMITS, readOnly: true },
  );
