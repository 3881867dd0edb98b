/** What the proof of archives works on: three policies, their rows, and a comparison that asks nothing of Lapse. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { days, definePolicy, type Policy } from '../../../policies/contract';
import type { BlobStore } from '../../local-cloud/blob/store';

const SQL = readFileSync(join(import.meta.dirname, 'archived.sql'), 'utf8');
export const TABLES = ['reports', 'report_lines', 'invoices', 'invoice_notes', 'visits'] as const;

const common = {
  description: 'rows of the proof of archives',
  justification: 'so that there is something to archive',
  ground: 'proof',
  schedule: { run: '0 2 * * *' },
  rules: [{ label: 'all', keepFor: days(30) }],
  strategy: { kind: 'archive' as const, keepFor: days(365) },
};

export const POLICIES: readonly Policy[] = [
  definePolicy({
    ...common,
    name: 'proof-reports',
    table: { name: 'reports' },
    key: [{ column: 'id', type: 'uuid' }],
    clock: { column: 'at', type: 'timestamptz' },
    scope: { organization: 'org', user: 'person' },
    files: [{ column: 'file', fate: 'delete', prefix: 'reports/', suffixed: true }],
    dependants: [
      {
        table: { name: 'report_lines' },
        key: [{ column: 'id', type: 'bigint' }],
        references: ['report'],
        fate: 'delete',
        files: [{ column: 'file', fate: 'delete', prefix: 'lines/', suffixed: true }],
      },
    ],
  }),
  definePolicy({
    ...common,
    name: 'proof-invoices',
    table: { name: 'invoices' },
    key: [
      { column: 'org', type: 'uuid' },
      { column: 'n', type: 'integer' },
    ],
    clock: { column: 'at', type: 'timestamp', zone: 'UTC' },
    scope: { organization: 'org' },
    dependants: [
      {
        table: { name: 'invoice_notes' },
        key: [{ column: 'id', type: 'uuid' }],
        references: ['org', 'n'],
        fate: 'delete',
      },
    ],
  }),
  definePolicy({
    ...common,
    name: 'proof-visits',
    table: { name: 'visits' },
    key: [{ column: 'slug', type: 'text', personal: false }],
    clock: { column: 'at', type: 'timestamptz' },
    scope: { user: 'person' },
  }),
];

/** `rows`: of all three policies together, a fifth of them with files; half as many lines have one, too. */
export async function fill(owner: Client, blob: BlobStore, rows: number): Promise<void> {
  await owner.query(SQL);
  const reports = Math.floor(rows / 5);
  const others = Math.floor((rows - reports) / 2);
  await owner.query(
    `insert into reports (at, org, person, title, body, amount, ratio, tags, extra, raw, bits, feeling, span, day, clock, code, ok, pause, address, file)
     select now() - interval '40 days' + i * interval '1 millisecond', md5('org' || i % 7)::uuid, case when i % 3 > 0 then md5('p' || i % 50)::uuid end,
       'a "title" with ünï, tab' || E'\\t' || i, repeat(E'line\\n\\\\ 🧀 ', i % 20), i::numeric / 7, sqrt(i), array['a', null, 'b"c', i::text],
       jsonb_build_object('n', i, 'deep', jsonb_build_array(1, null, 'x')), ('{"b":1,  "a":' || i || '}')::json, sha256(i::text::bytea),
       case when i % 2 = 0 then 'fine' end::mood, tstzrange(now(), now() + i * interval '1 s'), date '2024-02-29' + i, time '23:59:59.999999',
       case when i % 5 > 0 then 'ab' end, i % 2 = 0, i * interval '1 month 3 days 4.000005 s', ('10.0.0.' || i % 255)::inet,
       'reports/r-' || lpad(i::text, 30, 'x') || '.pdf'
     from generate_series(1, $1::int) i`,
    [reports],
  );
  await owner.query(`insert into report_lines (report, words, file)
    select r.id, 'words ' || n, case when n = 1 then replace(r.file, 'reports/r-', 'lines/l-') end from reports r cross join generate_series(1, 2) n`);
  await owner.query(
    `insert into invoices select md5('org' || i % 7)::uuid, i, now() - interval '40 days' + i * interval '1 ms', jsonb_build_array(i, '€')
     from generate_series(1, $1::int) i`,
    [others],
  );
  await owner.query(
    `insert into invoice_notes (org, n, words) select org, n, 'note of ' || n from invoices where n % 2 = 0`,
  );
  await owner.query(
    `insert into visits select 'slug ' || i || ' "ä"', now() - interval '40 days' + i * interval '1 ms', md5('p' || i % 50)::uuid, 'agent'
     from generate_series(1, $1::int) i`,
    [rows - reports - others],
  );
  const { rows: named } = await owner.query<{ file: string }>(
    'select file from reports union all select file from report_lines where file is not null',
  );
  const uploadedAt = new Date(Date.now() - 3_600_000);
  await blob.putMany(
    named.map(({ file }) => ({ pathname: file, content: `content of ${file}`, uploadedAt })),
  );
  for (const table of TABLES)
    await owner.query(`create table ${table}_before as table ${table}; analyze ${table}`);
}

/** How many rows differ from what they were, by the text of each, in both directions. */
export async function differences(owner: Client): Promise<number> {
  const each = TABLES.map(
    (t) => `(select count(*) from (
      (select x::text from ${t} x except all select x::text from ${t}_before x)
      union all (select x::text from ${t}_before x except all select x::text from ${t} x)) d)`,
  );
  const { rows } = await owner.query<{ n: number }>(`select (${each.join(' + ')})::int as n`);
  return rows[0]!.n;
}

export async function rowsLeft(owner: Client): Promise<number> {
  const { rows } = await owner.query<{ n: number }>(
    `select (${TABLES.map((t) => `(select count(*) from ${t})`).join(' + ')})::int as n`,
  );
  return rows[0]!.n;
}

/** One hash over name and content of every file below these folders. */
export async function filesDigest(blob: BlobStore): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of ['lines/', 'reports/'])
    for (const meta of blob.all(folder))
      hash.update(`${meta.pathname} ${meta.access} ${meta.contentType}\n`).update(await blob.read(meta));
  return hash.digest('hex');
}
