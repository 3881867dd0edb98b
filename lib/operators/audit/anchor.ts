/**
 * Receipts that were taken away after their period (lib/operators/records): a signed head stands for the runs that entries up
 * to its number sealed. The signature must fit the head, and the head the entry of the chain.
 */
import { z } from 'zod';
import type { Database } from '../../platform/database';
import { query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Entry } from './chain';
import { type Findings, READING } from './findings';
import { readHead } from './head';

/** Whatever stands in it: `check` says what does not fit. */
const text = z.coerce.string();
const Anchor = z.object({ n: z.coerce.number(), head: text, signature: text, public_key: text });
const ANCHORS = query(
  sql`select n::text, head, signature, public_key from retention.evidence_anchor order by evidence_anchor.n`,
  rows(Anchor),
);

export class Anchors {
  readonly #byEntry = new Map<number, z.output<typeof Anchor>>();
  #last = 0;

  constructor(private readonly findings: Findings) {}

  async load(database: Database): Promise<void> {
    for (const anchor of await askOne(database, ANCHORS, READING)) {
      this.#byEntry.set(anchor.n, anchor);
      this.#last = anchor.n;
    }
  }

  /** Whether the receipts of a run that this entry sealed may be gone. */
  covers(entry: Entry): boolean {
    return entry.n <= this.#last;
  }

  check(entry: Entry): void {
    const anchor = this.#byEntry.get(entry.n);
    if (!anchor) return;
    const { head, signature, public_key: publicKey } = anchor;
    try {
      const signed = readHead({ text: head, signature, publicKey });
      if (signed.n === entry.n && signed.hash === entry.hash) return;
    } catch {
      // Named below, whatever is wrong with it.
    }
    this.findings.say(
      entry.n,
      'edited',
      `the signed head of entry ${entry.n}, behind which receipts were taken away, does not fit`,
    );
  }
}
