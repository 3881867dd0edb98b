/**
 * One blob store. The bytes are written first, then the line in the log, then the index: what was
 * acknowledged survives a kill, and what was not leaves at most an unnamed file, removed at start.
 * Conditions (overwrite, If-Match) are judged in the same turn as the change, so of twenty writers one wins.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Contents, FileContents, MemoryContents } from './contents';
import { ChangeLog } from './log';
import { type Access, type BlobMeta, CACHE_SECONDS, contentTypeOf, etagOf } from './meta';
import { SortedIndex } from './sorted-index';

export class BlobStoreError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface StoreOptions {
  readonly folder: string;
  readonly durable: boolean;
  /** `memory`: nothing is written and nothing survives a stop; for tests with a hundred thousand blobs. */
  readonly contents: 'memory' | 'files';
  readonly clock: () => number;
}

export interface PutOptions {
  readonly access: Access;
  readonly contentType?: string | undefined;
  readonly cacheSeconds?: number | undefined;
  readonly allowOverwrite?: boolean;
  readonly ifMatch?: string | undefined;
}

/** One blob of a bulk load. */
export interface Seed {
  readonly pathname: string;
  readonly content: Uint8Array | string;
  readonly access?: Access;
  readonly contentType?: string;
  readonly uploadedAt?: Date;
}

export interface ListQuery {
  readonly prefix: string;
  readonly limit: number;
  /** The last name of the page before. */
  readonly after: string | undefined;
  readonly folded: boolean;
}

export interface ListPage {
  readonly blobs: BlobMeta[];
  readonly folders: string[];
  /** Where the next page starts; undefined when this is the last one. */
  readonly next: string | undefined;
}

/** Sorts after every character a pathname holds. */
const LAST = '\uffff';
/** Bytes of one file of a bulk load: large enough to be fast, small enough to hold in memory. */
const PACK_BYTES = 16 * 1024 * 1024;

export class BlobStore {
  readonly #index = new SortedIndex();
  readonly #contents: Contents;
  readonly #log: ChangeLog | undefined;
  /** How many blobs each file still holds. */
  readonly #uses = new Map<string, number>();

  constructor(readonly options: StoreOptions) {
    if (options.contents === 'memory') {
      this.#contents = new MemoryContents();
      return;
    }
    this.#contents = new FileContents(join(options.folder, 'files'), options.durable);
    this.#log = new ChangeLog(
      join(options.folder, 'log.jsonl'),
      options.durable,
      (change) => {
        if ('put' in change) this.#index.set(change.put);
        else this.#index.delete(change.del);
      },
      () => this.#index.values(),
    );
    for (const { place } of this.#index.values()) this.#use(place.file);
    this.#contents.keepOnly(new Set(this.#uses.keys()));
  }

  get size(): number {
    return this.#index.size;
  }

  head(pathname: string): BlobMeta | undefined {
    return this.#index.get(pathname);
  }

  read(meta: BlobMeta): Promise<Buffer> {
    return this.#contents.read(meta.place, meta.size);
  }

  async put(pathname: string, content: Uint8Array, options: PutOptions): Promise<BlobMeta> {
    this.#mayWrite(pathname, options);
    const file = newId();
    await this.#contents.write(file, content);
    try {
      // Another writer may have been faster while the bytes were written.
      this.#mayWrite(pathname, options);
    } catch (error) {
      await this.#contents.remove(file);
      throw error;
    }
    const meta: BlobMeta = {
      pathname,
      size: content.byteLength,
      contentType: options.contentType ?? contentTypeOf(pathname),
      cacheSeconds: options.cacheSeconds ?? CACHE_SECONDS,
      uploadedAt: this.options.clock(),
      etag: etagOf(content),
      access: options.access,
      place: { file, offset: 0 },
    };
    this.#log?.append([{ put: meta }]);
    const before = this.#index.get(pathname);
    this.#index.set(meta);
    this.#use(file);
    if (before) await this.#release(before);
    return meta;
  }

  async copy(from: string, to: string, options: PutOptions): Promise<BlobMeta> {
    const source = this.#index.get(from);
    if (!source) throw notFound();
    return this.put(to, await this.read(source), { ...options, contentType: options.contentType });
  }

  async rename(from: string, to: string, options: PutOptions): Promise<BlobMeta> {
    const source = this.#index.get(from);
    if (!source) throw notFound();
    const meta = await this.put(to, await this.read(source), { contentType: source.contentType, ...options });
    if (from !== to) await this.delete([from]);
    return meta;
  }

  /** A name that does not exist is not an error. Returns how many existed. */
  async delete(pathnames: readonly string[], ifMatch?: string): Promise<number> {
    if (ifMatch !== undefined && this.#index.get(pathnames[0] ?? '')?.etag !== ifMatch) throw changed();
    const gone = [...new Set(pathnames)].flatMap((name) => this.#index.get(name) ?? []);
    this.#log?.append(gone.map((meta) => ({ del: meta.pathname })));
    for (const meta of gone) this.#index.delete(meta.pathname);
    await Promise.all(gone.map((meta) => this.#release(meta)));
    return gone.length;
  }

  list(query: ListQuery): ListPage {
    const blobs: BlobMeta[] = [];
    const folders: string[] = [];
    // A folder's name ends in a slash: the page after it starts behind everything in it.
    const walk = this.#index.from(
      query.after === undefined ? query.prefix : after(query.after, query.folded),
    );
    let last: string | undefined;
    for (let at = walk.next(); !at.done; ) {
      const { pathname } = at.value;
      // A cursor of another prefix may lie before this one.
      if (pathname < query.prefix) {
        at = walk.next(query.prefix);
        continue;
      }
      if (!pathname.startsWith(query.prefix)) break;
      if (blobs.length + folders.length === query.limit) return { blobs, folders, next: last };
      const slash = query.folded ? pathname.indexOf('/', query.prefix.length) : -1;
      if (slash >= 0) {
        last = pathname.slice(0, slash + 1);
        folders.push(last);
        at = walk.next(last + LAST);
      } else {
        last = pathname;
        blobs.push(at.value);
        at = walk.next();
      }
    }
    return { blobs, folders, next: undefined };
  }

  /** Bulk load inside this process, overwriting what is there: one write for thousands of blobs. */
  async putMany(seeds: Iterable<Seed> | AsyncIterable<Seed>): Promise<number> {
    let count = 0;
    let pack: { meta: Omit<BlobMeta, 'place'>; content: Uint8Array }[] = [];
    let bytes = 0;
    const flush = async () => {
      await this.#putPack(pack);
      pack = [];
      bytes = 0;
    };
    for await (const seed of seeds) {
      const content = typeof seed.content === 'string' ? Buffer.from(seed.content) : seed.content;
      pack.push({ meta: this.#seeded(seed, content), content });
      count += 1;
      bytes += content.byteLength;
      if (bytes >= PACK_BYTES || pack.length === 50_000) await flush();
    }
    await flush();
    return count;
  }

  /** Removes every blob. */
  async clear(): Promise<void> {
    await this.delete([...this.#index.values()].map((meta) => meta.pathname));
  }

  /** Every blob in order, for a test to look behind the API. */
  *all(prefix = ''): Generator<BlobMeta> {
    for (const meta of this.#index.from(prefix)) {
      if (!meta.pathname.startsWith(prefix)) return;
      yield meta;
    }
  }

  close(): void {
    this.#log?.close();
  }

  #seeded(seed: Seed, content: Uint8Array): Omit<BlobMeta, 'place'> {
    return {
      pathname: seed.pathname,
      size: content.byteLength,
      contentType: seed.contentType ?? contentTypeOf(seed.pathname),
      cacheSeconds: CACHE_SECONDS,
      uploadedAt: seed.uploadedAt?.getTime() ?? this.options.clock(),
      etag: etagOf(content),
      access: seed.access ?? 'private',
    };
  }

  async #putPack(pack: readonly { meta: Omit<BlobMeta, 'place'>; content: Uint8Array }[]): Promise<void> {
    if (pack.length === 0) return;
    const file = newId();
    await this.#contents.write(file, Buffer.concat(pack.map((p) => p.content)));
    let offset = 0;
    const metas = pack.map(({ meta }): BlobMeta => {
      const placed = { ...meta, place: { file, offset } };
      offset += meta.size;
      return placed;
    });
    this.#log?.append(metas.map((put) => ({ put })));
    const replaced: BlobMeta[] = [];
    for (const meta of metas) {
      const before = this.#index.get(meta.pathname);
      if (before) replaced.push(before);
      this.#index.set(meta);
      this.#use(file);
    }
    await Promise.all(replaced.map((meta) => this.#release(meta)));
  }

  #mayWrite(pathname: string, { ifMatch, allowOverwrite }: PutOptions): void {
    const there = this.#index.get(pathname);
    if (ifMatch !== undefined) {
      if (there?.etag !== ifMatch) throw changed();
    } else if (there && !allowOverwrite) {
      throw new BlobStoreError(
        400,
        'bad_request',
        'This blob already exists: allow overwriting it, or add a random suffix to its name.',
      );
    }
  }

  #use(file: string): void {
    this.#uses.set(file, (this.#uses.get(file) ?? 0) + 1);
  }

  async #release({ place: { file } }: BlobMeta): Promise<void> {
    const left = (this.#uses.get(file) ?? 1) - 1;
    if (left > 0) {
      this.#uses.set(file, left);
      return;
    }
    this.#uses.delete(file);
    await this.#contents.remove(file);
  }
}

/** The first name that may follow `name`. */
const after = (name: string, folded: boolean) => (folded && name.endsWith('/') ? name + LAST : `${name}\0`);

const newId = () => randomBytes(12).toString('hex');
export const notFound = () => new BlobStoreError(404, 'not_found', 'The requested blob does not exist');
const changed = () => new BlobStoreError(412, 'precondition_failed', 'Precondition failed: ETag mismatch.');
