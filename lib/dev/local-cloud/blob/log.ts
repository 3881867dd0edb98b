/**
 * What was put and deleted, one line each, only ever appended to; rewritten at start when most of it is
 * history. A line that a kill cut short is the last one and was never acknowledged: it is left out.
 */
import { closeSync, fdatasyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import type { BlobMeta } from './meta';

export type Change = { readonly put: BlobMeta } | { readonly del: string };

/** Rewriting a shorter history is not worth it. */
const COMPACT_FROM_LINES = 10_000;

export class ChangeLog {
  #fd: number;

  constructor(
    readonly path: string,
    readonly durable: boolean,
    apply: (change: Change) => void,
    live: () => Iterable<BlobMeta>,
  ) {
    let lines = 0;
    let kept = 0;
    const text = readIfThere(path);
    const complete = text.slice(0, text.lastIndexOf('\n') + 1);
    for (const line of complete.split('\n')) {
      if (!line) continue;
      apply(JSON.parse(line) as Change);
      lines += 1;
    }
    for (const _ of live()) kept += 1;
    if (complete.length < text.length || (lines > COMPACT_FROM_LINES && lines > 2 * kept))
      this.#rewrite(live());
    this.#fd = openSync(path, 'a');
  }

  append(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    writeSync(this.#fd, `${changes.map((c) => JSON.stringify(c)).join('\n')}\n`);
    if (this.durable) fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #rewrite(live: Iterable<BlobMeta>): void {
    const fd = openSync(`${this.path}.new`, 'w');
    for (const put of live) writeSync(fd, `${JSON.stringify({ put })}\n`);
    fdatasyncSync(fd);
    closeSync(fd);
    renameSync(`${this.path}.new`, this.path);
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
