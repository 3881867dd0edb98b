/**
 * What stands behind a deletion: its receipt, whether its hash and the chain's entry still fit, who started the run, what went with it,
 * whether a hold was on the row then, and what brings it back. All by the number of the batch.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { type Sql, sql, utc } from '../../platform/sql';
import type { Services } from '../../services';
import type { Deletion } from './receipts-of-key';

const STATEMENT_MS = 10_000;

const Proof = z.object({
  run: z.string(),
  seq: z.number(),
  trigger: z.string(),
  /** Of the run that this batch belongs to, where it worked under an approval. */
  approved_by: z.string().nullable(),
  approval_reason: z.string().nullable(),
  /** Rules of the rows of the batch; a receipt does not say which row had which. */
  rules: z.array(z.string()),
  /** Seconds that the version kept each rule's rows; null: forever, or the version is not on record. */
  periods: z.record(z.string(), z.number().nullable()),
  /** Of the whole batch. */
  deleted: z.number(),
  dependants: z.record(z.string(), z.number()),
  files: z.number(),
  bytes: z.number(),
  /** The receipt's hash fits what stands in it; null: it was written before receipts had one. */
  intact: z.boolean().nullable(),
  /** The digest of all receipts of the run is that of its entry in the chain; null: the run is not sealed yet. */
  sealed: z.boolean().nullable(),
  archive: z.object({ id: z.string(), state: z.string(), expires_at: z.string().nullable() }).nullable(),
  /** Files of the row itself, by what became of them. */
  own_files: z.record(z.string(), z.number()),
});
export type Proof = z.infer<typeof Proof>;

/** By `run seq`. */
export async function proofsOf(
  { reading }: Pick<Services, 'reading'>,
  deletions: readonly Deletion[],
  names: readonly string[],
): Promise<Map<string, Proof>> {
  if (deletions.length === 0) return new Map();
  const found = await askOne(reading, proofs(deletions, names), {
    statementMs: STATEMENT_MS,
    readOnly: true,
  });
  return new Map(found.map((p) => [`${p.run} ${p.seq}`, p]));
}

/** Hashes of receipts as they stand, one after the other, as the chain's entry has them. */
const DIGEST: Sql = sql`(select encode(sha256(string_agg(x.hash, ''::bytea order by x.seq)), 'hex') from retention.receipt x where x.run = c.run)`;

const proofs = (deletions: readonly Deletion[], names: readonly string[]): Query<Proof[]> => {
  const wanted = JSON.stringify([...new Set(deletions.map((d) => `${d.run} ${d.seq}`))]);
  return query(
    sql`select c.run, c.seq, r.trigger, a.approved_by, a.reason as approval_reason,
      array(select jsonb_object_keys(c.by_rule) order by 1) as rules,
      coalesce((select p.periods from retention.policy_version p where p.policy = c.policy and p.version = c.policy_version), '{}') as periods, c.deleted::int as deleted,
      coalesce((select jsonb_object_agg(d.key, jsonb_array_length(d.value)) from jsonb_each(c.dependants) d), '{}') as dependants,
      c.files, c.bytes::float8 as bytes, case when c.hash is not null then retention.receipt_hash(w) = c.hash end as intact,
      e.detail ->> 'digest' = ${DIGEST} as sealed,
      case when v.id is not null then jsonb_build_object('id', v.id, 'state', v.state, 'expires_at', ${utc(sql`v.expires_at`, 's')}) end as archive,
      coalesce((select jsonb_object_agg(f.state, f.n) from (select o.state, count(*) as n from retention.outbox o
        where o.run = c.run and o.seq = c.seq and (o.row_key = any(${names}::text[]) or o.owner_key = any(${names}::text[]))
        group by o.state) f), '{}') as own_files
    from (select split_part(k, ' ', 1)::uuid as run, split_part(k, ' ', 2)::int as seq from jsonb_array_elements_text(${wanted}::jsonb) k) n
    cross join lateral (select * from retention.receipt x where x.run = n.run and x.seq = n.seq offset 0) c
    cross join lateral (select x from retention.receipt x where x.run = n.run and x.seq = n.seq offset 0) y(w)
    join retention.run r on r.id = c.run
    left join retention.approval a on a.id = r.approval
    left join retention.archive v on v.id = c.archive
    left join retention.audit_entry e on e.action = 'run.sealed' and e.subject = c.run::text`,
    rows(Proof),
  );
};

const PastHold = z.object({
  table: z.string(),
  reason: z.string(),
  placed_by: z.string(),
  placed_at: z.string(),
  released_by: z.string().nullable(),
  released_at: z.string().nullable(),
});
export type PastHold = z.infer<typeof PastHold>;

/** Every hold there ever was on a row of this key, oldest first. */
export const holdsOn = (names: readonly string[]): Query<PastHold[]> =>
  query(
    sql`select h.table_name as table, h.reason, h.placed_by, ${utc(sql`h.placed_at`, 's')} as placed_at, h.released_by,
      ${utc(sql`h.released_at`, 's')} as released_at
    from unnest(${names}::text[]) n(name) cross join lateral (select * from retention.hold x where x.subject = n.name and x.scope = 'item') h
    order by h.placed_at`,
    rows(PastHold),
  );
