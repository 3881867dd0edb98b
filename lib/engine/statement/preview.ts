/**
 * The dry run: the batch's own picking and predicate inside a READ ONLY transaction, with a count where the
 * batch deletes. Page by page, each bounded, so it never holds a snapshot for long and can stop in time.
 * What would go is also hashed, row by row in the order of the walk, each row with all that goes along with it:
 * the same hash means the same rows, however the pages fall (G3).
 */
import { z } from 'zod';
import type { Statement } from '../../platform/database';
import { KEPT_REASONS } from '../../platform/outcome';
import { keyText, name, Parameters, table, tableLabel, text } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { goingDependants, ownFiles } from '../../policies/going';
import { belongs, bytesOf, capped, filesOf } from './files';
import { type Leg, labelOf, Position } from './leg';
import { onLeaf } from './partition';
import { picking, progress, reasons, walked } from './pick';
import { governed, mayGo, staysBecause } from './predicate';

/** Rows a page: large enough that the request costs little, small enough to stay well under a second. */
const PREVIEW_PAGE = 20_000;
/** With dependants, each row costs a look at theirs. */
const PREVIEW_PAGE_WITH_DEPENDANTS = 5_000;
export const pageOf = (policy: Policy): number =>
  goingDependants(policy).length > 0 ? PREVIEW_PAGE_WITH_DEPENDANTS : PREVIEW_PAGE;
/** Where the hash of the rows begins. */
export const NO_ROWS = '0'.repeat(64);
/** Keys shown to the reader. */
const SAMPLE = 10;

const count = z.coerce.number().int().nonnegative();
export const PreviewPage = z.object({
  picked: count,
  by_rule: z.record(z.string(), z.object({ expired: count, bytes: count, files: count })),
  kept: z.partialRecord(z.enum(KEPT_REASONS), count),
  /** Rows that would go along, by their table. */
  dependants: z.record(z.string(), count),
  /** The hash of all rows up to here. */
  rows_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sample: z.array(z.string()),
  oldest: z.string().nullable(),
  newest: z.string().nullable(),
  after: Position.extend({ ended: z.boolean() }),
});
export type PreviewPage = z.infer<typeof PreviewPage>;

/** `only`: rows for which this fragment over `t` is not true are passed by, as if they were not there. */
interface PageOptions {
  readonly limit?: number;
  readonly rowsSha256?: string;
  readonly only?: string | undefined;
}

/** One row, a PreviewPage. Takes the same arguments as a batch and reads what it would delete. */
export function previewPage(
  declared: Policy,
  leg: Leg,
  position: Position | null,
  asOfText: string,
  { limit = pageOf(declared), rowsSha256 = NO_ROWS, only }: PageOptions = {},
): Statement {
  const policy = onLeaf(declared, leg);
  const p = new Parameters();
  const asOf = p.add(asOfText, 'timestamptz');
  const ownLabel = labelOf(leg);
  const label = ownLabel === null ? 'w.label' : p.add(ownLabel, 'text');
  const utc = (clock: string) => `to_char(${clock} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  return p.statement(`with ${picking(policy, leg, position, limit, asOf, p)},
  ${progress(policy, leg, limit, p)},
  judged as materialized (
    select t.ctid as c, x.n, ${label} as label, ${keyText('t', policy.key)} as key, ${instant(policy)} as clk,
      (${bytesOf('t', ownFiles(policy))})::bigint as bytes, (${filesOf('t', ownFiles(policy))})::bigint as files,
      case when ${mayGo(policy, leg, asOf, p)} then null else coalesce(${staysBecause(policy, leg, asOf, p)}, 'busy') end as stays
    from ${governed(policy, leg)}
    join (select c, row_number() over (order by ${walked(policy, leg).join(', ')}) as n from picked) x on x.c = t.ctid
    where t.ctid = any(array(select c from picked))${only === undefined ? '' : ` and (${only})`}
  ),
  stayed as (select stays as reason, count(*) as n from judged where stays is not null group by 1),
  ${going(policy)}
  select at.picked, ${reasons('stayed')} as kept, at.after,
    coalesce((
      select jsonb_object_agg(r.label, jsonb_build_object('expired', r.n, 'bytes', ${capped('r.bytes')}, 'files', r.files))
      from (select g.label, count(*) as n, sum(g.bytes) as bytes, sum(g.files) as files from going g group by 1) r
    ), '{}') as by_rule,
    ${dependantCounts(policy)} as dependants,
    retention.chain_rows(${p.add(rowsSha256, 'text')}, coalesce((
      select array_agg(jsonb_build_array(g.label, g.key, g.bytes, g.files, g.along)::text order by g.n) from going g), '{}')) as rows_sha256,
    coalesce((select jsonb_agg(s.key) from (select g.key from going g order by g.clk, g.key limit ${SAMPLE}) s), '[]') as sample,
    ${utc('(select min(clk) from going)')} as oldest,
    ${utc('(select max(clk) from going)')} as newest
  from at`);
}

/** CTE `going`: the judged rows that would go, with what goes along: rows, bytes and files, and a hash of the keys. */
function going(policy: Policy): string {
  const dependants = goingDependants(policy);
  if (dependants.length === 0) {
    return `going as materialized (select j.*, '[]'::jsonb as along from judged j where j.stays is null)`;
  }
  const theirs = dependants.map((d, i) => {
    const key = keyText('d', d.key);
    return `cross join lateral (
      select count(*) as n, coalesce(sum(${bytesOf('d', d.files)}), 0) as bytes, coalesce(sum(${filesOf('d', d.files)}), 0) as files,
        encode(sha256(coalesce(string_agg(sha256(convert_to(${key}, 'UTF8')), '' order by ${key} collate "C"), '')), 'hex') as keys
      from ${table(d.table)} d where ${belongs(d, policy)}
    ) d${i}`;
  });
  const sum = (column: string) => [`j.${column}`, ...dependants.map((_, i) => `d${i}.${column}`)].join(' + ');
  const along = dependants.map((_, i) => `jsonb_build_array(d${i}.n, d${i}.keys)`).join(', ');
  const counts = dependants.map((_, i) => `d${i}.n as n${i}`).join(', ');
  return `going as materialized (
    select j.n, j.label, j.key, j.clk, ${sum('bytes')} as bytes, ${sum('files')} as files, ${counts}, jsonb_build_array(${along}) as along
    from judged j join only ${table(policy.table)} t on t.ctid = j.c
    ${theirs.join('\n    ')}
    where j.stays is null and t.ctid = any(array(select c from judged where stays is null))
  )`;
}

/** Rows of each dependants' table that would go along; a table declared twice is counted once for each reference. */
function dependantCounts(policy: Policy): string {
  const byTable = new Map<string, string[]>();
  for (const [i, d] of goingDependants(policy).entries()) {
    const label = tableLabel(d.table);
    byTable.set(label, [...(byTable.get(label) ?? []), `sum(n${i})`]);
  }
  const counts = [...byTable].map(([label, sums]) => `${text(label)}, coalesce(${sums.join(' + ')}, 0)`);
  return counts.length === 0 ? `'{}'::jsonb` : `(select jsonb_build_object(${counts.join(', ')}) from going)`;
}

/** The clock as a point in time, whatever its column's type. */
function instant(policy: Policy): string {
  const clock = `t.${name(policy.clock.column)}`;
  return policy.clock.type === 'timestamptz'
    ? clock
    : `${clock}::timestamp at time zone ${text(policy.clock.zone)}`;
}
