/**
 * The audit chain as people read it: the newest first, by actor, act, policy and day, a page at a time. However long the chain and
 * however rare what is looked for: each page looks at a bounded stretch of one index, and says from where to look on.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { allOf, constant, type Sql, sql, typed, utc } from '../../platform/sql';
import type { Services } from '../../services';

/** Entries of one page. */
const PAGE = 50;
/** Entries looked at for one page: tens of milliseconds of an index. */
const STRETCH = 5_000;
const LIMITS = { statementMs: 10_000, readOnly: true };

export interface EntriesAsk {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly policy?: string | undefined;
  /** A day, UTC: `2026-03-01`. */
  readonly day?: string | undefined;
  /** Only entries before this one. */
  readonly before?: number | undefined;
}

const Entry = z.object({
  n: z.number(),
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  reason: z.string(),
  detail: z.record(z.string(), z.unknown()),
  hash: z.string(),
});
export type AuditEntry = z.infer<typeof Entry>;

const Found = z.object({ last: z.number().nullable(), looked: z.number(), entry: Entry.nullable() });

export interface EntriesPage {
  readonly entries: readonly AuditEntry[];
  /** From where to look on; null: this was the last. */
  readonly next: number | null;
}

/** `size`: of a page; `stretch`: of what is looked at for it. */
export async function readEntries(
  { reading }: Pick<Services, 'reading'>,
  asked: EntriesAsk,
  { size = PAGE, stretch = STRETCH } = {},
): Promise<EntriesPage> {
  const [first, ...others] = wantedOf(asked);
  // What an index answers by itself is read no further than the page.
  const most = others.length === 0 ? size + 1 : stretch;
  const found = await askOne(reading, pageOf(asked, { first, others, size, most }), LIMITS);
  const entries = found.flatMap(({ entry }) => (entry === null ? [] : [entry]));
  const [{ last, looked } = { last: null, looked: 0 }] = found;
  if (entries.length > size) return { entries: entries.slice(0, size), next: entries[size - 1]!.n };
  return { entries, next: looked < most ? null : last };
}

/** Behind every number. */
const END = sql`9223372036854775807`;

/** Numbers and instants rise together: a day is a range of numbers. From inclusive, to exclusive. */
function numbersOf({ day, before }: EntriesAsk): { readonly from: Sql; readonly to: Sql } {
  const end = before === undefined ? END : typed(before, 'bigint');
  if (day === undefined) return { from: sql`0`, to: end };
  const midnight = typed(`${day}T00:00:00Z`, 'timestamptz');
  const first = (at: Sql) =>
    sql`(select x.n from retention.audit_entry x where x.at >= ${at} order by x.at, x.n limit 1)`;
  return {
    from: first(midnight),
    to: sql`least(coalesce(${first(sql`${midnight} + interval '1 day'`)}, ${END}), ${end})`,
  };
}

const POLICY = sql`coalesce(e.detail ->> 'policy', e.subject)`;

interface Wanted {
  readonly of: Sql;
  readonly is: string;
}

const wantedOf = ({ policy, actor, action }: EntriesAsk): Wanted[] =>
  [
    { of: POLICY, is: policy },
    { of: sql`e.actor`, is: actor },
    { of: sql`e.action`, is: action },
  ].filter((w): w is Wanted => w.is !== undefined);

interface Walked {
  readonly first: Wanted | undefined;
  readonly others: readonly Wanted[];
  readonly size: number;
  /** Entries looked at. */
  readonly most: number;
}

/**
 * The first of them walks its index; the others are asked of what it finds. Compared and ordered together with the number, so that
 * no other index has this order: by the number alone an entry that is rare would be looked for among all.
 */
function pageOf(asked: EntriesAsk, { first, others, size, most }: Walked): Query<z.infer<typeof Found>[]> {
  const { from, to } = numbersOf(asked);
  const range = first
    ? sql`(${first.of}, e.n) >= (${first.is}, ${from}) and (${first.of}, e.n) < (${first.is}, ${to})`
    : sql`e.n >= ${from} and e.n < ${to}`;
  const order = first ? sql`${first.of} desc, e.n desc` : sql`e.n desc`;
  return query(
    sql`with looked as materialized (
        select e.n, ${allOf(...others.map(({ of, is }) => sql`${of} = ${is}`))} as wanted from retention.audit_entry e
        where ${range} order by ${order} limit ${constant(most)}
      ), page as (select n from looked where wanted order by n desc limit ${constant(size + 1)})
      select (select min(n)::float8 from looked) as last, (select count(*)::int from looked) as looked, x.entry
      from (select 1) one left join lateral (
        select p.n, jsonb_build_object('n', e.n, 'at', ${utc(sql`e.at`)}, 'actor', e.actor, 'action', e.action, 'subject', e.subject,
          'reason', e.reason, 'detail', e.detail, 'hash', e.hash) as entry
        from page p cross join lateral (select * from retention.audit_entry e where e.n = p.n offset 0) e
      ) x on true order by x.n desc`,
    rows(Found),
  );
}
