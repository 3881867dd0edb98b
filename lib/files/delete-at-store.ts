/**
 * Deletes one claimed page at the store, each file by the pathname that was judged. A name that the policy says the
 * store has made is never written again, so such files go a hundred a call; any other is looked at first and goes
 * alone with its etag, so that a file uploaded again since its row went is spared. Never throws for a failed call:
 * each file gets its settlement. When the store asks to slow down, refuses the token, or time is up, the rest is
 * given back untried.
 */
// By the author of p-retry: a list worked off by so many at once.
import pMap from 'p-map';
import type { Blob, StoredFile } from '../platform/blob';
import { BlobError } from '../platform/errors';
import type { Claimed, Settlement } from './outbox';

/** What Vercel's own examples send in one call; the store's limit is not documented (PLATFORM §D3). */
const FILES_PER_CALL = 100;
/** Calls under way at once for one page: the store answers in tens of milliseconds, and rate limits are per second. */
const CALLS_AT_ONCE = 16;

/** First wait 2 s, doubled with each failure, 6 hours at most; between half and all of it, so that retries spread. */
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;

export interface StoreOutcome {
  readonly settlements: readonly Settlement[];
  readonly deletedBytes: number;
  readonly calls: number;
  /** Ask no more before this instant. */
  readonly notBefore: Date | null;
  /** The token or the store itself: nothing works until someone fixes it. */
  readonly fatal: BlobError | null;
}

export interface StoreContext {
  readonly blob: Blob;
  readonly clock: () => Date;
  /** In [0, 1): the jitter. */
  readonly random: () => number;
  /** After this instant no further call is begun: a hold may be waiting for the end of the claim. */
  readonly until: Date;
  /** And no call outlasts this one. */
  readonly deadline: Date;
}

/**
 * The store's clock may be behind the database's: a file that seems only this much older than the decision may have
 * been uploaded again just after it.
 */
const CLOCKS_DIFFER_MS = 120_000;
/** Such a file waits this long, so that a row can name it. */
const NAMED_BY_THEN_MS = 3_600_000;

/** As the store makes names: 30 random characters before the extension. */
const isUnrepeatable = (path: string): boolean => /-[A-Za-z0-9]{30}(\.[^./]+)?$/.test(path);

function backoffMs(attempts: number, random: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts, 20));
  return full / 2 + (full / 2) * random;
}

export const deleteAtStore = (files: readonly Claimed[], context: StoreContext): Promise<StoreOutcome> =>
  new Page(context).delete(files);

/** One page on its way: what was settled, and why nothing more is asked. */
class Page {
  readonly #settlements: Settlement[] = [];
  #deletedBytes = 0;
  #calls = 0;
  #notBefore: Date | null = null;
  #fatal: BlobError | null = null;

  constructor(private readonly context: StoreContext) {}

  async delete(files: readonly Claimed[]): Promise<StoreOutcome> {
    const [once, repeatable] = partitionBy(files, (f) => f.suffixed && isUnrepeatable(f.path));
    const work = [
      ...inGroups(once).map((group) => () => this.#together(group)),
      ...repeatable.map((file) => () => this.#alone(file)),
    ];
    await pMap(work, (step) => (this.#mayCall() ? step() : undefined), { concurrency: CALLS_AT_ONCE });
    this.#giveBack(files);
    return {
      settlements: this.#settlements,
      deletedBytes: this.#deletedBytes,
      calls: this.#calls,
      notBefore: this.#notBefore,
      fatal: this.#fatal,
    };
  }

  async #together(files: readonly Claimed[]): Promise<void> {
    const paths = files.map((f) => f.path);
    try {
      await this.#call((blob, limits) => blob.del(paths, limits));
      for (const file of files) this.#settle(file, 'deleted');
    } catch (error) {
      const why = this.#heed(error);
      if (why.failure === 'fatal') return;
      // One name the store will not hear of must not stop the others.
      if (why.failure === 'refused' && files.length > 1) await this.#eachAlone(files);
      else for (const file of files) this.#fail(file, why);
    }
  }

  async #eachAlone(files: readonly Claimed[]): Promise<void> {
    for (const file of files) if (this.#mayCall()) await this.#together([file]);
  }

  async #alone(file: Claimed): Promise<void> {
    try {
      const found = await this.#call((blob, limits) => blob.head(file.path, limits));
      const expired = this.#judge(file, found);
      if (!expired || !this.#mayCall()) return;
      await this.#call((blob, limits) => blob.del([file.path], { ifMatch: expired.etag, ...limits }));
      this.#settle(file, 'deleted');
    } catch (error) {
      const why = this.#heed(error);
      // Gone or written again between the look and the deletion: the next attempt will see which.
      if (why.failure !== 'fatal') this.#fail(file, why);
    }
  }

  /** The file as it may be deleted; null when the look alone says what becomes of it. */
  #judge(file: Claimed, found: StoredFile | null): StoredFile | null {
    // A store may forget a file for a moment: believed when the next attempt misses it too.
    if (!found) {
      if (file.missed) this.#settle(file, 'missing');
      else this.#fail(file, notFound);
      return null;
    }
    const decidedAt = new Date(file.decided_at).getTime();
    const olderMs = decidedAt - found.uploadedAt.getTime();
    const namedBy = new Date(decidedAt + NAMED_BY_THEN_MS);
    if (olderMs < 0) this.#settle(file, 'rewritten');
    else if (olderMs < CLOCKS_DIFFER_MS && this.context.clock() < namedBy) this.#leaveUntil(file, namedBy);
    else return found;
    return null;
  }

  #mayCall(): boolean {
    const { clock, until } = this.context;
    return this.#fatal === null && this.#notBefore === null && clock() < until;
  }

  /** No call outlasts the deadline. */
  #call<T>(work: (blob: Blob, limits: { timeoutMs: number }) => Promise<T>): Promise<T> {
    const { blob, clock, deadline } = this.context;
    this.#calls += 1;
    return work(blob, { timeoutMs: deadline.getTime() - clock().getTime() });
  }

  /** Notes what a failure says of all further calls. Throws what the store did not say. */
  #heed(error: unknown): BlobError {
    if (!(error instanceof BlobError)) throw error;
    if (error.retryAfterSeconds !== null) {
      const until = this.#in(error.retryAfterSeconds * 1000);
      if (this.#notBefore === null || until > this.#notBefore) this.#notBefore = until;
    }
    if (error.failure === 'fatal') this.#fatal = error;
    return error;
  }

  #settle(file: Claimed, as: 'deleted' | 'missing' | 'rewritten'): void {
    this.#settlements.push({ ids: file.ids, as });
    if (as === 'deleted') this.#deletedBytes += file.bytes;
  }

  #fail(file: Claimed, error: BlobError): void {
    const wait = Math.max(
      backoffMs(file.attempts, this.context.random()),
      (error.retryAfterSeconds ?? 0) * 1000,
    );
    this.#settlements.push({
      ids: file.ids,
      as: 'failed',
      errorClass: error.code,
      retryAt: this.#in(wait),
      hopeless: error.failure === 'refused',
    });
  }

  #leaveUntil(file: Claimed, retryAt: Date): void {
    this.#settlements.push({ ids: file.ids, as: 'untried', retryAt });
  }

  /** What no call has answered for is due again as soon as the store may be asked. */
  #giveBack(files: readonly Claimed[]): void {
    const answered = new Set(this.#settlements.flatMap((s) => s.ids));
    for (const file of files) {
      if (!file.ids.some((id) => answered.has(id))) {
        this.#leaveUntil(file, this.#notBefore ?? this.context.clock());
      }
    }
  }

  #in(milliseconds: number): Date {
    return new Date(this.context.clock().getTime() + milliseconds);
  }
}

function partitionBy<T>(all: readonly T[], is: (one: T) => boolean): [T[], T[]] {
  return [all.filter(is), all.filter((one) => !is(one))];
}

function inGroups(files: readonly Claimed[]): Claimed[][] {
  const groups: Claimed[][] = [];
  for (let i = 0; i < files.length; i += FILES_PER_CALL) groups.push(files.slice(i, i + FILES_PER_CALL));
  return groups;
}

const notFound = new BlobError('not_found', 'the store has no such file');
