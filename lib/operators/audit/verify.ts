/**
 * Verifies the audit (G4): the chain from the first entry to the last, each sealed run with its receipts and its
 * record, and what holds, stops, keeps and approves against the entries that say so. Names what was edited,
 * removed, moved, cut off, falsified, or changed without an entry, and continues after each. A cut-off tail shows
 * only against a head that was kept elsewhere: give it as `known`. `each` gets every entry. Inside READ ONLY transactions.
 */
import type { Database } from '../../platform/database';
import { Anchors } from './anchor';
import { Chain, type Entry, type KnownHead } from './chain';
import { Findings, type Problem } from './findings';
import { compareWithEntries } from './in-force';
import { SealedRun } from './sealed-run';

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

export async function verify(
  database: Database,
  options: { known?: KnownHead; inTime?: () => boolean; each?: (entry: Entry) => void } = {},
): Promise<Verification> {
  const { known, inTime = () => true, each } = options;
  const findings = new Findings();
  const chain = new Chain(database, findings, known);
  const anchors = new Anchors(findings);
  await anchors.load(database);
  let [runs, receipts] = [0, 0];
  const walked = await chain.walk(inTime, async (entry) => {
    anchors.check(entry);
    each?.(entry);
    if (entry.fields[3] !== 'run.sealed') return;
    runs += 1;
    receipts += await new SealedRun(entry, database, findings, anchors.covers(entry)).check();
  });
  const complete = walked && (await compareWithEntries(database, findings, inTime));
  const { last, entries } = chain;
  const head = last && { n: last.n, hash: last.hash, at: last.fields[1] ?? '' };
  const { problems } = findings;
  return { ok: complete && problems.length === 0, complete, entries, runs, receipts, head, problems };
}
