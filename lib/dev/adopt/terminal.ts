/** Where a person reads and, perhaps, answers. */
import type { Flags } from './answers';

export interface Terminal {
  say(line: string): void;
  /** Undefined where there is no person to ask. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/** What ends it with code 1: a sentence for the person. Nothing was written. */
export class NothingWritten extends Error {}

export async function agreed(question: string, { yes }: Flags, { ask }: Terminal): Promise<boolean> {
  if (yes) return true;
  return ask !== undefined && /^y(es)?$/i.test((await ask(`${question} [y/N] `)).trim());
}
