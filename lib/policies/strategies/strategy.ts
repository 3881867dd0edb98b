/**
 * What happens to a row whose time has come. A strategy is a file beside this one, which says all there is to say of it:
 * how it is declared, what it does to the row, what it demands of the table, what it is called. The statements that do
 * it stand in lib/engine/statement and ask only what is said here.
 */
import type { Problem } from '../../platform/errors';
import type { Sql, TableName } from '../../platform/sql';
import type { Period } from '../period';

/** A row that stays in its table, changed, with its files. */
interface Staying {
  /** Whether dependants that are declared to go do so all the same; else they stay with it. */
  readonly takesAlong: boolean;
  /** The column of an instant that marks it: while that is null the row may be picked. */
  readonly mark: string;
  /** Whether a row `t` is not changed yet; that the mark is null unless given. */
  readonly pending?: Sql;
  /** Every column that is changed, the mark among them, and what each becomes: an expression over `t`. */
  readonly changes: readonly { readonly column: string; readonly to: Sql }[];
  /** Those that become null, whatever they held. */
  readonly empties?: readonly string[];
  /** Settings of the transaction that those read: what must not stand in a statement's text. */
  readonly settings: readonly { readonly name: string; readonly value: string }[];
  /** What answers say of a row that is marked already, and since when. */
  marked(since: string): string;
}

/** `D`: how it is declared. */
export interface Strategy<D> {
  /** Null: the row leaves its table, and with it the files and dependants that are declared to go. */
  readonly stays: Staying | null;
  /** All of the declaration that decides what is lost of a row: another one waits out the cooling-off as a whole. */
  readonly reach: unknown;
  /** What receipts call it. */
  readonly action: string;
  /** Of a row that can be restored by taking its mark away: how long, before its purge. */
  readonly grace: { readonly mark: string; readonly period: Period } | null;
  /** Of a row that is archived before it is deleted; null: what goes is gone. */
  readonly archive: Archiving | null;
  readonly words: Words;
  /** Periods of its own that the environment may change. */
  readonly periods: readonly Period[];
  /** The same with each of its periods replaced; the order of its fields, and so the policy's version, is kept. */
  withPeriods(replace: (period: Period) => Period): D;
  /** The same with what it takes from the environment, e.g. a key; `say` stops the start with what is missing. */
  configured(env: Env, say: (problem: string) => void): D;
  /** What its declaration breaks, each naming the field. */
  problems(declared: Declared): string[];
  /** What keeps it from working on the table as it is, each with what to do about it. */
  unfit(table: Table): Problem[];
}

/** How rows are archived. */
interface Archiving {
  /** How long an archive is kept; null forever. */
  readonly keepSeconds: number | null;
  readonly files: 'move' | 'copy' | 'none';
  /** The share of erased rows from which it is written anew. */
  readonly rewriteAt: number;
}

/** How documents and answers tell it. */
interface Words {
  /** E.g. `a soft delete`. */
  readonly noun: string;
  /** Behind each rule, e.g. ` (marked first, purged later)`. */
  readonly behindRule: string;
  /** In a table of what ends how, e.g. `deleted`. */
  readonly end: string;
  /** What is past its period …, e.g. `is deleted for good, row by row`; `how`: `row by row`. */
  happens(how: string): string;
}

/** What a strategy may ask of the policy it is declared in. */
export interface Declared {
  readonly clock: {
    readonly column: string;
    readonly otherwise?: readonly string[] | undefined;
    readonly orLater?: readonly string[] | undefined;
    readonly in?:
      | { readonly table: TableName; readonly references: readonly string[]; readonly key: readonly string[] }
      | undefined;
  };
  readonly key: readonly { readonly column: string }[];
  readonly scope: { readonly organization?: string | undefined; readonly user?: string | undefined };
  readonly tenants?: { readonly column: string } | undefined;
  readonly rules: readonly { readonly match: Readonly<Record<string, unknown>> }[];
  readonly files: readonly {
    readonly column: string;
    readonly bytes?: string | undefined;
    readonly prefix?: string | undefined;
  }[];
  readonly partitioned?: { readonly by: string } | undefined;
}

/** What a strategy may ask of the catalog's entry of its table. */
export interface Table {
  readonly schema: string;
  readonly name: string;
  readonly columns: Readonly<Record<string, Column>>;
}

export interface Column {
  /** As PostgreSQL prints it, and without its length. */
  readonly type: string;
  readonly plain: string;
  /** The same, below every domain. */
  readonly base: string;
  readonly not_null: boolean;
  /** Made by the database, not by the writer. */
  readonly generated: boolean;
  /** Of a unique index, also within an expression. */
  readonly unique: boolean;
  /** An index answers for the canonical form of the files it names. */
  readonly names_files: boolean;
  /** CHECK (c), foreign keys of its own (f), exclusions (x). */
  readonly constraints: readonly { readonly name: string; readonly kind: string }[];
}

type Env = Readonly<Record<string, string | undefined>>;
