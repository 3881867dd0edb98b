/**
 * How archives reach the store and come back: privately, piece by piece, each request again while it may pass. A name below
 * an archive's prefix has one writer, so what may have been written by a lost request is written over.
 */
import { createHash } from 'node:crypto';
import pRetry from 'p-retry';
import { type Blob, MULTIPART_BYTES, type Streamed } from '../../platform/blob';
import type { Backoff } from '../../platform/context';
import { ArchiveError, BlobError } from '../../platform/errors';

export interface ArchiveStore {
  readonly blob: Blob;
  readonly backoff: Backoff;
}

/** What passed through, and its SHA-256. */
export interface Measured {
  readonly bytes: number;
  readonly sha256: string;
}

const isPassing = (error: unknown): boolean => error instanceof BlobError && error.failure === 'transient';

/** Again while it may pass. */
export const patiently = <T>({ backoff }: ArchiveStore, work: () => Promise<T>): Promise<T> =>
  pRetry(work, { ...backoff, shouldRetry: ({ error }) => isPassing(error) });

/** How a file is written: privately unless said otherwise. */
export type Writing = Parameters<Blob['put']>[2];
const PRIVATE: Writing = { access: 'private', overwrite: true };

export async function writePiece(
  store: ArchiveStore,
  pathname: string,
  body: Buffer,
  writing: Writing = PRIVATE,
): Promise<void> {
  await patiently(store, () => store.blob.put(pathname, body, writing));
}

/** Writes a file of any length, holding one piece of it at a time. */
export async function writeStream(
  store: ArchiveStore,
  pathname: string,
  chunks: AsyncIterable<Uint8Array>,
  writing: Writing = PRIVATE,
): Promise<Measured> {
  const hash = createHash('sha256');
  let bytes = 0;
  let upload: Awaited<ReturnType<Blob['upload']>> | null = null;
  let waiting: Uint8Array[] = [];
  let size = 0;
  const send = async (): Promise<void> => {
    const body = Buffer.concat(waiting);
    [waiting, size] = [[], 0];
    upload ??= await patiently(store, () => store.blob.upload(pathname, writing));
    const under = upload;
    await patiently(store, () => under.part(body));
  };
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.byteLength;
    waiting.push(chunk);
    size += chunk.byteLength;
    if (size > MULTIPART_BYTES) await send();
  }
  if (upload === null) await writePiece(store, pathname, Buffer.concat(waiting), writing);
  else await endUpload(store, upload, size > 0 ? send : null);
  return { bytes, sha256: hash.digest('hex') };
}

async function endUpload(
  store: ArchiveStore,
  upload: Awaited<ReturnType<Blob['upload']>>,
  last: (() => Promise<void>) | null,
): Promise<void> {
  await last?.();
  await patiently(store, () => upload.complete());
}

/** Throws ArchiveError when there is no such file. */
export async function readWhole(store: ArchiveStore, pathname: string): Promise<Buffer> {
  const content = await patiently(store, () => store.blob.get(pathname));
  if (content === null) throw missing();
  return content;
}

/** Throws ArchiveError when there is no such file. */
export async function open(store: ArchiveStore, pathname: string): Promise<Streamed> {
  const found = await patiently(store, () => store.blob.stream(pathname));
  if (found === null) throw missing();
  return found;
}

/** The content as it arrives. Throws ArchiveError when there is no such file. */
export async function* readStream(store: ArchiveStore, pathname: string): AsyncGenerator<Uint8Array> {
  yield* (await open(store, pathname)).content;
}

/** Reads all of a file. Throws ArchiveError when there is none. */
export const measure = (store: ArchiveStore, pathname: string): Promise<Measured> =>
  patiently(store, async () => {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of readStream(store, pathname)) {
      hash.update(chunk);
      bytes += chunk.byteLength;
    }
    return { bytes, sha256: hash.digest('hex') };
  });

const missing = (): ArchiveError => new ArchiveError('missing', 'a file of the archive is not in the store');
