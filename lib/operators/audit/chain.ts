/**
 * The chain by itself: numbers dense from 1, each hash right, each link to the entry before, the head that was
 * exported still there. Reads in pages, so that memory does not grow with the chain; nothing that stands in an
 * entry makes it throw.
 */
import { z } from 'zod';
import type { Database, Row } from '../../platform/database';
import { maybeRow, type Query, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { constant, sql, utc } from '../../platform/sql';
import { type Findings, READING, texts } from './findings';
import { entryHash, GENESIS } from './hash';

export interface Entry {
  readonly n: number;
  /** n, at, actor, action, subject, reason, detail, prev: what is hashed, in this order. */
  readonly fields: readonly string[];
  readonly hash: string;
}

/** A line of the exported chain: exactly what was hashed, and the hash. */
export const exportedEntry = ({ fields, hash }: Entry): string => `${JSON.stringify({ fields, hash })}\n`;

export interface KnownHead {
  readonly n: number;
  readonly hash: string;
}

const PAGE = 1_000;

const entryOf = (row: Row): Entry => ({
  n: Number(row.n),
  fields: texts(row.fields),
  hash: String(row.hash),
});

const entriesAfter = (n: string | null): Query<Entry[]> =>
  query(
    sql`select n::text, hash, array[n::text, ${utc(sql`at`)}, actor, action, subject, reason, detail::text, prev] as fields
      from retention.audit_entry e where ${n}::bigint is null or e.n > ${n}::bigint order by e.n limit ${constant(PAGE)}`,
    (found) => found.map(entryOf),
  );

const withHash = (hash: string): Query<{ n: string } | null> =>
  query(
    sql`select n::text from retention.audit_entry where hash = ${hash}`,
    maybeRow(z.object({ n: z.string() })),
  );

export class Chain {
  last: Entry | null = null;
  entries = 0;
  #knownSeen: boolean;

  constructor(
    readonly database: Database,
    readonly findings: Findings,
    readonly known?: KnownHead,
  ) {
    this.#knownSeen = known === undefined;
  }

  /** Hands on each entry once it was looked at. False when the time ran out before the end. */
  async walk(inTime: () => boolean, each: (entry: Entry) => Promise<void>): Promise<boolean> {
    let after: string | null = null;
    for (;;) {
      if (!inTime()) return false;
      const page: Entry[] = await askOne(this.database, entriesAfter(after), READING);
      for (const entry of page) {
        await this.#check(entry);
        this.entries += 1;
        this.last = entry;
        await each(entry);
      }
      if (page.length < PAGE) break;
      // As the database prints it: a number that was edited may be larger than JavaScript counts exactly.
      after = page.at(-1)!.fields[0]!;
    }
    this.#checkHead();
    return true;
  }

  async #check(entry: Entry): Promise<void> {
    const expected = (this.last?.n ?? 0) + 1;
    if (entry.n < expected) {
      this.findings.say(entry.n, 'edited', `entry ${entry.n} has a number that no entry can have`);
    } else if (entry.n > expected) {
      const range =
        entry.n === expected + 1 ? `entry ${expected} is` : `entries ${expected} to ${entry.n - 1} are`;
      this.findings.say(expected, 'removed', `${range} missing`);
    }
    const linked = entry.fields[7] === (this.last?.hash ?? GENESIS);
    if (!linked && entry.n === expected) await this.#sayUnlinked(entry);
    else if (entryHash(entry.fields) !== entry.hash) {
      this.findings.say(entry.n, 'edited', `entry ${entry.n} is not what was written: its hash does not fit`);
    }
    if (this.known && entry.n === this.known.n) {
      this.#knownSeen = true;
      if (entry.hash !== this.known.hash)
        this.findings.say(entry.n, 'edited', `entry ${entry.n} is not the head that was exported`);
    }
  }

  async #sayUnlinked({ n, fields }: Entry): Promise<void> {
    const elsewhere = await askOne(this.database, withHash(fields[7] ?? ''), READING);
    if (elsewhere) {
      this.findings.say(n, 'moved', `entry ${n} follows entry ${elsewhere.n} by its own word: it was moved`);
    } else {
      const message = `entry ${n} does not follow entry ${n - 1} as it is now: one of them was edited`;
      this.findings.say(n, 'edited', message);
    }
  }

  #checkHead(): void {
    if (this.#knownSeen || !this.known) return;
    const { n } = this.known;
    const message = `the chain ends at entry ${this.last?.n ?? 0}; entry ${n} was exported as its head`;
    this.findings.say(n, 'cut off', message);
  }
}
