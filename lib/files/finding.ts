/**
 * Tables retention.blob_scan and retention.blob_finding: what the reconciliation saw. An orphan is open until it
 * is named again, gone, or handed to the outbox; a missing file until it is there again or its row is gone.
 */

import { z } from 'zod';
import type { StoredFile } from '../platform/blob';
import type { Database } from '../platform/database';
import { nothing, oneRow, query, rows } from '../platform/query';
import { askOne, type Limits } from '../platform/session';
import type { KeyColumn, TableName } from '../platform/sql';
import {
  empty,
  id,
  keyAsText,
  keyValue,
  list,
  literal,
  sql,
  tableId,
  tableLabel,
  typed,
} from '../platform/sql';
import { type FileReference, referenced } from './references';

const LIMITS: Limits = { statementMs: 10_000 };
const READING: Limits = { ...LIMITS, readOnly: true };

export interface Scan {
  readonly id: string;
  readonly at: Date;
}

export async function beginScan(database: Database, scan: Scan, mode: 'report' | 'delete'): Promise<void> {
  const insert = sql`insert into retention.blob_scan (id, mode, started_at)
    values (${scan.id}::uuid, ${mode}, ${scan.at.toISOString()}::timestamptz) on conflict do nothing`;
  await askOne(database, query(insert, nothing), LIMITS);
}

/** Whether a scan that is finished began after this instant. */
export async function scannedSince(database: Database, since: Date): Promise<boolean> {
  const asked = query(
    sql`select exists (select 1 from retention.blob_scan where finished_at is not null and started_at > ${since.toISOString()}::timestamptz) as scanned`,
    oneRow(z.object({ scanned: z.boolean() })),
  );
  return (await askOne(database, asked, READING)).scanned;
}

const Counted = z.object({ n: z.coerce.number() });

/** Judges one page of the listing. Returns how many of its files no row and no open outbox entry names. */
export async function noteListed(
  database: Database,
  scan: Scan,
  files: readonly StoredFile[],
  references: readonly FileReference[],
): Promise<number> {
  return (await askOne(database, listing(scan, files, references), LIMITS)).n;
}

function listing(
  { id: scan, at: began }: Scan,
  files: readonly StoredFile[],
  references: readonly FileReference[],
) {
  const listed = files.map((f) => ({ path: f.pathname, bytes: f.bytes, at: f.uploadedAt.toISOString() }));
  const bytes = files.reduce((n, f) => n + f.bytes, 0);
  const [its, at] = [typed(scan, 'uuid'), typed(began.toISOString(), 'timestamptz')];
  return query(
    sql`with listed as materialized (
      select f.*, retention.blob_path(f.path) as canonical from jsonb_to_recordset(${JSON.stringify(listed)}::jsonb) f(path text, bytes bigint, at timestamptz)
    ),
    judged as materialized (
      -- An operator who discarded an entry decided that its file stays.
      select l.path, l.bytes, l.at, ${referenced(references, sql`l.canonical`)}
        or exists (select 1 from retention.outbox o where o.path = l.canonical
          and (o.state in ('pending', 'deleting', 'held', 'dead') or (o.state = 'kept' and o.resolution is not null)) limit 1) as named
      from listed l
      -- A name that cannot be looked up in rows is not judged: rows may write it in several ways.
      where l.path = l.canonical
    ),
    orphans as (
      insert into retention.blob_finding as b (kind, path, bytes, uploaded_at, first_scan, last_scan, first_seen_at, last_seen_at)
      select 'orphan', path, bytes, at, ${its}, ${its}, ${at}, ${at} from judged where not named order by path
      on conflict (kind, path, table_name, row_key) where state = 'open' do update set
        -- Uploaded again: another file, to be seen twice from here.
        scans = case when b.uploaded_at is distinct from excluded.uploaded_at then 1 else b.scans + (b.last_scan <> excluded.last_scan)::int end,
        first_seen_at = case when b.uploaded_at is distinct from excluded.uploaded_at then excluded.first_seen_at else b.first_seen_at end,
        last_scan = excluded.last_scan, last_seen_at = excluded.last_seen_at, bytes = excluded.bytes, uploaded_at = excluded.uploaded_at
      returning 1
    ),
    named_again as (
      update retention.blob_finding b set state = 'resolved' from judged j
      where b.state = 'open' and b.path = j.path and (b.kind = 'missing' or (b.kind = 'orphan' and j.named))
    ),
    counted as (
      update retention.blob_scan set listed = listed + ${files.length}::bigint, listed_bytes = listed_bytes + ${bytes}::bigint where id = ${its}
    )
    select count(*) as n from orphans`,
    oneRow(Counted),
  );
}

/** Everything was listed: an open orphan this scan did not see is gone, or named by an entry of the outbox now. */
export async function endListing(database: Database, scan: Scan): Promise<void> {
  const resolve = sql`update retention.blob_finding set state = 'resolved'
    where kind = 'orphan' and state = 'open' and last_scan <> ${scan.id}::uuid`;
  await askOne(database, query(resolve, nothing), LIMITS);
}

export interface Ripe {
  readonly graceSeconds: number;
  /** Two sightings at least this far apart: a scan that was started over is no second opinion. */
  readonly apartSeconds: number;
  readonly cap: number;
  /** The declared prefixes: nothing outside is ever queued. */
  readonly folders: readonly string[];
  readonly actor: string;
}

const Queued = z.object({ queued: z.coerce.number().nullable(), bytes: z.coerce.number() });

/** Hands ripe orphans below these folders to the outbox. Null: everything is stopped, and nothing was handed over. */
export async function queueRipe(
  database: Database,
  scan: Scan,
  ripe: Ripe,
): Promise<{ queued: number; bytes: number } | null> {
  const { graceSeconds, apartSeconds, cap, folders, actor } = ripe;
  const queueing = query(
    sql`select queued, bytes::text from retention.queue_orphans(${scan.id}::uuid, ${scan.at.toISOString()}::timestamptz, ${graceSeconds}::float8,
      ${apartSeconds}::float8, ${cap}::int, array(select jsonb_array_elements_text(${JSON.stringify(folders)}::jsonb)), ${actor})`,
    oneRow(Queued),
  );
  const { queued, bytes } = await askOne(database, queueing, LIMITS);
  return queued === null ? null : { queued, bytes };
}

/** One column that names files, with the key of its rows. */
export interface FileSource {
  readonly table: TableName;
  readonly key: readonly KeyColumn[];
  readonly column: string;
}

export interface NamedFile {
  readonly rowKey: string;
  readonly position: readonly string[];
  readonly url: string;
  /** What the store is asked for; null where the name is not one of this store. */
  readonly path: string | null;
}

const Named = z
  .object({ key: z.string(), position: z.array(z.string()), url: z.string(), path: z.string().nullable() })
  .transform(({ key: rowKey, ...more }): NamedFile => ({ rowKey, ...more }));

/** The next rows that name files, in the order of their key. */
export function nextNamed(
  database: Database,
  { table, key, column }: FileSource,
  after: readonly string[] | null,
  limit: number,
  hosts: readonly string[],
): Promise<NamedFile[]> {
  const columns = key.map((k) => id('t', k.column));
  const position = key.map((k, i) => keyValue(after?.[i] ?? null, k));
  const further = after ? sql` and (${list(...columns)}) > (${list(...position)})` : empty;
  const file = sql`${id('t', column)}::text`;
  const named = query(
    sql`select ${keyAsText('t', key)} as key, jsonb_build_array(${list(...columns.map((c) => sql`${c}::text`))}) as position, ${file} as url,
      case when retention.blob_refusal(${file}, '', array(select jsonb_array_elements_text(${JSON.stringify(hosts)}::jsonb))) is null
        then retention.blob_path(${file}) end as path
    from ${tableId(table)} t where coalesce(${file}, '') <> ''${further}
    order by ${list(...columns)} limit ${limit}::int`,
    rows(Named),
  );
  return askOne(database, named, READING);
}

/** Notes the missing ones whose row still names them, closes those that are there again. Returns how many are missing. */
export async function noteChecked(
  database: Database,
  scan: Scan,
  source: FileSource,
  missing: readonly NamedFile[],
  present: readonly NamedFile[],
): Promise<number> {
  return (await askOne(database, checking(scan, source, missing, present), LIMITS)).n;
}

function checking(
  { id: scan, at: began }: Scan,
  { table, key, column }: FileSource,
  missing: readonly NamedFile[],
  present: readonly NamedFile[],
) {
  const [its, at] = [typed(scan, 'uuid'), typed(began.toISOString(), 'timestamptz')];
  const label = literal(tableLabel(table));
  const gone = JSON.stringify(missing.map((m) => ({ key: m.rowKey, url: m.url })));
  const there = JSON.stringify(present.map((x) => x.rowKey));
  return query(
    sql`with still as (
      select m.url, m.key from jsonb_to_recordset(${gone}::jsonb) m(key text, url text)
      where exists (select 1 from ${tableId(table)} t where ${id('t', column)} = m.url and ${keyAsText('t', key)} = m.key)
    ),
    noted as (
      insert into retention.blob_finding as b (kind, path, table_name, row_key, first_scan, last_scan, first_seen_at, last_seen_at)
      select 'missing', retention.blob_path(url), ${label}, key, ${its}, ${its}, ${at}, ${at} from still order by 2, 4
      on conflict (kind, path, table_name, row_key) where state = 'open' do update set
        scans = b.scans + (b.last_scan <> excluded.last_scan)::int, last_scan = excluded.last_scan, last_seen_at = excluded.last_seen_at
      returning 1
    ),
    there as (
      update retention.blob_finding b set state = 'resolved'
      where b.kind = 'missing' and b.state = 'open' and b.table_name = ${label}
        and b.row_key = any(array(select jsonb_array_elements_text(${there}::jsonb)))
    ),
    counted as (
      update retention.blob_scan set checked_rows = checked_rows + ${missing.length + present.length}::bigint where id = ${its}
    )
    select count(*) as n from noted`,
    oneRow(Counted),
  );
}

/** Every row was asked for: what this scan did not see missing has gone with its row. */
export async function endScan(database: Database, scan: Scan, finishedAt: Date): Promise<void> {
  const end = sql`with gone as (
      update retention.blob_finding set state = 'resolved' where kind = 'missing' and state = 'open' and last_scan <> ${scan.id}::uuid
    )
    update retention.blob_scan set finished_at = ${finishedAt.toISOString()}::timestamptz where id = ${scan.id}::uuid`;
  await askOne(database, query(end, nothing), LIMITS);
}
