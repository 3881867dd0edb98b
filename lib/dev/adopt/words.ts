/** What names of tables and columns say, in the spelling of whichever framework made them. */

/** `createdAt`, `CreatedAt`, `created-at` → `created_at` */
export const snake = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .toLowerCase();

export const wordsOf = (name: string): string[] => snake(name).split('_').filter(Boolean);

/** `sessions` → `session`, `histories` → `history`; good enough to compare names with. */
export const singular = (word: string): string =>
  word
    .replace(/ies$/, 'y')
    .replace(/(ss|sh|ch|x)es$/, '$1')
    .replace(/([^s])s$/, '$1');
