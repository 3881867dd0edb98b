/** What keeps a dead letter from going, and the next step: docs/RUNBOOK.md in short. */
import type { Letter, LetterKind } from './lists';

const ROWS: Readonly<Record<string, string>> = {
  '23503':
    'Something still refers to the row: declare it in the policy as a dependant (block keeps it quietly).',
  P0001: 'A trigger of yours refuses: see what it says of this row, or correct it.',
  '57014': 'This row alone took the whole time of a statement: look for a reference without an index.',
  LP007: 'A trigger that the policy declares keeps the row, or a child of it, or puts it back.',
};
const FILES: readonly [prefix: string, step: string][] = [
  [
    'name.',
    'The file is named in a way that is not deleted: correct the prefix in the policy, or delete it by hand and discard this.',
  ],
];

/** Null: nothing is known but the code. */
export const nextStepOf = (kind: LetterKind, { error }: Pick<Letter, 'error'>): string | null =>
  (kind === 'row' ? ROWS[error ?? ''] : FILES.find(([prefix]) => error?.startsWith(prefix))?.[1]) ?? null;
