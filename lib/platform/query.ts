/** A statement that knows how its answer is read: the caller gets a value with a name, never a row by its position. */
import { z } from 'zod';
import type { Row, Statement } from './database';
import { Sql, statement } from './sql';

export interface Query<T> extends Statement {
  /** Throws ZodError where the database answers in another shape than the statement says. */
  readonly read: (rows: readonly Row[]) => T;
}

type Reader<T> = Query<T>['read'];

/** What a set of queries answers, by name; a query that is not sent answers undefined. */
export type Answers<Q> = {
  readonly [K in keyof Q]: Q[K] extends Query<infer T>
    ? T
    : Q[K] extends Query<infer T> | undefined
      ? T | undefined
      : never;
};

export const query = <T>(text: Sql | Statement, read: Reader<T>): Query<T> => ({
  ...(text instanceof Sql ? statement(text) : text),
  read,
});

/** Every row. */
export const rows =
  <T>(row: z.ZodType<T>): Reader<T[]> =>
  (answer) =>
    z.array(row).parse(answer);

/** The first row; null when there is none. */
export const maybeRow =
  <T>(row: z.ZodType<T>): Reader<T | null> =>
  (answer) =>
    answer[0] === undefined ? null : row.parse(answer[0]);

/** The one row that is always there. */
export const oneRow =
  <T>(row: z.ZodType<T>): Reader<T> =>
  (answer) =>
    row.parse(answer[0]);

/** How many rows the statement returned. */
export const rowCount: Reader<number> = (answer) => answer.length;

/** For statements that only do something. */
export const nothing: Reader<void> = () => undefined;
