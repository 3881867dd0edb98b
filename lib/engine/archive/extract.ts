/**
 * Extract: reads the rows a batch may delete, with all that would go along, as they are: every value as PostgreSQL prints it,
 * and the version it belongs to. READ ONLY, a slice of rows at a time; a slice that would be too large an answer is asked
 * again in halves. Nothing is locked: what changes behind this is left by the deleting statement.
 */
import { z } from 'zod';
import { LapseError } from '../../platform/errors';
import { ROW_TOO_LARGE } from '../../platform/outcome';
import { oneRow, type Query, query, rows } from '../../platform/query';
import type { Asking } from '../../platform/session';
import {
  allOf,
  id,
  isKey,
  keyAsText,
  keysAsRows,
  list,
  literal,
  type Sql,
  sql,
  tableId,
  typed,
  withParts,
} from '../../platform/sql';
import type { Dependant, FileColumn, Policy } from '../../policies/contract';
import { goingDependants } from '../../policies/going';
import { strategyOf } from '../../policies/strategies';
import { versionOf } from '../statement/archived';
import { belongs } from '../statement/files';
import { mayGo } from '../statement/predicate';
import { type BatchRequest, batchOf } from '../statement/request';
import { shapesOf, type TableShape, valuesOf } from './columns';

/** Reading takes longer than a batch's own statements: every value is printed. */
const LIMITS = { statementMs: 15_000 };
/** Rows asked for at once: an answer's fixed cost is spread over enough of them. */
const SLICE = 2_000;
/** Neon answers at most 10 MiB in all (PLATFORM §B6). */
const MOST_BYTES = 6 * 1024 * 1024;

const Row = z.object({
  key: z.string(),
  version: z.string(),
  /** The row it goes with; null for a governed one. */
  parent: z.string().nullable(),
  organization: z.string().nullable(),
  user: z.string().nullable(),
  values: z.array(z.string().nullable()),
  /** Canonical pathnames of files that belong into the archive. */
  files: z.array(z.string()),
});
export type Row = z.infer<typeof Row>;
const Rows = z.array(Row);
/** The rows as one text: null where they are too many bytes for an answer. */
const Slice = z.object({
  bytes: z.coerce.number(),
  rows: z
    .string()
    .nullable()
    .transform((text) => (text === null ? null : Rows.parse(JSON.parse(text)))),
});
type Slice = z.infer<typeof Slice>;

/** The tables of an archive, the governed one first. */
const tablesOf = (policy: Policy) => [policy.table, ...goingDependants(policy).map((d) => d.table)];

/** Keys of the rows this batch may delete, in their order, and what the tables look like. */
export async function candidates(
  reading: Asking,
  request: BatchRequest,
): Promise<{ keys: readonly string[]; shapes: readonly TableShape[] }> {
  return reading.ask({ keys: keysOf(request), shapes: shapesOf(tablesOf(request.policy)) }, LIMITS);
}

function keysOf(request: BatchRequest): Query<string[]> {
  const { walk, policy } = batchOf(request);
  const first = request.most === undefined ? sql`` : sql` limit ${typed(request.most, 'bigint')}`;
  const may = allOf(sql`t.ctid = any(array(select c from picked))`, mayGo(walk));
  return query(
    sql`${withParts(...walk.picked(request.position, request.limit))}select ${keyAsText('t', policy.key)} as key
    from ${walk.rows} where ${may} order by ${walk.order}${first}`,
    (found) => rows(z.object({ key: z.string() }))(found).map((row) => row.key),
  );
}

/** Yields slice after slice; each has all that goes along with its rows. */
export async function* extract(
  reading: Asking,
  policy: Policy,
  { keys, shapes }: { readonly keys: readonly string[]; readonly shapes: readonly TableShape[] },
): AsyncGenerator<readonly (readonly Row[])[]> {
  let size = SLICE;
  for (let from = 0; from < keys.length; ) {
    const slice = keys.slice(from, from + size);
    const asked = sliceOf(policy, slice, shapes);
    const found = Object.values(await reading.ask(Object.fromEntries(asked.entries()), LIMITS));
    if (found.every((table) => table?.rows)) {
      yield found.map((table) => table!.rows!);
      from += slice.length;
    } else if (slice.length === 1) throw new RowTooLargeError(policy.name);
    else size = Math.max(1, Math.floor(slice.length / 2));
  }
}

/** One row with all that goes along is more than one answer of the database may hold. */
class RowTooLargeError extends LapseError {
  constructor(policy: string) {
    super(
      ROW_TOO_LARGE,
      `a row of "${policy}" has more than ${MOST_BYTES} bytes with what goes along with it, too many to archive; nothing was deleted. Shorten it, extend it, or delete it by hand`,
    );
  }
}

const sliceOf = (policy: Policy, keys: readonly string[], shapes: readonly TableShape[]): Query<Slice>[] => {
  const most = Math.floor(MOST_BYTES / shapes.length);
  const wanted = keysAsRows(typed([...keys], 'text[]'), policy.key, policy.table);
  const governed = sql`only ${tableId(policy.table)} t join ${wanted} on ${isKey('t', policy.key)}`;
  const own = { ...policy, alias: 't', parent: sql`null::text` };
  return [
    tableOf(own, policy, shapes[0]!, sql`from ${governed}`, most),
    ...goingDependants(policy).map((d, i) =>
      tableOf(
        { ...d, alias: 'd', parent: keyAsText('t', policy.key) },
        policy,
        shapes[i + 1]!,
        sql`from ${governed} join ${tableId(d.table)} d on ${belongs(d, policy)}`,
        most,
      ),
    ),
  ];
};

type Described = Pick<Dependant, 'key' | 'scope' | 'files'> & {
  readonly alias: string;
  readonly parent: Sql;
};

function tableOf(
  { alias, key, scope, files, parent }: Described,
  policy: Policy,
  shape: TableShape,
  from: Sql,
  most: number,
): Query<Slice> {
  const column = (name: string | undefined) =>
    name === undefined ? sql`null::text` : sql`${id(alias, name)}::text`;
  const names = shape.columns.map((c) => c.name);
  const row = sql`select ${keyAsText(alias, key)} as key, ${versionOf(alias)} as version, ${parent} as parent,
        ${column(scope.organization)} as organization, ${column(scope.user)} as user, ${valuesOf(alias, names)} as values,
        ${filesIn(alias, archivedFiles(policy, files))} as files`;
  return query(
    sql`with r as materialized (select row_to_json(x)::text as line from (${row} ${from}) x),
      size as (select coalesce(sum(octet_length(line) + 1), 0) as bytes from r)
    select bytes::text, case when bytes <= ${most}::bigint then '[' || coalesce((select string_agg(line, ',') from r), '') || ']' end as rows from size`,
    oneRow(Slice),
  );
}

/** Those whose copies belong into the archive. */
const archivedFiles = (policy: Policy, files: readonly FileColumn[]): FileColumn[] => {
  const { archive } = strategyOf(policy);
  return archive === null || archive.files === 'none'
    ? []
    : files.filter((f) => archive.files === 'copy' || f.fate === 'delete');
};

/** Names that mean one file below the column's prefix, whatever the host; any other is never deleted either. */
const filesIn = (alias: string, files: readonly FileColumn[]): Sql =>
  sql`array_remove(array[${list(
    ...files.map((f) => {
      const name = sql`${id(alias, f.column)}::text`;
      const path = sql`retention.blob_path(${name})`;
      const fits = sql`retention.blob_refusal(${path}, ${literal(f.prefix ?? '')}, '{}') is null`;
      return sql`case when ${name} <> '' and ${fits} then ${path} end`;
    }),
  )}]::text[], null)`;
