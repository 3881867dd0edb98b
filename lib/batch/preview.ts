/**
 * The dry run: the batch's own picking and predicate inside a READ ONLY transaction, with a count where the
 * batch deletes. Page by page, each bounded, so it never holds a snapshot for long and can stop in time.
 */
import { z } from 'zod';
import type { Statement } from '../database';
import type { Policy } from '../policies/contract';
import { KEPT_REASONS } from '../runner/result';
import { belongs, bytesOf, filesOf, goingDependants, goingFiles, ownFiles } from './files';
import { type Leg, labelOf, Position } from './leg';
import { onLeaf } from './partition';
import { picking, progress, reasons } from './pick';
import { governed, mayGo, staysBecause } from './predicate';
import { keyText, name, Parameters, table, text } from './sql';

/** Rows a page: large enough that the request costs little, small enough to stay well under a second. */
export const PREVIEW_PAGE = 20_000;
/** Keys shown to the reader. */
const SAMPLE = 10;

const count = z.coerce.number().int().nonnegative();
export const PreviewPage = z.object({
  picked: count,
  by_rule: z.record(z.string(), z.object({ expired: count, bytes: count, files: count })),
  kept: z.partialRecord(z.enum(KEPT_REASONS), count),
  sample: z.array(z.string()),
  oldest: z.string().nullable(),
  newest: z.string().nullable(),
  after: Position.extend({ ended: z.boolean() }),
});
export type PreviewPage = z.infer<typeof PreviewPage>;

/** One row, a PreviewPage. Takes the same arguments as a batch and reads what it would delete. */
export function previewPage(
  declared: Policy,
  leg: Leg,
  position: Position | null,
  asOfText: string,
): Statement {
  const policy = onLeaf(declared, leg);
  const p = new Parameters();
  const asOf = p.add(asOfText, 'timestamptz');
  const ownLabel = labelOf(leg);
  const label = ownLabel === null ? 'w.label' : p.add(ownLabel, 'text');
  const total = (sum: (alias: string, files: Policy['files']) => string) =>
    [
      sum('t', ownFiles(policy)),
      ...goingDependants(policy)
        .filter((d) => goingFiles(d.files).length > 0)
        .map(
          (d) =>
            `(select coalesce(sum(${sum('d', d.files)}), 0) from ${table(d.table)} d where ${belongs(d, policy)})`,
        ),
    ].join(' + ');
  const utc = (clock: string) => `to_char(${clock} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  return p.statement(`with ${picking(policy, leg, position, PREVIEW_PAGE, asOf, p)},
  ${progress(policy, leg, PREVIEW_PAGE, p)},
  judged as materialized (
    select ${label} as label, ${keyText('t', policy.key)} as key, ${instant(policy)} as clk,
      (${total(bytesOf)})::bigint as bytes, (${total(filesOf)})::bigint as files,
      case when ${mayGo(policy, leg, asOf, p)} then null else coalesce(${staysBecause(policy, leg, asOf, p)}, 'busy') end as stays
    from ${governed(policy, leg)} where t.ctid = any(array(select c from picked))
  ),
  stayed as (select stays as reason, count(*) as n from judged where stays is not null group by 1)
  select at.picked, ${reasons('stayed')} as kept, at.after,
    coalesce((
      select jsonb_object_agg(r.label, jsonb_build_object('expired', r.n, 'bytes', r.bytes, 'files', r.files))
      from (select j.label, count(*) as n, sum(j.bytes) as bytes, sum(j.files) as files from judged j where j.stays is null group by 1) r
    ), '{}') as by_rule,
    coalesce((select jsonb_agg(s.key) from (select j.key from judged j where j.stays is null order by j.clk, j.key limit ${SAMPLE}) s), '[]') as sample,
    ${utc('(select min(clk) from judged where stays is null)')} as oldest,
    ${utc('(select max(clk) from judged where stays is null)')} as newest
  from at`);
}

/** The clock as a point in time, whatever its column's type. */
function instant(policy: Policy): string {
  const clock = `t.${name(policy.clock.column)}`;
  return policy.clock.type === 'timestamptz'
    ? clock
    : `${clock}::timestamp at time zone ${text(policy.clock.zone)}`;
}
