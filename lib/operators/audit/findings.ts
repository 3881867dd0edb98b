/** What a verification found, and how it asks: in READ ONLY transactions, a limited number of problems. */

import type { Row } from '../../platform/database';
import type { Limits } from '../../platform/session';
import type { Sql } from '../../platform/sql';

export interface Problem {
  /** Number of the entry at fault; null where there is none. */
  readonly n: number | null;
  readonly kind:
    | 'edited'
    | 'removed'
    | 'moved'
    | 'cut off'
    | 'unreadable'
    | 'receipts changed'
    | 'not sealed'
    | 'report falsified'
    | 'without an entry'
    | 'unguarded';
  readonly message: string;
}

/** One statement, whose rows are the problems. */
export interface Question {
  readonly kind: Problem['kind'];
  /** Rows with the columns that `message` uses. */
  readonly sql: Sql;
  readonly message: (row: Row) => string;
}

/** Enough to see what happened; a rewritten chain would name every entry. */
export const MOST_PROBLEMS = 100;
/** A verification changes nothing. */
export const READING: Limits = { statementMs: 30_000, readOnly: true };

export class Findings {
  readonly problems: Problem[] = [];

  say(n: number | null, kind: Problem['kind'], message: string): void {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push({ n, kind, message });
  }
}

/** Columns as text, whatever stands in them: a NULL where none belongs becomes '', so its hash does not fit. */
export const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.map((v) => (v === null ? '' : String(v))) : [];

/** A column of type jsonb, as the database prints it; null where there is none. */
export const json = (text: string | undefined): unknown => JSON.parse(text || 'null');
