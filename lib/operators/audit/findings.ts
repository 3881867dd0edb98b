/** What a verification found, and how it asks: in READ ONLY transactions, a limited number of problems. */

import type { Database, Row, Statement } from '../../platform/database';
import { answerTimeoutMs, session } from '../../platform/session';

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
  readonly sql: string;
  readonly message: (row: Row) => string;
}

/** Enough to see what happened; a rewritten chain would name every entry. */
export const MOST_PROBLEMS = 100;
const STATEMENT_MS = 30_000;

export class Findings {
  readonly problems: Problem[] = [];

  say(n: number | null, kind: Problem['kind'], message: string): void {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push({ n, kind, message });
  }
}

/** Rows of each statement, all of one transaction. */
export type Read = (...statements: Statement[]) => Promise<Row[][]>;

export const reader =
  (database: Database): Read =>
  async (...statements) =>
    (
      await database.transaction([session(STATEMENT_MS), ...statements], {
        readOnly: true,
        timeoutMs: answerTimeoutMs(STATEMENT_MS),
      })
    ).slice(1);

/** Columns as text, whatever stands in them: a NULL where none belongs becomes '', so its hash does not fit. */
export const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.map((v) => (v === null ? '' : String(v))) : [];

/** JSON as far as it can be read; an edited one is undefined and fits nothing. */
export function json(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** An instant as it is hashed. */
export const UTC = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;
