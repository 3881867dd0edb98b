/** What people decided, and what waits for them, page by page: holds, extensions, dead letters, erasures, exports, archives, restores, notices. */
import { z } from 'zod';
import { candidates } from '../../operators/audit/receipts-of-key';
import { type InForce, inForce } from '../../operators/in-force';
import { askOne, type Limits } from '../../platform/session';
import { allOf, anyOf, empty, id, type Sql, sql, typed, utc } from '../../platform/sql';
import { UNDER_WAY } from '../../rights/store';
import type { Services } from '../../services';
import { HALF_A_PAGE, type Page, pageOf } from './keyset';

const LIMITS: Limits = { statementMs: 5_000, readOnly: true };

const instant = (column: string, as = column): Sql => sql`${utc(id(column), 'ms')} as ${id(as)}`;
/** Of the table as `x`: a plain name would mean the text that is answered, by which no index is in order. */
const uuidAt = (column: string) => ({ at: id('x', column), id: id('x', 'id'), type: 'uuid' as const });

export const HoldRow = z.object({
  id: z.string(),
  scope: z.enum(['organization', 'user', 'item']),
  subject: z.string(),
  table_name: z.string().nullable(),
  reason: z.string(),
  placed_by: z.string(),
  placed_at: z.string(),
  review_at: z.string().nullable(),
  released_by: z.string().nullable(),
  released_at: z.string().nullable(),
  release_reason: z.string().nullable(),
});
export type HoldRow = z.output<typeof HoldRow>;
/** What a hold in force keeps; undefined for one that was released. */
export type Held = HoldRow & { readonly keeps?: InForce };

const HOLD = sql`id::text, scope, subject, table_name, reason, placed_by, ${instant('placed_at')}, ${instant('review_at')},
  released_by, ${instant('released_at')}, release_reason`;

/** Newest first; each in force with what it keeps now. */
export async function holds(
  s: Services,
  { released, after }: { readonly released: boolean; readonly after?: string | undefined },
): Promise<Page<Held>> {
  const where = released ? sql`released_at is not null` : sql`released_at is null`;
  const asked = pageOf(
    HoldRow,
    { select: HOLD, from: sql`retention.hold x`, where },
    uuidAt('placed_at'),
    after,
  );
  const page = await askOne(s.reading, asked, LIMITS);
  if (released) return page;
  const keeps = await inForce(s, 'holds', page.entries);
  return { ...page, entries: page.entries.map((hold, i) => ({ ...hold, keeps: keeps[i]! })) };
}

/** Null: there is no such hold. */
export async function holdOf(s: Services, hold: string): Promise<HoldRow | null> {
  const where = sql`id = ${hold}::uuid`;
  const asked = pageOf(
    HoldRow,
    { select: HOLD, from: sql`retention.hold x`, where },
    uuidAt('placed_at'),
    undefined,
  );
  return (await askOne(s.reading, asked, LIMITS)).entries[0] ?? null;
}

const ExtensionRow = z.object({
  table_name: z.string(),
  row_key: z.string(),
  keep_until: z.string(),
  reason: z.string(),
  extended_by: z.string(),
});
export type ExtensionRow = z.output<typeof ExtensionRow>;

/** Those in force, the one that lasts longest first. */
export const extensions = (s: Services, after?: string): Promise<Page<ExtensionRow>> =>
  askOne(
    s.reading,
    pageOf(
      ExtensionRow,
      {
        select: sql`table_name, row_key, ${instant('keep_until')}, reason, extended_by`,
        from: sql`retention.extension x`,
        where: sql`keep_until > ${s.clock().toISOString()}::timestamptz`,
      },
      uuidAt('keep_until'),
      after,
    ),
    LIMITS,
  );

const Letter = z.object({
  id: z.string(),
  policy: z.string(),
  table_name: z.string().nullable(),
  row_key: z.string().nullable(),
  attempts: z.coerce.number(),
  /** SQLSTATE of a row, class of a file's failure. */
  error: z.string().nullable(),
  constraint_name: z.string().nullable(),
  next_attempt_at: z.string().nullable(),
  assigned_to: z.string().nullable(),
  created_at: z.string(),
});
export type Letter = z.output<typeof Letter>;
export type LetterKind = 'row' | 'file';

const LETTERS: Record<LetterKind, { select: Sql; from: Sql; where: Sql; by: 'uuid' | 'bigint'; at: string }> =
  {
    row: {
      select: sql`id::text, policy, table_name, row_key, attempts, sql_state as error, constraint_name, ${instant('next_attempt_at')},
      assigned_to, ${instant('created_at')}`,
      from: sql`retention.dead_letter x`,
      where: sql`state = 'open'`,
      ...{ by: 'uuid', at: 'created_at' },
    },
    file: {
      select: sql`id::text, policy, table_name, row_key, attempts, error_class as error, null::text as constraint_name,
      null::text as next_attempt_at, assigned_to, ${instant('created_at')}`,
      from: sql`retention.outbox x`,
      where: sql`state = 'dead'`,
      ...{ by: 'bigint', at: 'updated_at' },
    },
  };

/** Oldest first: what has waited longest is nearest to its limit. */
export function letters(
  s: Services,
  kind: LetterKind,
  { after, policy }: { readonly after?: string | undefined; readonly policy?: string | undefined } = {},
): Promise<Page<Letter>> {
  const { select, from, where, by, at } = LETTERS[kind];
  const of = policy === undefined ? where : sql`${where} and policy = ${policy}`;
  const place = { at: id('x', at), id: id('x', 'id'), type: by, oldestFirst: true };
  return askOne(s.reading, pageOf(Letter, { select, from, where: of }, place, after), LIMITS);
}

/** Null: it is not open any more. */
export async function letterOf(s: Services, kind: LetterKind, letter: string): Promise<Letter | null> {
  const { select, from, where, by, at } = LETTERS[kind];
  const one = sql`${where} and id = ${typed(letter, by)}`;
  const place = { at: id('x', at), id: id('x', 'id'), type: by };
  const page = await askOne(
    s.reading,
    pageOf(Letter, { select, from, where: one }, place, undefined),
    LIMITS,
  );
  return page.entries[0] ?? null;
}

const ErasureRow = z.object({
  id: z.string(),
  scope: z.enum(['organization', 'user']),
  state: z.string(),
  reason: z.string(),
  rows_found: z.coerce.number().nullable(),
  requested_by: z.string(),
  requested_at: z.string(),
  due_at: z.string(),
  finished_at: z.string().nullable(),
  tables: z.coerce.number(),
  tables_done: z.coerce.number(),
});
export type ErasureRow = z.output<typeof ErasureRow>;

/** Under way: the one that is due first before the others. Settled: newest first. Never whose: an id is shown on its own page. */
export function erasures(
  s: Services,
  { settled, after }: { readonly settled: boolean; readonly after?: string | undefined },
): Promise<Page<ErasureRow>> {
  const steps = (more: Sql) =>
    sql`(select count(*) from retention.erasure_step t where t.erasure = e.id and t.outcome <> 'out_of_reach'${more})`;
  const is = (state: string) => sql`e.state = ${state}`;
  const underWay = anyOf(...UNDER_WAY.map(is));
  return askOne(
    s.reading,
    pageOf(
      ErasureRow,
      {
        select: sql`e.id::text, e.scope, e.state, e.reason, e.rows_found::text, e.requested_by, ${instant('requested_at')},
          ${instant('due_at')}, ${instant('finished_at')}, ${steps(empty)}::text as tables,
          ${steps(sql` and t.outcome = 'succeeded'`)}::text as tables_done`,
        from: sql`retention.erasure e`,
        where: settled ? sql`not ${underWay}` : underWay,
      },
      {
        ...{ id: sql`e.id`, type: 'uuid', oldestFirst: !settled },
        at: settled ? sql`e.requested_at` : sql`e.due_at`,
      },
      after,
    ),
    LIMITS,
  );
}

const ExportRow = z.object({
  id: z.string(),
  scope: z.enum(['organization', 'user']),
  state: z.enum(['requested', 'written', 'withdrawn', 'gone']),
  reason: z.string(),
  requested_by: z.string(),
  requested_at: z.string(),
  expires_at: z.string(),
  rows: z.coerce.number().nullable(),
  files: z.coerce.number().nullable(),
  bytes: z.coerce.number().nullable(),
});
export type ExportRow = z.output<typeof ExportRow>;

export const exportRows = (s: Services, after?: string): Promise<Page<ExportRow>> =>
  askOne(
    s.reading,
    pageOf(
      ExportRow,
      {
        select: sql`id::text, scope, state, reason, requested_by, ${instant('requested_at')}, ${instant('expires_at')},
          row_count::text as rows, file_count::text as files, byte_count::text as bytes`,
        from: sql`retention.export x`,
        where: sql`true`,
      },
      uuidAt('requested_at'),
      after,
    ),
    LIMITS,
  );

const ArchiveRow = z.object({
  id: z.string(),
  policy: z.string(),
  run: z.string(),
  table_name: z.string(),
  rows: z.coerce.number(),
  dependants: z.coerce.number(),
  files: z.coerce.number(),
  bytes: z.coerce.number(),
  dead_rows: z.coerce.number(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
});
export type ArchiveRow = z.output<typeof ArchiveRow>;

export interface ArchiveSearch {
  readonly policy?: string | undefined;
  readonly run?: string | undefined;
  readonly organization?: string | undefined;
  /** As it is printed; an archive knows the keys of its rows. */
  readonly key?: string | undefined;
  readonly after?: string | undefined;
}

/** Those of the receipts that may name it: by their index, as no batch has to keep one of its archive's keys. */
const archivesNaming = (key: string): Sql => sql`select c.archive from (${candidates([key])}) k
    cross join lateral (select x.archive from retention.receipt x where x.id = k.id offset 0) c where c.archive is not null`;

/** Archives that can be restored from, newest first. */
export function archives(s: Services, { policy, run, organization, key, after }: ArchiveSearch) {
  const of = sql`select from retention.archive_subject s where s.archive = a.id and s.scope = 'organization'
    and s.subject = ${organization ?? ''} and s.erased_at is null`;
  const where = allOf(
    sql`a.state = 'kept'`,
    policy === undefined ? null : sql`a.policy = ${policy}`,
    run === undefined ? null : sql`a.run = ${run}::uuid`,
    organization === undefined ? null : sql`exists (${of})`,
    key === undefined
      ? null
      : sql`((a.id = any(array(${archivesNaming(key)})) and a.keys @> ${typed([key], 'text[]')}) or a.part_of = ${key})`,
  );
  const select = sql`a.id::text, a.policy, a.run::text, a.table_name, a.rows::text, a.dependants::text, a.files::text, a.bytes::text,
    a.dead_rows::text, ${instant('created_at')}, ${instant('expires_at')}`;
  const by = { at: sql`a.created_at`, id: sql`a.id`, type: 'uuid' as const, most: HALF_A_PAGE };
  return askOne(
    s.reading,
    pageOf(ArchiveRow, { select, from: sql`retention.archive a`, where }, by, after),
    LIMITS,
  );
}

const RestoreRow = z.object({
  id: z.string(),
  scope: z.enum(['run', 'organization', 'item']),
  subject: z.string(),
  policy: z.string().nullable(),
  state: z.enum(['requested', 'confirmed', 'open', 'done', 'withdrawn']),
  reason: z.string(),
  rows_found: z.coerce.number(),
  requested_by: z.string(),
  confirmed_by: z.string().nullable(),
  requested_at: z.string(),
  finished_at: z.string().nullable(),
  keep_until: z.string(),
  counts: z.record(z.string(), z.coerce.number()),
});
export type RestoreRow = z.output<typeof RestoreRow>;

const COUNTS = sql`coalesce((select jsonb_object_agg(y.key, y.n) from (select c.key, sum(c.value::bigint) as n
    from retention.restore_part p cross join jsonb_each_text(p.counts) c where p.restore = r.id group by 1) y), '{}') as counts`;
const RESTORE = sql`r.id::text, r.scope, r.subject, r.policy, r.state, r.reason, r.rows_found::text, r.requested_by, r.confirmed_by,
  ${instant('requested_at')}, ${instant('finished_at')}, ${instant('keep_until')}, ${COUNTS}`;
const restoresWhere = (s: Services, where: Sql, after?: string) =>
  askOne(
    s.reading,
    pageOf(
      RestoreRow,
      { select: RESTORE, from: sql`retention.restore r`, where },
      { at: sql`r.requested_at`, id: sql`r.id`, type: 'uuid', most: HALF_A_PAGE },
      after,
    ),
    LIMITS,
  );

export const restores = (s: Services, after?: string): Promise<Page<RestoreRow>> =>
  restoresWhere(s, sql`true`, after);
/** Null: there is no such restore. */
export const restoreRow = async (s: Services, restore: string): Promise<RestoreRow | null> =>
  (await restoresWhere(s, sql`r.id = ${restore}::uuid`)).entries[0] ?? null;

const NoticeRow = z.object({
  id: z.string(),
  tenant: z.string(),
  state: z.enum(['open', 'delivered', 'unsure']),
  required: z.boolean(),
  attempts: z.coerce.number(),
  error: z.string().nullable(),
  created_at: z.string(),
  settled_at: z.string().nullable(),
  policies: z.array(z.string()),
});
export type NoticeRow = z.output<typeof NoticeRow>;

/** Messages to organizations, newest first: what became of each. */
export const notices = (s: Services, after?: string): Promise<Page<NoticeRow>> =>
  askOne(
    s.reading,
    pageOf(
      NoticeRow,
      {
        select: sql`n.id::text, n.tenant, n.state, n.required, n.attempts, n.error, ${instant('created_at')}, ${instant('settled_at')},
          coalesce((select to_json(array_agg(distinct p.policy order by p.policy)) from retention.notice_part p where p.notice = n.id), '[]') as policies`,
        from: sql`retention.notice n`,
        where: sql`true`,
      },
      { at: sql`n.created_at`, id: sql`n.id`, type: 'uuid' },
      after,
    ),
    LIMITS,
  );
