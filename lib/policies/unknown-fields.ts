/**
 * Fields of a declaration that mean nothing. A misspelled `where`, `scope` or `keepAtLeast` would otherwise be dropped in silence, and
 * more would go than its author wrote. Types find most of them, but not in what is spread, computed or never compiled.
 */

/** The paths of those that the schema left out of what it read. */
export function unknownFields(given: unknown, read: unknown, path: readonly string[] = []): string[] {
  if (typeof given !== 'object' || given === null || typeof read !== 'object' || read === null) return [];
  return Object.entries(given).flatMap(([field, value]) => {
    const at = [...path, field];
    if (value === undefined) return [];
    if (!Object.hasOwn(read, field)) return [at.join('.')];
    return unknownFields(value, (read as Record<string, unknown>)[field], at);
  });
}
