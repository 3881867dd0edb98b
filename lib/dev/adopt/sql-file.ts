/**
 * The one SQL file that a database owner runs for the policies: grants, indexes, gates, guards and partition grants, each
 * below its why. It grows; what stands in it is never changed, and run twice it does the same as once.
 */
import { RUN_EACH, type Step } from './judge';

export const SQL_FILE = 'lib/migrations/adopt.sql';

const HEAD = `-- What the policies need in the database, written by npm run adopt. The owner of the tables runs it once in each
-- database: npm run adopt -- --apply, or psql -f (not in one transaction: indexes are built without stopping writers).
-- Run twice, it does the same as once. No statement changes a row, or a column.
`;

export interface Needs {
  readonly policy: string;
  readonly steps: readonly Step[];
}

/** The file with what it lacks, and how many statements that is. */
export function grown(file: string | null, needs: readonly Needs[]): { text: string; added: number } {
  let text = file ?? HEAD;
  let added = 0;
  const there = new Set(stepsOf(text).map((s) => s.statement));
  for (const { policy, steps } of needs) {
    const missing = steps.filter((s) => !there.has(s.statement));
    if (missing.length === 0) continue;
    text += `\n-- == ${policy}\n`;
    for (const { statement, why } of missing) {
      there.add(statement);
      text += `-- ${why.replaceAll('\n', ' ')}\n${statement}\n`;
    }
    added += missing.length;
  }
  return { text, added };
}

/** The statements in their order, each with the comment above it. A statement ends with the line that ends with `;`, or that says to run what it answers. */
export function stepsOf(text: string): Step[] {
  const steps: Step[] = [];
  let why = '';
  let statement = '';
  for (const line of text.split('\n')) {
    if (statement === '' && /^\s*(--.*)?$/.test(line)) {
      why = line.startsWith('--') && !line.startsWith('-- ==') ? line.slice(2).trim() : '';
      continue;
    }
    statement += `${statement === '' ? '' : '\n'}${line}`;
    if (![';', RUN_EACH].some((end) => line.trimEnd().endsWith(end))) continue;
    steps.push({ statement, why });
    statement = '';
    why = '';
  }
  if (statement.trim() !== '')
    throw new Error(`the last statement of the SQL file does not end with ";": ${statement.slice(0, 80)}`);
  return steps;
}
