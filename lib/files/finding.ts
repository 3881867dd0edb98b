/**
 * Tables retention.blob_scan and retention.blob_finding: what the reconciliation saw. An orphan is open until it
 * is named again, gone, or handed to the outbox; a missing file until it is there again or its row is gone.
 */

import type { StoredFile } from '../platform/blob';
import type { Database, Row } from '../platform/database';
import { answerTimeoutMs, session } from '../platform/session';
import type { KeyColumn, TableName } from '../platform/sql';
import { keyText, name, Parameters, table, tableLabel, text } from '../platform/sql';
import { type Reference, referenced } from './references';

const STATEMENT_MS = 10_000;

export interface Scan {
  readonly id: string;
  readonly at: Date;
}

export async function beginScan(database: Database, scan: Scan, mode: 'report' | 'delete'): Promise<void> {
  await ask(
    database,
    'insert into retention.blob_scan (id, mode, started_at) values ($1::uuid, $2, $3::timestamptz) on conflict do nothing',
    [scan.id, mode, scan.at.toISOString()],
  );
}

/** Whether a scan that is finished began after this instant. */
export async function scannedSince(database: Database, since: Date): Promise<boolean> {
  const rows = await ask(
    database,
    'select exists (select 1 from retention.blob_scan where finished_at is not null and started_at > $1::timestamptz) as scanned',
    [since.toISOString()],
    true,
  );
  return Boolean(rows[0]?.scanned);
}

/** Judges one page of the listing. Gives how many of its files no row and no open outbox entry names. */
export async function noteListed(
  database: Database,
  scan: Scan,
  files: readonly StoredFile[],
  references: readonly Reference[],
): Promise<number> {
  const p = new Parameters();
  const listed = p.add(
    JSON.stringify(files.map((f) => ({ path: f.pathname, bytes: f.bytes, at: f.uploadedAt.toISOString() }))),
    'jsonb',
  );
  const id = p.add(scan.id, 'uuid');
  const at = p.add(scan.at.toISOString(), 'timestamptz');
  const bytes = files.reduce((n, f) => n + f.bytes, 0);
  const { text: sql, params } = p.statement(`with listed as materialized (
      select f.*, retention.blob_path(f.path) as canonical from jsonb_to_recordset(${listed}) f(path text, bytes bigint, at timestamptz)
    ),
    judged as materialized (
      -- An operator who discarded an entry decided that its file stays.
      select l.path, l.bytes, l.at, ${referenced(references, 'l.canonical')}
        or exists (select 1 from retention.outbox o where o.path = l.canonical
          and (o.state in ('pending', 'deleting', 'held', 'dead') or (o.state = 'kept' and o.resolution is not null)) limit 1) as named
      from listed l
      -- A name that rows cannot be asked for is not judged: whoever gave it to a file may write it in several ways.
      where l.path = l.canonical
    ),
    orphans as (
      insert into retention.blob_finding as b (kind, path, bytes, uploaded_at, first_scan, last_scan, first_seen_at, last_seen_at)
      select 'orphan', path, bytes, at, ${id}, ${id}, ${at}, ${at} from judged where not named order by path
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
      update retention.blob_scan set listed = listed + ${p.add(files.length, 'bigint')}, listed_bytes = listed_bytes + ${p.add(bytes, 'bigint')} where id = ${id}
    )
    select count(*) as orphans from orphans`);
  return Number((await ask(database, sql, params))[0]?.orphans ?? 0);
}

/** Everything was listed: an open orphan this scan did not see is gone, or named by an entry of the outbox now. */
export async function endListing(database: Database, scan: Scan): Promise<void> {
  await ask(
    database,
    "update retention.blob_finding set state = 'resolved' where kind = 'orphan' and state = 'open' and last_scan <> $1::uuid",
    [scan.id],
  );
}

export interface Ripe {
  readonly graceSeconds: number;
  /** Two sightings this far apart at least: a scan begun anew is no second opinion. */
  readonly apartSeconds: number;
  readonly cap: number;
  /** The declared prefixes: nothing outside is ever queued. */
  readonly folders: readonly string[];
  readonly actor: string;
}

/** Hands ripe orphans below these folders to the outbox. Null: everything is stopped, and nothing was handed over. */
export async function queueRipe(
  database: Database,
  scan: Scan,
  ripe: Ripe,
): Promise<{ queued: number; bytes: number } | null> {
  const [row] = await ask(
    database,
    `select queued, bytes::text from retention.queue_orphans($1::uuid, $2::timestamptz, $3::float8, $4::float8, $5::int,
      array(select jsonb_array_elements_text($6::jsonb)), $7)`,
    [
      scan.id,
      scan.at.toISOString(),
      ripe.graceSeconds,
      ripe.apartSeconds,
      ripe.cap,
      JSON.stringify(ripe.folders),
      ripe.actor,
    ],
  );
  return row?.queued == null ? null : { queued: Number(row.queued), bytes: Number(row.bytes) };
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

/** The next rows that name files, in the order of their key. */
export async function nextNamed(
  database: Database,
  source: FileSource,
  after: readonly string[] | null,
  limit: number,
  hosts: readonly string[],
): Promise<NamedFile[]> {
  const p = new Parameters();
  const columns = source.key.map((k) => `t.${name(k.column)}`);
  const from = after
    ? ` and (${columns.join(', ')}) > (${source.key.map((k, i) => p.add(after[i] ?? null, k.type)).join(', ')})`
    : '';
  const { text: sql, params } = p.statement(`select ${keyText('t', source.key)} as key,
      jsonb_build_array(${columns.map((c) => `${c}::text`).join(', ')}) as position, t.${name(source.column)}::text as url,
      case when retention.blob_refusal(t.${name(source.column)}::text, '', array(select jsonb_array_elements_text(${p.add(JSON.stringify(hosts), 'jsonb')}))) is null
        then retention.blob_path(t.${name(source.column)}::text) end as path
    from ${table(source.table)} t where coalesce(t.${name(source.column)}::text, '') <> ''${from}
    order by ${columns.join(', ')} limit ${p.add(limit, 'int')}`);
  const rows = await ask(database, sql, params, true);
  return rows.map((r) => ({
    rowKey: String(r.key),
    position: r.position as string[],
    url: String(r.url),
    path: r.path === null ? null : String(r.path),
  }));
}

/** Notes the missing ones whose row still names them, closes those that are there again. Gives how many are missing. */
export async function noteChecked(
  database: Database,
  scan: Scan,
  source: FileSource,
  missing: readonly NamedFile[],
  present: readonly NamedFile[],
): Promise<number> {
  const p = new Parameters();
  const id = p.add(scan.id, 'uuid');
  const at = p.add(scan.at.toISOString(), 'timestamptz');
  const label = text(tableLabel(source.table));
  const { text: sql, params } = p.statement(`with still as (
      select m.url, m.key from jsonb_to_recordset(${p.add(JSON.stringify(missing.map((m) => ({ key: m.rowKey, url: m.url }))), 'jsonb')}) m(key text, url text)
      where exists (select 1 from ${table(source.table)} t where t.${name(source.column)} = m.url and ${keyText('t', source.key)} = m.key)
    ),
    noted as (
      insert into retention.blob_finding as b (kind, path, table_name, row_key, first_scan, last_scan, first_seen_at, last_seen_at)
      select 'missing', retention.blob_path(url), ${label}, key, ${id}, ${id}, ${at}, ${at} from still order by 2, 4
      on conflict (kind, path, table_name, row_key) where state = 'open' do update set
        scans = b.scans + (b.last_scan <> excluded.last_scan)::int, last_scan = excluded.last_scan, last_seen_at = excluded.last_seen_at
      returning 1
    ),
    there as (
      update retention.blob_finding b set state = 'resolved'
      where b.kind = 'missing' and b.state = 'open' and b.table_name = ${label}
        and b.row_key = any(array(select jsonb_array_elements_text(${p.add(JSON.stringify(present.map((x) => x.rowKey)), 'jsonb')})))
    ),
    counted as (
      update retention.blob_scan set checked_rows = checked_rows + ${p.add(missing.length + present.length, 'bigint')} where id = ${id}
    )
    select count(*) as missing from noted`);
  return Number((await ask(database, sql, params))[0]?.missing ?? 0);
}

/** Every row was asked for: what this scan did not see missing has gone with its row. */
export async function endScan(database: Database, scan: Scan, finishedAt: Date): Promise<void> {
  await ask(
    database,
    `with gone as (
      update retention.blob_finding set state = 'resolved' where kind = 'missing' and state = 'open' and last_scan <> $1::uuid
    )
    update retention.blob_scan set finished_at = $2::timestamptz where id = $1::uuid`,
    [scan.id, finishedAt.toISOString()],
  );
}

async function ask(
  database: Database,
  sql: string,
  params: readonly (string | number | boolean | null | readonly string[])[],
  readOnly = false,
): Promise<Row[]> {
  const rows = await database.transaction([session(STATEMENT_MS), { text: sql, params }], {
    readOnly,
    timeoutMs: answerTimeoutMs(STATEMENT_MS),
  });
  return rows[1] ?? [];
}
