/** Tables retention.restore and retention.restore_part, changed by functions of the schema only, each with its entry. */
import { z } from 'zod';
import { refusal } from '../../operators/carry-out';
import { RequestError } from '../../platform/errors';
import { nothing, oneRow, type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { type Sql, sql, utc } from '../../platform/sql';
import type { Services } from '../../services';
import type { Wish } from './archives';

/** Who decides, and with what they prove it. */
export interface By {
  readonly actor: string;
  readonly token?: string;
}

const LIMITS = { statementMs: 5_000 };

const Request = z.object({
  id: z.uuid(),
  scope: z.enum(['run', 'organization', 'item']),
  subject: z.string(),
  policy: z.string().nullable(),
  requested_by: z.string(),
  rows_found: z.coerce.number(),
  state: z.enum(['requested', 'confirmed', 'open', 'done', 'withdrawn']),
});
export type RestoreRecord = z.infer<typeof Request>;
const Refused = z.object({ refused: z.string() });

/** The request for this that is under way, or a new one. */
export const requestRestore = (
  services: Services,
  wish: Wish,
  about: { readonly reason: string; readonly by: By; readonly found: number; readonly keepDays: number },
): Promise<RestoreRecord> =>
  decided(
    services,
    about.by,
    sql`retention.request_restore(${about.by.actor}, ${about.reason}, ${wish.scope}, ${wish.subject}, ${wish.policy},
      ${about.found}::bigint, ${about.keepDays}::int)`,
  );

export const confirmRestore = (services: Services, id: string, reason: string, by: By) =>
  decided(services, by, sql`retention.confirm_restore(${by.actor}, ${reason}, ${id}::uuid)`);
export const withdrawRestore = (services: Services, id: string, reason: string, by: By) =>
  decided(services, by, sql`retention.withdraw_restore(${by.actor}, ${reason}, ${id}::uuid)`);

/** Throws RequestError with what its state refuses. */
async function decided(services: Services, by: By, decision: Sql): Promise<RestoreRecord> {
  const asking = query(sql`select ${decision} as it`, oneRow(z.object({ it: z.union([Refused, Request]) })));
  const { it } = await askAs(services, by, asking);
  if (!('refused' in it)) return it;
  if (it.refused === 'unknown') throw new RequestError(404, 'unknown', 'there is no such restore', 'id');
  if (it.refused === 'own')
    throw new RequestError(409, 'own_request', 'another operator than the one who asked confirms it', 'id');
  throw new RequestError(409, 'wrong_state', `this restore is ${it.refused} already`, 'id');
}

export const noteRestored = (
  services: Services,
  by: By,
  about: { readonly restore: string; readonly archive: string; readonly counts: object },
): Promise<void> =>
  askAs(
    services,
    by,
    query(
      sql`select retention.note_restored(${by.actor}, ${about.restore}::uuid, ${about.archive}::uuid, ${JSON.stringify(about.counts)}::jsonb)`,
      nothing,
    ),
  );

/** False: it was withdrawn, or another call has finished it. */
export const finishRestore = async (services: Services, by: By, id: string): Promise<boolean> =>
  (
    await askAs(
      services,
      by,
      query(
        sql`select retention.finish_restore(${by.actor}, ${id}::uuid) as done`,
        oneRow(z.object({ done: z.boolean() })),
      ),
    )
  ).done;

const Through = z.object({ archive: z.uuid(), counts: z.record(z.string(), z.number()) });

/** Archives it is through with, and what each came to. */
export const throughWith = (services: Services, id: string): Promise<z.infer<typeof Through>[]> =>
  askOne(
    services.database,
    query(
      sql`select archive::text, counts from retention.restore_part where restore = ${id}::uuid order by archive`,
      rows(Through),
    ),
    LIMITS,
  );

/** The request as it is. Throws RequestError 404. */
export async function restoreOf(services: Services, id: string): Promise<RestoreRecord> {
  const asked = sql`select to_jsonb(x) as it from retention.restore x where id = ${id}::uuid`;
  const found = await askOne(services.database, query(asked, rows(z.object({ it: Request }))), LIMITS);
  if (found[0]) return found[0].it;
  throw new RequestError(404, 'unknown', 'there is no such restore', 'id');
}

const PAGE = 100;

/** The latest restores, with what each came to. */
export const listRestores = (services: Services): Promise<Record<string, unknown>[]> =>
  askOne(
    services.reading,
    query(
      sql`select id::text, scope, subject, policy, state, reason, rows_found::float8 as rows_found, requested_by, confirmed_by,
        ${utc(sql`requested_at`, 'ms')} as requested_at, ${utc(sql`finished_at`, 'ms')} as finished_at, ${utc(sql`keep_until`, 'ms')} as keep_until,
        coalesce((select jsonb_object_agg(y.key, y.n) from (select c.key, sum(c.value::bigint) as n from retention.restore_part p
          cross join jsonb_each_text(p.counts) c where p.restore = r.id group by 1) y), '{}') as counts
      from retention.restore r order by r.requested_at desc, r.id limit ${PAGE}::int`,
      rows(z.record(z.string(), z.unknown())),
    ),
    { ...LIMITS, readOnly: true },
  );

/** What an operator does, by their own token. */
export const askAs = <T>(
  { deciding }: Services,
  { token = '' }: By,
  asked: Query<T>,
  limits: { readonly statementMs: number; readonly lockMs?: number; readonly readOnly?: boolean } = LIMITS,
): Promise<T> =>
  askOne(deciding, asked, { ...limits, operatorToken: token }).catch((error: unknown) => {
    throw refusal(error);
  });
