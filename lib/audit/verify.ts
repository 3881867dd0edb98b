/**
 * Verifies the audit chain from the first entry to the last (G4): numbers dense, each hash right, each link to
 * the entry before, each sealed run's receipts exactly those that were sealed. Names what was edited, removed,
 * moved or cut off. A cut-off tail shows only against a head that was kept elsewhere: give it as `known`.
 * Reads in pages, inside READ ONLY transactions; memory does not grow with the chain.
 */
import { z } from 'zod';
import { answerTimeoutMs, session } from '../batch/session';
import type { Database, Row, Statement } from '../database';
import { bytesHash, entryHash, GENESIS, RunDigest } from './hash';

export interface Problem {
  /** Number of the entry at fault; null for a run without one. */
  readonly n: number | null;
  readonly kind: 'edited' | 'removed' | 'moved' | 'cut off' | 'receipts changed' | 'not sealed';
  readonly message: string;
}

export interface Verification {
  readonly ok: boolean;
  /** False when the time ran out: `entries` were looked at and the rest was not. */
  readonly complete: boolean;
  readonly entries: number;
  readonly runs: number;
  readonly receipts: number;
  readonly head: { readonly n: number; readonly hash: string; readonly at: string } | null;
  /** At most MOST_PROBLEMS. */
  readonly problems: readonly Problem[];
}

const PAGE = 1_000;
/** About 2 MB of keys an answer, at 40 kB a receipt. */
const RECEIPTS_PAGE = 50;
const STATEMENT_MS = 30_000;
/** Enough to see what happened; a rewritten chain would name every entry. */
const MOST_PROBLEMS = 100;

const Entry = z.object({
  n: z.coerce.number().int(),
  fields: z.array(z.string()).length(8),
  hash: z.string(),
});
type Entry = z.infer<typeof Entry>;
const Sealed = z.object({
  receipts: z.number(),
  /** Numbers no receipt had when the run was sealed: their batches deleted nothing. */
  gaps: z.array(z.number()),
  digest: z.string(),
});

/** Where the keys are among a receipt's fields: as JSON text, or in form 2 the binary array that is hashed here. */
const KEYS = 9;

const UTC = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;
const entriesAfter = (n: number): Statement => ({
  text: `select n::text, hash, array[n::text, to_char(at at time zone 'UTC', ${UTC}), actor, action, subject, reason, detail::text, prev] as fields
    from retention.audit_entry e where e.n > $1::bigint order by e.n limit ${PAGE}`,
  params: [n],
});
const receiptFields = (run: string, seq: number): Statement => ({
  text: `select seq, array[run::text, seq::text, policy, policy_version, action, actor, reason, to_char(as_of at time zone 'UTC', ${UTC}),
      table_name, case when form = 1 then to_jsonb(keys)::text else encode(coalesce(array_send(uuid_keys), array_send(keys)), 'base64') end, dependants::text, by_rule::text, locked::text, deleted::text, dependants_deleted::text,
      files::text, bytes::text, picked::text, kept::text, to_char(committed_at at time zone 'UTC', ${UTC})]
      || case when partition is null then '{}' else array[partition::text] end as fields, form
    from retention.receipt where run = $1::uuid and seq > $2::int order by seq limit ${RECEIPTS_PAGE}`,
  params: [run, seq],
});
/** Runs that deleted and have no entry: sealing is atomic with the end of a run, so their entry was removed. */
const UNSEALED: Statement = {
  text: `select distinct r.id::text as run from retention.run r join retention.receipt c on c.run = r.id
    where r.finished_at is not null and r.mode = 'delete' and not exists (
      select 1 from retention.audit_entry e where e.action = 'run.sealed' and e.subject = r.id::text)
    limit ${MOST_PROBLEMS}`,
  params: [],
};

export async function verify(
  database: Database,
  options: { known?: { n: number; hash: string }; inTime?: () => boolean } = {},
): Promise<Verification> {
  const { known, inTime = () => true } = options;
  const read = async (s: Statement): Promise<Row[]> =>
    (
      await database.transaction([session(STATEMENT_MS), s], {
        readOnly: true,
        timeoutMs: answerTimeoutMs(STATEMENT_MS),
      })
    )[1] ?? [];
  const problems: Problem[] = [];
  const say = (n: number | null, kind: Problem['kind'], message: string) => {
    if (problems.length < MOST_PROBLEMS) problems.push({ n, kind, message });
  };
  const count = { entries: 0, runs: 0, receipts: 0 };
  let last: Entry | null = null;
  let knownSeen = known === undefined;
  let complete = true;

  for (;;) {
    if (!inTime()) {
      complete = false;
      break;
    }
    const page = z.array(Entry).parse(await read(entriesAfter(last?.n ?? 0)));
    for (const entry of page) {
      count.entries += 1;
      const before: Entry | null = last;
      const expected: number = (before?.n ?? 0) + 1;
      if (entry.n > expected) {
        const range =
          entry.n === expected + 1 ? `entry ${expected} is` : `entries ${expected} to ${entry.n - 1} are`;
        say(expected, 'removed', `${range} missing`);
      }
      const right = entryHash(entry.fields) === entry.hash;
      const linked = entry.fields[7] === (before?.hash ?? GENESIS);
      if (!linked && entry.n === expected) {
        const elsewhere = await read({
          text: 'select n::text from retention.audit_entry where hash = $1',
          params: [entry.fields[7]!],
        });
        const place = elsewhere[0]?.n;
        if (place !== undefined)
          say(entry.n, 'moved', `entry ${entry.n} follows entry ${place} by its own word: it was moved`);
        else
          say(
            entry.n,
            'edited',
            `entry ${entry.n} does not follow entry ${entry.n - 1} as it is now: one of them was edited`,
          );
      } else if (!right) {
        say(entry.n, 'edited', `entry ${entry.n} is not what was written: its hash does not fit`);
      }
      if (known && entry.n === known.n) {
        knownSeen = true;
        if (entry.hash !== known.hash)
          say(entry.n, 'edited', `entry ${entry.n} is not the head that was exported`);
      }
      if (entry.fields[3] === 'run.sealed') {
        count.runs += 1;
        count.receipts += await sealedRun(entry);
      }
      last = entry;
    }
    if (page.length < PAGE) break;
  }
  if (complete) {
    if (!knownSeen) {
      say(
        known!.n,
        'cut off',
        `the chain ends at entry ${last?.n ?? 0}; entry ${known!.n} was exported as its head`,
      );
    }
    for (const row of await read(UNSEALED)) {
      say(null, 'not sealed', `run ${String(row.run)} deleted and has no entry in the chain`);
    }
  }
  const head = last && { n: last.n, hash: last.hash, at: last.fields[1]! };
  return { ok: complete && problems.length === 0, complete, ...count, head, problems };

  async function sealedRun(entry: Entry): Promise<number> {
    const run = entry.fields[4]!;
    const sealed = Sealed.safeParse(JSON.parse(entry.fields[6]!));
    const gaps = new Set(sealed.data?.gaps);
    const digest = new RunDigest();
    let [seq, found] = [0, 0];
    for (;;) {
      const rows = await read(receiptFields(run, seq));
      for (const row of rows) {
        const fields = z.array(z.string()).parse(row.fields);
        if (Number(row.form) === 2) fields[KEYS] = bytesHash(Buffer.from(fields[KEYS] ?? '', 'base64'));
        digest.add(fields);
        for (seq += 1; seq < Number(row.seq); seq += 1) {
          if (!gaps.has(seq)) say(entry.n, 'receipts changed', `receipt ${seq} of run ${run} is missing`);
        }
        found += 1;
      }
      if (rows.length < RECEIPTS_PAGE) break;
    }
    if (!sealed.success || sealed.data.receipts !== found || sealed.data.digest !== digest.digest()) {
      say(
        entry.n,
        'receipts changed',
        `the receipts of run ${run} are not those that entry ${entry.n} sealed`,
      );
    }
    return found;
  }
}
