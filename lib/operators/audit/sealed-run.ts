/**
 * One sealed run: its receipts are exactly those whose digest its entry holds, and its record, from which reports
 * are made, says what they say. Nothing that stands in a receipt makes it throw.
 */
import { z } from 'zod';
import type { Database, Row } from '../../platform/database';
import { type Query, query } from '../../platform/query';
import { ask } from '../../platform/session';
import { constant, sql, utc } from '../../platform/sql';
import type { Entry } from './chain';
import { type Findings, json, type Problem, READING, texts } from './findings';
import { keysHash, RunDigest, receiptHash } from './hash';

/** About 2 MB of keys an answer, at 40 kB a receipt. */
const PAGE = 50;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const Sealed = z.object({
  policy: z.string(),
  version: z.string(),
  outcome: z.string(),
  receipts: z.number(),
  /** Numbers no receipt had when the run was sealed: their batches deleted nothing. */
  gaps: z.array(z.number()),
  digest: z.string(),
});
const ByRule = z.record(z.string(), z.object({ deleted: z.number(), bytes: z.number() }));

/** Where these are among a receipt's fields. Keys: JSON text, or what is hashed here: in form 2 the binary array, in form 3 their bytes. */
const [KEYS, BY_RULE, DELETED, DEPENDANTS, FILES, BYTES] = [9, 11, 13, 14, 15, 16];

/** Whatever stands in it: a receipt that was edited fits nothing, and is named. */
interface Receipt {
  readonly seq: number;
  readonly form: number;
  readonly fields: string[];
  /** As the database noted it, in hex; receipts of the first versions carry none. */
  readonly hash: string | null;
}

const receiptsAfter = (run: string, seq: number): Query<Receipt[]> =>
  query(
    sql`select seq, array[run::text, seq::text, policy, policy_version, action, actor, reason, ${utc(sql`as_of`)},
      table_name, case when form = 1 then to_jsonb(keys)::text else encode(coalesce(key_bytes, array_send(uuid_keys), array_send(keys)), 'base64') end, dependants::text, by_rule::text, locked::text, deleted::text, dependants_deleted::text,
      files::text, bytes::text, picked::text, kept::text, ${utc(sql`committed_at`)}]
      || case when partition is null then '{}' else array[partition::text] end
      || case when archive is null then '{}' else array['archive:' || archive] end
      || case when detached is null then '{}' else array['detached:' || detached::text] end as fields, form, encode(hash, 'hex') as hash
    from retention.receipt where run = ${run}::uuid and seq > ${seq}::int order by seq limit ${constant(PAGE)}`,
    (found) => found.map(receiptOf),
  );

const receiptOf = (row: Row): Receipt => ({
  seq: Number(row.seq),
  form: Number(row.form),
  fields: texts(row.fields),
  hash: row.hash === null ? null : String(row.hash),
});

const recordOf = (run: string): Query<Row | undefined> =>
  query(
    sql`select policy, policy_version as version, outcome, actor, batches::text, deleted::text, dependants_deleted::text as dependants,
      files_queued::text as files, bytes_freed::text as bytes, by_rule
    from retention.run where id = ${run}::uuid`,
    ([record]) => record,
  );

export class SealedRun {
  readonly #run: string;
  readonly #digest = new RunDigest();
  readonly #totals = { batches: 0n, deleted: 0n, dependants: 0n, files: 0n, bytes: 0n };
  readonly #byRule = new Map<string, { deleted: number; bytes: number }>();
  #seq = 0;

  constructor(
    private readonly entry: Entry,
    private readonly database: Database,
    private readonly findings: Findings,
    /** Its receipts may have been taken away after their period; then its entry alone answers for it. */
    private readonly mayBeTrimmed = false,
  ) {
    this.#run = entry.fields[4] ?? '';
  }

  /** Returns how many receipts there are. */
  async check(): Promise<number> {
    if (!UUID.test(this.#run)) {
      this.#say('unreadable', `entry ${this.entry.n} seals "${this.#run}", which is not the id of a run`);
      return 0;
    }
    const sealed = Sealed.safeParse(json(this.entry.fields[6])).data;
    const record = await this.#readReceipts(new Set(sealed?.gaps));
    const receipts = Number(this.#totals.batches);
    if (receipts === 0 && this.mayBeTrimmed) return 0;
    if (sealed?.receipts !== receipts || sealed.digest !== this.#digest.digest()) {
      const message = `the receipts of run ${this.#run} are not those that entry ${this.entry.n} sealed`;
      this.#say('receipts changed', message);
    } else {
      this.#compare(sealed, record);
    }
    return receipts;
  }

  async #readReceipts(gaps: ReadonlySet<number>): Promise<Row | undefined> {
    for (;;) {
      const { receipts, record } = await ask(
        this.database,
        { receipts: receiptsAfter(this.#run, this.#seq), record: recordOf(this.#run) },
        READING,
      );
      for (const receipt of receipts) this.#add(receipt, gaps);
      if (receipts.length < PAGE) return record;
    }
  }

  #add({ seq, form, fields, hash: noted }: Receipt, gaps: ReadonlySet<number>): void {
    if (form !== 1) fields[KEYS] = keysHash(form, Buffer.from(fields[KEYS] ?? '', 'base64'));
    const hash = receiptHash(fields);
    this.#digest.add(hash);
    for (this.#seq += 1; this.#seq < seq; this.#seq += 1) {
      if (!gaps.has(this.#seq))
        this.#say('receipts changed', `receipt ${this.#seq} of run ${this.#run} is missing`);
    }
    if (noted !== null && noted !== hash.toString('hex')) {
      const message = `receipt ${this.#seq} of run ${this.#run} is not what was written: its hash does not fit`;
      this.#say('receipts changed', message);
    }
    const totals = this.#totals;
    totals.batches += 1n;
    totals.deleted += BigInt(fields[DELETED] ?? 0);
    totals.dependants += BigInt(fields[DEPENDANTS] ?? 0);
    totals.files += BigInt(fields[FILES] ?? 0);
    totals.bytes += BigInt(fields[BYTES] ?? 0);
    for (const [label, { deleted, bytes }] of Object.entries(
      ByRule.safeParse(json(fields[BY_RULE])).data ?? {},
    )) {
      const before = this.#byRule.get(label) ?? { deleted: 0, bytes: 0 };
      this.#byRule.set(label, { deleted: before.deleted + deleted, bytes: before.bytes + bytes });
    }
  }

  /** Reports are made from the record, so it must say what was sealed. */
  #compare(sealed: z.infer<typeof Sealed>, record: Row | undefined): void {
    if (!record) {
      this.#say(
        'report falsified',
        `the record of run ${this.#run} is gone; entry ${this.entry.n} sealed it`,
      );
      return;
    }
    const { policy, version, outcome } = sealed;
    const expected: Record<string, unknown> = {
      ...{ policy, version, outcome, actor: this.entry.fields[2] },
      ...this.#totals,
    };
    const wrong = Object.keys(expected).filter((name) => String(record[name]) !== String(expected[name]));
    const recorded = ByRule.safeParse(record.by_rule).data;
    if (!recorded || !sameCounts(recorded, this.#byRule)) wrong.push('by_rule');
    if (wrong.length === 0) return;
    const message = `the record of run ${this.#run} is not what its receipts and entry ${this.entry.n} say: ${wrong.join(', ')}`;
    this.#say('report falsified', message);
  }

  #say(kind: Problem['kind'], message: string): void {
    this.findings.say(this.entry.n, kind, message);
  }
}

function sameCounts(
  recorded: z.infer<typeof ByRule>,
  counted: ReadonlyMap<string, { deleted: number; bytes: number }>,
): boolean {
  const labels = Object.keys(recorded);
  return (
    labels.length === counted.size &&
    labels.every((label) => {
      const [a, b] = [recorded[label], counted.get(label)];
      return a?.deleted === b?.deleted && a?.bytes === b?.bytes;
    })
  );
}
