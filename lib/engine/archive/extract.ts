/**
 * Extract: reads the rows a batch may delete, of every level, as they are: every value as PostgreSQL prints it, the version it
 * belongs to, and the rows it refers to. READ ONLY, a page of rows at a time; a page that would be too large an answer is asked
 * again in halves. Nothing is locked: what changes behind this is left by the deleting statement.
 */
import { z } from 'zod';
import { bytesInAnswer, MOST_ANSWER_BYTES } from '../../platform/answer-size';
import { LapseError } from '../../platform/errors';
import { ROW_TOO_LARGE } from '../../platform/outcome';
import { oneRow, type Query, query } from '../../platform/query';
import type { Asking } from '../../platform/session';
import { id, keyAsText, list, literal, raw, type Sql, sql, tableId, typed } from '../../platform/sql';
import type { FileColumn, Policy } from '../../policies/contract';
import { strategyOf } from '../../policies/strategies';
import { type Place as InTree, treeOf } from '../../policies/tree';
import { versionOf } from '../statement/archived';
import { belongs } from '../statement/files';
import { type TableShape, valuesOf } from './columns';
import { type Place, READING } from './walk';

/** Rows asked for at once: an answer's fixed cost is spread over enough of them. */
const PAGE = 2_000;

const Row = z.object({
  key: z.string(),
  version: z.string(),
  /** The rows of the tree that it refers to: `<place>:<key>`. */
  above: z.array(z.string()),
  organization: z.string().nullable(),
  user: z.string().nullable(),
  values: z.array(z.string().nullable()),
  /** Canonical pathnames of files that belong into the archive. */
  files: z.array(z.string()),
});
export type Row = z.infer<typeof Row>;
const Rows = z.array(Row.extend({ i: z.number() }));

/** The rows as one text: null where they are too many bytes for an answer. */
const Page = z.object({
  rows: z
    .string()
    .nullable()
    .transform((text) => (text === null ? null : Rows.parse(JSON.parse(text)))),
});
type Page = z.infer<typeof Page>;

interface Level {
  readonly policy: Policy;
  /** In the policy's tree. */
  readonly at: InTree;
  readonly shape: TableShape;
  /** Whether they stay for now: then only what they are known and reached by is read. */
  readonly stay: boolean;
}

/** Yields page after page of the rows of one table. One that has gone or changed since is not among them. */
export async function* extract(
  reading: Asking,
  level: Level,
  places: readonly Place[],
): AsyncGenerator<readonly (Row & { readonly root: string })[]> {
  let size = PAGE;
  for (let from = 0; from < places.length; ) {
    const page = places.slice(from, from + size);
    const { rows } = await reading.askOne(pageOf(level, page), READING);
    if (rows !== null) {
      yield rows.map(({ i, ...row }) => ({ ...row, root: page[i - 1]!.root }));
      from += page.length;
    } else if (page.length === 1) throw new RowTooLargeError(level.policy.name);
    else size = Math.max(1, Math.floor(page.length / 2));
  }
}

/** One row is more than one answer of the database may hold. */
class RowTooLargeError extends LapseError {
  constructor(policy: string) {
    super(
      ROW_TOO_LARGE,
      `a row of "${policy}", or one that goes along, has more than ${MOST_ANSWER_BYTES} bytes as JSON, too many to archive; nothing was deleted. Shorten it, extend it, or delete it by hand`,
    );
  }
}

function pageOf({ policy, at, shape, stay }: Level, places: readonly Place[]): Query<Page> {
  const column = (name: string | undefined) =>
    name === undefined ? sql`null::text` : sql`${id('p', name)}::text`;
  const names = shape.columns.map((c) => c.name);
  const asked = sql`unnest(${typed(
    places.map((x) => x.o),
    'oid[]',
  )}, ${typed(
    places.map((x) => x.c),
    'tid[]',
  )}) with ordinality x(o, c, i)`;
  const row = sql`select ${list(
    sql`x.i`,
    sql`${keyAsText('p', at.key)} as key`,
    sql`${versionOf('p')} as version`,
    sql`${aboveIn(policy, at)} as above`,
    sql`${column(at.scope.organization)} as organization`,
    sql`${column(at.scope.user)} as user`,
    stay ? sql`'[]'::json as values` : sql`${valuesOf('p', names)} as values`,
    stay ? sql`'{}'::text[] as files` : sql`${filesIn('p', archivedFiles(policy, at.files))} as files`,
  )}`;
  return query(
    sql`with r as materialized (select y.i, row_to_json(y)::text as line from ${asked}
        cross join lateral (${row} from ${tableId(at.table)} p where p.tableoid = x.o and p.ctid = x.c offset 0) y),
      written as (select coalesce(sum(octet_length(line)), 0) as bytes from r),
      size as (select case when bytes > ${MOST_ANSWER_BYTES}::bigint then bytes
        else (select coalesce(sum(${bytesInAnswer(sql`line`)}), 0) from r) end as bytes from written)
    select case when bytes <= ${MOST_ANSWER_BYTES}::bigint then '[' || coalesce((select string_agg(line, ',' order by i) from r), '') || ']' end as rows from size`,
    oneRow(Page),
  );
}

/** What row `p` of a place refers to, by each reference that leads to it. */
const aboveIn = (policy: Policy, at: InTree): Sql =>
  treeOf(policy)
    .branches.filter((b) => b.place === at)
    .map(
      ({ declared, from }) =>
        sql`array(select ${raw(`'${from.n}:'`)} || ${keyAsText('q', from.key)} from ${tableId(from.table)} q where ${belongs(declared, policy, 'p', 'q')})`,
    )
    .reduce((all, next) => sql`${all} || ${next}`, sql`'{}'::text[]`);

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
