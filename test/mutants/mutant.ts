/** A small breakage that a tired programmer could make: one place, the smallest change that breaks one promise. */
export interface Mutant {
  /** Unique; the area's letter and a number. */
  readonly id: string;
  /** What is lost when it goes unnoticed, as a sentence about the product. */
  readonly promise: string;
  readonly file: string;
  /** Occurs exactly once in the file: a place that has moved fails loudly. */
  readonly find: string;
  readonly replace: string;
  /** Test files, folders, or `file:part of a title`, that concern it; the first failing test kills it. */
  readonly tests: readonly string[];
  /** Why no test can tell it from the original. */
  readonly equivalent?: string;
}
