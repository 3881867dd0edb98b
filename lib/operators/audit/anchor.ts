/**
 * Receipts that were taken away after their period (lib/operators/records): a signed head stands for the runs that entries up
 * to its number sealed. The signature must fit the head, and the head the entry of the chain.
 */
import type { Row, Statement } from '../../platform/database';
import type { Entry } from './chain';
import type { Findings, Read } from './findings';
import { readHead } from './head';

const ANCHORS: Statement = {
  text: 'select n::text, hash, head, signature, public_key from retention.evidence_anchor order by evidence_anchor.n',
  params: [],
};

export class Anchors {
  readonly #byEntry = new Map<number, Row>();
  #last = 0;

  constructor(private readonly findings: Findings) {}

  async load(read: Read): Promise<void> {
    const [rows = []] = await read(ANCHORS);
    for (const row of rows) {
      this.#byEntry.set(Number(row.n), row);
      this.#last = Number(row.n);
    }
  }

  /** Whether the receipts of a run that this entry sealed may be gone. */
  covers(entry: Entry): boolean {
    return entry.n <= this.#last;
  }

  check(entry: Entry): void {
    const anchor = this.#byEntry.get(entry.n);
    if (!anchor) return;
    const [head, signature, publicKey] = [anchor.head, anchor.signature, anchor.public_key].map(String);
    try {
      const signed = readHead({ text: head!, signature: signature!, publicKey: publicKey! });
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
