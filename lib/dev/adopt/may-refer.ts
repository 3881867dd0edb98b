/**
 * Columns that may name a table's rows without a foreign key, by their name and type alone: where rows go, what names them
 * stays, unless a person declares it. A guess, so it is said and never written into a policy.
 */
import type { TableFacts } from './catalog';
import type { Survey } from './survey';
import { singular, snake } from './words';

/** `sessions.id` is named by `session_id`, `session.session_id` too. */
function namesOf({ name }: TableFacts, key: string): ReadonlySet<string> {
  const table = snake(name);
  const own = snake(key);
  return new Set([
    ...[table, singular(table)].flatMap((t) => [`${t}_id`, `${t}_${own}`]),
    ...(/._id$/.test(own) ? [own] : []),
  ]);
}

/** A note for a person; none where nothing looks like it. `key`: the columns by which the rows are known. */
export function mayRefer(survey: Survey, facts: TableFacts, key: readonly string[]): string[] {
  const [column, ...more] = key;
  if (column === undefined || more.length > 0) return [];
  const names = namesOf(facts, column);
  const type = facts.columns.find((c) => c.name === column)?.plain;
  const isDeclared = (from: TableFacts, name: string) =>
    survey.catalog.references.some((f) => f.from === from.oid && f.columns.includes(name));
  const found = survey.tables
    .filter((t) => t.facts !== facts && t.technical === null && ['r', 'p'].includes(t.facts.kind))
    .flatMap((t) =>
      t.facts.columns
        .filter((c) => c.plain === type && names.has(snake(c.name)) && !isDeclared(t.facts, c.name))
        .map((c) => `${t.label}.${c.name}`),
    );
  return found.length === 0
    ? []
    : [
        `may be named without a foreign key by ${found.join(', ')}: such rows stay behind, unless they are declared as dependants with foreignKey: false`,
      ];
}
