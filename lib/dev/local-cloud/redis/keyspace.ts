/**
 * The keys of one small Redis. Expiry is judged by the clock passed in, once per command, when a key is
 * touched; an empty collection is no key at all.
 */
import { wrongType } from './reply';

export interface Values {
  readonly string: string;
  readonly hash: Map<string, string>;
  readonly list: string[];
  readonly set: Set<string>;
  readonly zset: Map<string, number>;
}
export type Kind = keyof Values;

export interface Entry<K extends Kind = Kind> {
  readonly kind: K;
  value: Values[K];
  /** Milliseconds since 1970; null never. */
  expiresAt: number | null;
}

export class Keyspace {
  readonly #entries = new Map<string, Entry>();
  /** Frozen for the length of a command, a script or a transaction. */
  now = 0;
  /** Counts changes: the snapshot is written only when something changed. */
  changes = 0;

  entry(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry?.expiresAt != null && entry.expiresAt <= this.now) {
      this.delete(key);
      return undefined;
    }
    return entry;
  }

  /** The value of this kind; undefined when there is no such key; WRONGTYPE when it is of another kind. */
  get<K extends Kind>(key: string, kind: K): Values[K] | undefined {
    const entry = this.entry(key);
    if (!entry) return undefined;
    if (entry.kind !== kind) throw wrongType();
    return entry.value as Values[K];
  }

  /** Replaces whatever was there, with its expiry unless `expiresAt` says otherwise. */
  put<K extends Kind>(key: string, kind: K, value: Values[K], expiresAt: number | null = null): void {
    this.changes += 1;
    this.#entries.set(key, { kind, value, expiresAt });
    if (expiresAt !== null) this.entry(key);
  }

  /** A collection to add to; made when missing. */
  open<K extends Exclude<Kind, 'string'>>(key: string, kind: K, empty: () => Values[K]): Values[K] {
    const found = this.get(key, kind);
    this.changes += 1;
    if (found !== undefined) return found;
    const value = empty();
    this.#entries.set(key, { kind, value, expiresAt: null });
    return value;
  }

  /** To be called after taking from a collection: an empty one ceases to exist. */
  shrunk(key: string): void {
    this.changes += 1;
    const value = this.#entries.get(key)?.value;
    if (value === undefined || typeof value === 'string') return;
    if ((Array.isArray(value) ? value.length : value.size) === 0) this.#entries.delete(key);
  }

  touched(): void {
    this.changes += 1;
  }

  delete(key: string): boolean {
    this.changes += 1;
    return this.#entries.delete(key);
  }

  clear(): void {
    this.changes += 1;
    this.#entries.clear();
  }

  /** Live keys only. */
  keys(): string[] {
    return [...this.#entries.keys()].filter((key) => this.entry(key) !== undefined);
  }
}
