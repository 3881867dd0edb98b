/** Shapes that are made only once the engine takes them. */
export const SHAPES = {
  /** Two foreign keys of one table that lead to the same table, both of which take rows along. */
  twoWaysToARow: false,
  /** Organizations with periods of their own whose rows have a clock of two columns. */
  tenantsWithTwoClocks: false,
} as const;
