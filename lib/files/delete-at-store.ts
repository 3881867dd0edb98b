/**
 * Deletes one claimed page at the store, each file by the pathname that was judged. A name that the policy says the
 * store has made is never written again, so such files go a hundred a call; any other is looked at first and goes
 * alone with its etag, so that a file uploaded again since its row went is spared. Never throws for a failed call:
 * each file gets its settlement. When the store asks to slow down, refuses the token, or time is up, the rest is
 * given back untried.
 */
import type { Blob } from '../platform/blob';
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
  readonly failures: number;
  /** Ask no more before this instant. */
  readonly notBefore: Date | null;
  /** The token or the store itself: nothing will work until someone mends it. */
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
 * The store's clock may be behind the database's: a file that seems a little older than the decision may have been
 * uploaded again just after it,
 */
const CLOCKS_DIFFER_MS = 120_000;
/** and waits until whoever uploaded it has had time to name it in a row. */
const NAMED_BY_THEN_MS = 3_600_000;

/** As the store makes names: 30 random characters before the extension. */
const isUnrepeatable = (path: string): boolean => /-[A-Za-z0-9]{30}(\.[^./]+)?$/.test(path);

function backoffMs(attempts: number, random: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts, 20));
  return full / 2 + (full / 2) * random;
}

export async function deleteAtStore(files: readonly Claimed[], context: StoreContext): Promise<StoreOutcome> {
  const { blob, clock } = context;
  const settlements: Settlement[] = [];
  let deletedBytes = 0;
  let calls = 0;
  let failures = 0;
  const stop: { notBefore: Date | null; fatal: BlobError | null } = { notBefore: null, fatal: null };

  const call = <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    return work();
  };
  const settled = (file: Claimed, as: 'deleted' | 'missing' | 'rewritten') => {
    settlements.push({ ids: file.ids, as });
    if (as === 'deleted') deletedBytes += file.bytes;
  };
  const failed = (file: Claimed, error: BlobError) => {
    const wait = Math.max(backoffMs(file.attempts, context.random()), (error.retryAfterSeconds ?? 0) * 1000);
    settlements.push({
      ids: file.ids,
      as: 'failed',
      errorClass: error.code,
      retryAt: new Date(clock().getTime() + wait),
      hopeless: error.failure === 'refused',
    });
  };
  const slowDown = (error: BlobError) => {
    if (error.retryAfterSeconds === null) return;
    const until = new Date(clock().getTime() + error.retryAfterSeconds * 1000);
    if (stop.notBefore === null || until > stop.notBefore) stop.notBefore = until;
  };
  const untried = (file: Claimed, retryAt: Date) => {
    settlements.push({ ids: file.ids, as: 'untried', retryAt });
  };
  const inTime = () => ({ timeoutMs: context.deadline.getTime() - clock().getTime() });
  const mayCall = () => stop.fatal === null && stop.notBefore === null && clock() < context.until;

  const together = async (some: readonly Claimed[]): Promise<void> => {
    try {
      await call(() =>
        blob.del(
          some.map((f) => f.path),
          inTime(),
        ),
      );
      for (const f of some) settled(f, 'deleted');
    } catch (error) {
      const why = blobError(error);
      failures += 1;
      slowDown(why);
      if (why.failure === 'fatal') stop.fatal = why;
      // One name the store will not hear of must not stop the others.
      else if (why.failure === 'refused' && some.length > 1) await eachAlone(some);
      else for (const f of some) failed(f, why);
    }
  };
  const eachAlone = async (some: readonly Claimed[]): Promise<void> => {
    for (const f of some) if (mayCall()) await together([f]);
  };
  const alone = async (file: Claimed): Promise<void> => {
    try {
      const found = await call(() => blob.head(file.path, inTime()));
      // A store may forget a file for a moment: believed when the next attempt misses it too.
      if (!found) return file.missed ? settled(file, 'missing') : failed(file, notFound);
      const older = new Date(file.decided_at).getTime() - found.uploadedAt.getTime();
      if (older < 0) return settled(file, 'rewritten');
      const namedBy = new Date(file.decided_at).getTime() + NAMED_BY_THEN_MS;
      if (older < CLOCKS_DIFFER_MS && clock().getTime() < namedBy) return untried(file, new Date(namedBy));
      if (!mayCall()) return;
      await call(() => blob.del([file.path], { ifMatch: found.etag, ...inTime() }));
      settled(file, 'deleted');
    } catch (error) {
      const why = blobError(error);
      // Gone or written again between the look and the deletion: the next attempt will see which.
      failures += 1;
      slowDown(why);
      if (why.failure === 'fatal') stop.fatal = why;
      else failed(file, why);
    }
  };

  const [once, repeatable] = divided(files, (f) => f.suffixed && isUnrepeatable(f.path));
  const work = [...inGroups(once).map((g) => () => together(g)), ...repeatable.map((f) => () => alone(f))];
  let next = 0;
  const lane = async () => {
    while (next < work.length && mayCall()) await work[next++]!();
  };
  await Promise.all(Array.from({ length: Math.min(CALLS_AT_ONCE, work.length) }, lane));
  const answered = new Set(settlements.flatMap((s) => s.ids));
  for (const f of files) {
    if (!f.ids.some((id) => answered.has(id))) untried(f, stop.notBefore ?? clock());
  }
  return { settlements, deletedBytes, calls, failures, ...stop };
}

function divided<T>(all: readonly T[], is: (one: T) => boolean): [T[], T[]] {
  return [all.filter(is), all.filter((one) => !is(one))];
}

function inGroups(files: readonly Claimed[]): Claimed[][] {
  const groups: Claimed[][] = [];
  for (let i = 0; i < files.length; i += FILES_PER_CALL) groups.push(files.slice(i, i + FILES_PER_CALL));
  return groups;
}

const notFound = new BlobError('not_found', 'the store has no such file');

const blobError = (error: unknown): BlobError => {
  if (error instanceof BlobError) return error;
  throw error;
};
