/** Shapes that are made only once the engine takes them. */
export const SHAPES = {
  /** Two foreign keys of one table that lead to the same table, both of which take rows along. */
  twoWaysToARow: false,
  /** References in another order than the key, which are also said to lack a foreign key. */
  turnedReferences: false,
} as const;
