/**
 * The one way to Vercel Blob, with the client's traps switched off (PLATFORM §D5): no retries of its own (ten by
 * default, up to half an hour), an abort without a reason (any other is slept through), the token always named
 * (else an OIDC token in the environment wins), errors told apart by class (they all have the same name).
 * Errors leave here mapped to BlobError: no name of a file travels further.
 */
import {
  BlobAccessError,
  BlobFileTooLargeError,
  BlobNotFoundError,
  BlobPreconditionFailedError,
  BlobRequestAbortedError,
  BlobServiceNotAvailable,
  BlobServiceRateLimited,
  BlobStoreNotFoundError,
  BlobStoreSuspendedError,
  BlobUnknownError,
  BlobError as ClientError,
  completeMultipartUpload,
  createMultipartUpload,
  del,
  head,
  list,
  put,
  uploadPart,
} from '@vercel/blob';
import { BlobError } from './errors';

export interface StoredFile {
  readonly pathname: string;
  readonly url: string;
  readonly bytes: number;
  readonly uploadedAt: Date;
  readonly etag: string;
}

interface Listing {
  readonly files: readonly StoredFile[];
  /** Null: this was the last page. */
  readonly cursor: string | null;
}

interface Found extends StoredFile, Omit<Streamed, 'content'> {
  readonly downloadUrl: string;
}

/** A shorter time limit for the answer, when a deadline is near. */
interface InTime {
  readonly timeoutMs?: number;
}

export interface Blob {
  /** What stands before the pathname in the URLs of this store. */
  readonly bases: readonly string[];
  put(
    pathname: string,
    body: string | Buffer,
    options?: PutOptions,
  ): Promise<{ url: string; pathname: string }>;
  /** Null when there is no such file. */
  head(urlOrPathname: string, options?: InTime): Promise<StoredFile | null>;
  /** A name that does not exist is not an error. With `ifMatch` one name only; throws `changed` if another file has it now. */
  del(urlsOrPathnames: readonly string[], options?: InTime & { ifMatch?: string }): Promise<void>;
  /** In the order of the pathnames, `limit` at most (1,000 is the store's own maximum). */
  list(options: InTime & { prefix?: string; cursor?: string | null; limit?: number }): Promise<Listing>;
  /** The content; null when there is no such file. */
  get(urlOrPathname: string): Promise<Buffer | null>;
  /** The content as it arrives; null when there is no such file. */
  stream(urlOrPathname: string): Promise<Streamed | null>;
  /** Begins a file that is sent in parts, in their order; it is there once it is completed. */
  upload(pathname: string, options?: PutOptions): Promise<Upload>;
}

/** A file on its way, with what is needed to write it like this again. */
export interface Streamed {
  readonly access: 'public' | 'private';
  readonly contentType: string;
  readonly content: AsyncIterable<Uint8Array>;
}

/** Each part but the last has at least MULTIPART_BYTES. */
interface Upload {
  part(body: Buffer): Promise<void>;
  complete(): Promise<void>;
}
/** The least the store takes as a part of a larger file. */
export const MULTIPART_BYTES = 5 * 1024 * 1024;

interface PutOptions {
  readonly access?: 'public' | 'private';
  readonly overwrite?: boolean;
  readonly contentType?: string;
}

/** A request about one file: Blob answers in tens of milliseconds; after five seconds we treat it as down. */
export const HEAD_TIMEOUT_MS = 5_000;
/** A hundred files in one call: a hold placed while it runs waits for it. */
const DELETE_TIMEOUT_MS = 5_000;
/** A page of a thousand. */
const LIST_TIMEOUT_MS = 10_000;
/** A file's content on its way. */
const TRANSFER_TIMEOUT_MS = 60_000;

export function connectBlob(token: string): Blob {
  const find = (name: string, options: InTime = {}): Promise<Found> =>
    withTimeout(within(HEAD_TIMEOUT_MS, options), async (abortSignal) => {
      const found = await head(name, { token, abortSignal });
      const access = /^https:\/\/[^/]+\.private\./.test(found.url) ? 'private' : 'public';
      return { ...stored(found), downloadUrl: found.downloadUrl, access, contentType: found.contentType };
    });
  return {
    bases: basesOf(token),
    put: (pathname, body, options = {}) =>
      withTimeout(TRANSFER_TIMEOUT_MS, async (abortSignal) => {
        const { url, pathname: at } = await put(pathname, body, { ...written(token, options), abortSignal });
        return { url, pathname: at };
      }),
    head: (name, options) => orNull(find(name, options)),
    del: (names, options = {}) =>
      withTimeout(within(DELETE_TIMEOUT_MS, options), (abortSignal) =>
        del(names.length === 1 ? names[0]! : [...names], {
          token,
          abortSignal,
          ...(options.ifMatch ? { ifMatch: options.ifMatch } : {}),
        }),
      ),
    list: (options) =>
      withTimeout(within(LIST_TIMEOUT_MS, options), async (abortSignal) => {
        const page = await list({
          token,
          abortSignal,
          limit: options.limit ?? 1_000,
          ...(options.prefix ? { prefix: options.prefix } : {}),
          ...(options.cursor ? { cursor: options.cursor } : {}),
        });
        return { files: page.blobs.map(stored), cursor: page.hasMore ? (page.cursor ?? null) : null };
      }),
    // The client's own get() knows only Vercel's hosts; the address returned by the store itself works everywhere.
    get: async (name) => {
      const found = await orNull(find(name));
      if (!found) return null;
      return withTimeout(TRANSFER_TIMEOUT_MS, async (signal) => {
        const answer = await fetch(found.downloadUrl, {
          signal,
          headers: { authorization: `Bearer ${token}` },
        });
        if (answer.status === 404) return null;
        if (!answer.ok) throw answeredWith(answer.status);
        return Buffer.from(await answer.arrayBuffer());
      });
    },
    stream: async (name) => {
      const found = await orNull(find(name));
      return found && { ...found, content: streamed(found.downloadUrl, token) };
    },
    upload: (pathname, options = {}) => startUpload(pathname, written(token, options)),
  };
}

const written = (token: string, { access, overwrite, contentType }: PutOptions) => ({
  token,
  access: access ?? ('private' as const),
  allowOverwrite: overwrite ?? false,
  ...(contentType ? { contentType } : {}),
});

/** The time limit is for each piece: a large file may take as long as it keeps arriving. */
async function* streamed(url: string, token: string): AsyncGenerator<Uint8Array> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(), TRANSFER_TIMEOUT_MS);
  };
  try {
    wait();
    const { signal } = controller;
    const answer = await fetch(url, { signal, headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok || !answer.body) throw answeredWith(answer.status);
    for await (const piece of answer.body) {
      wait();
      yield piece;
    }
  } catch (error) {
    throw mapBlobError(error);
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

const answeredWith = (status: number): BlobError =>
  new BlobError(
    status >= 500 ? 'transient' : status === 404 ? 'not_found' : 'refused',
    `the store answered HTTP ${status}`,
  );

async function startUpload(pathname: string, options: ReturnType<typeof written>): Promise<Upload> {
  const { key, uploadId } = await withTimeout(HEAD_TIMEOUT_MS, (abortSignal) =>
    createMultipartUpload(pathname, { ...options, abortSignal }),
  );
  const parts: { etag: string; partNumber: number }[] = [];
  return {
    part: (body) =>
      withTimeout(TRANSFER_TIMEOUT_MS, async (abortSignal) => {
        const partNumber = parts.length + 1;
        parts.push(await uploadPart(pathname, body, { ...options, abortSignal, key, uploadId, partNumber }));
      }),
    complete: () =>
      withTimeout(TRANSFER_TIMEOUT_MS, async (abortSignal) => {
        await completeMultipartUpload(pathname, parts, { ...options, abortSignal, key, uploadId });
      }),
  };
}

const within = (usual: number, { timeoutMs }: InTime): number =>
  Math.max(1, Math.min(usual, timeoutMs ?? usual));

/** `vercel_blob_rw_<store>_<secret>`: a store's files live at two hosts named after it. */
function basesOf(token: string): string[] {
  const store = /^vercel_blob_rw_([^_]+)_/.exec(token)?.[1];
  if (!store) return [];
  // Host names ignore case, but rows hold the URL as it was written.
  return [...new Set([store, store.toLowerCase()])].flatMap((s) =>
    ['public', 'private'].map((access) => `https://${s}.${access}.blob.vercel-storage.com/`),
  );
}

/** Hosts of the store, in lower case: a URL of any other names no file of ours. */
export const hostsOf = (bases: readonly string[]): string[] => [
  ...new Set(bases.map((base) => new URL(base).host)),
];

const stored = (b: {
  pathname: string;
  url: string;
  size: number;
  uploadedAt: Date;
  etag?: string;
}): StoredFile => ({
  pathname: b.pathname,
  url: b.url,
  bytes: b.size,
  uploadedAt: new Date(b.uploadedAt),
  etag: b.etag ?? '',
});

async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof BlobError && error.failure === 'not_found') return null;
    throw error;
  }
}

async function withTimeout<T>(timeoutMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  // Read by the client at each call; the outbox backs off, across runs.
  process.env.VERCEL_BLOB_RETRIES = '0';
  const controller = new AbortController();
  // Without a reason: the only kind of abort that the client recognizes.
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  try {
    return await call(controller.signal);
  } catch (error) {
    throw mapBlobError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Every class has the name `Error`: only `instanceof` tells them apart (PLATFORM §D4). */
function mapBlobError(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  if (error instanceof BlobNotFoundError) return new BlobError('not_found', 'the store has no such file');
  if (error instanceof BlobPreconditionFailedError)
    return new BlobError('changed', 'the file has been written again');
  if (error instanceof BlobServiceRateLimited) {
    return new BlobError(
      'transient',
      'the store asks to slow down',
      error.retryAfter > 0 ? error.retryAfter : null,
    );
  }
  if (error instanceof BlobRequestAbortedError)
    return new BlobError('transient', 'the store did not answer in time');
  if (error instanceof BlobServiceNotAvailable || error instanceof BlobUnknownError) {
    return new BlobError('transient', 'the store is not available');
  }
  if (error instanceof BlobAccessError) {
    return new BlobError('fatal', 'the store refuses the token; check BLOB_READ_WRITE_TOKEN');
  }
  if (error instanceof BlobStoreNotFoundError || error instanceof BlobStoreSuspendedError) {
    return new BlobError(
      'fatal',
      'the store does not exist or is suspended; check BLOB_READ_WRITE_TOKEN and the billing of the store',
    );
  }
  if (error instanceof BlobFileTooLargeError || error instanceof ClientError) {
    return new BlobError('refused', 'the store refuses this request');
  }
  // fetch itself failed, or the answer is not JSON: what happened is unknown.
  return new BlobError(
    'transient',
    `no answer from the store (${error instanceof Error ? error.name : typeof error})`,
  );
}
