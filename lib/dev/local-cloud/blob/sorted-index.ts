/**
 * Every pathname in order, for listing. New names wait unsorted until the next listing and are then merged in
 * at once; names that went stay as gaps until they are half of it. So 100,000 puts or deletes sort nothing, and
 * a page of a list touches its own names only.
 */
import type { BlobMeta } from './meta';

export class SortedIndex {
  readonly #metas = new Map<string, BlobMeta>();
  /** Sorted; may name what is gone. */
  #names: string[] = [];
  readonly #fresh = new Set<string>();
  #gaps = 0;

  get size(): number {
    return this.#metas.size;
  }

  get(pathname: string): BlobMeta | undefined {
    return this.#metas.get(pathname);
  }

  values(): IterableIterator<BlobMeta> {
    return this.#metas.values();
  }

  set(meta: BlobMeta): void {
    const isNew = !this.#metas.has(meta.pathname);
    this.#metas.set(meta.pathname, meta);
    if (!isNew || this.#fresh.has(meta.pathname)) return;
    // A name that was there before left a gap, which it fills again.
    if (this.#gaps > 0 && this.#names[lowerBound(this.#names, meta.pathname)] === meta.pathname)
      this.#gaps -= 1;
    else this.#fresh.add(meta.pathname);
  }

  delete(pathname: string): void {
    if (!this.#metas.delete(pathname)) return;
    if (!this.#fresh.delete(pathname)) this.#gaps += 1;
  }

  clear(): void {
    this.#metas.clear();
    this.#fresh.clear();
    this.#names = [];
    this.#gaps = 0;
  }

  /** Blobs from the first name that is `from` or later, in order. */
  *from(from: string): Generator<BlobMeta, void, string | undefined> {
    this.#settle();
    // Another walk may merge new names while this one waits: this one continues over the names it began with.
    const names = this.#names;
    for (let i = lowerBound(names, from); i < names.length; i += 1) {
      const meta = this.#metas.get(names[i]!);
      if (meta === undefined) continue;
      const jump = yield meta;
      if (jump !== undefined) i = lowerBound(names, jump) - 1;
    }
  }

  #settle(): void {
    if (this.#fresh.size === 0 && this.#gaps * 2 <= this.#names.length) return;
    const fresh = [...this.#fresh].sort();
    const merged: string[] = [];
    let next = 0;
    for (const name of this.#names) {
      while (next < fresh.length && fresh[next]! < name) merged.push(fresh[next++]!);
      if (this.#metas.has(name)) merged.push(name);
    }
    while (next < fresh.length) merged.push(fresh[next++]!);
    this.#names = merged;
    this.#fresh.clear();
    this.#gaps = 0;
  }
}

function lowerBound(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
