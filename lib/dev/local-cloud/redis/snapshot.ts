/** The keys of the small engine in one file: written whole under another name and then renamed. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Entry, Keyspace, Kind, Values } from './keyspace';

interface Saved {
  readonly key: string;
  readonly kind: Kind;
  /** A string, a list of members, or a list of pairs. */
  readonly value: unknown;
  readonly expiresAt: number | null;
}

export class Snapshot {
  #savedAt = 0;

  constructor(
    readonly file: string,
    readonly keys: Keyspace,
  ) {}

  load(): void {
    let saved: Saved[];
    try {
      saved = JSON.parse(readFileSync(this.file, 'utf8')) as Saved[];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw new Error(`${this.file} cannot be read; remove it to start with an empty Redis`, {
        cause: error,
      });
    }
    for (const s of saved) this.keys.put(s.key, s.kind, restored(s), s.expiresAt);
    this.#savedAt = this.keys.changes;
  }

  /** Does nothing when nothing changed. */
  save(): void {
    if (this.keys.changes === this.#savedAt) return;
    const changes = this.keys.changes;
    const saved = this.keys.keys().map((key): Saved => {
      const entry = this.keys.entry(key) as Entry;
      return { key, kind: entry.kind, value: plain(entry), expiresAt: entry.expiresAt };
    });
    writeFileSync(`${this.file}.new`, JSON.stringify(saved));
    renameSync(`${this.file}.new`, this.file);
    this.#savedAt = changes;
  }
}

function plain({ kind, value }: Entry): unknown {
  if (typeof value === 'string') return value;
  // JSON has no infinite numbers.
  return kind === 'zset' ? [...(value as Values['zset'])].map(([m, s]) => [m, String(s)]) : [...value];
}

function restored({ kind, value }: Saved): Values[Kind] {
  switch (kind) {
    case 'string':
      return value as string;
    case 'list':
      return value as string[];
    case 'set':
      return new Set(value as string[]);
    case 'hash':
      return new Map(value as [string, string][]);
    case 'zset':
      return new Map((value as [string, string][]).map(([m, s]) => [m, Number(s)]));
  }
}
