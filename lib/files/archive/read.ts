/** Reads an archive back. A line is believed when all of its table has been read and has the hash of the manifest. */
import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { ArchiveError, BlobError } from '../../platform/errors';
import { type Manifest, manifestPath, type Part, parsedManifest } from './manifest';
import { type ArchiveStore, readStream, readWhole } from './store';

/** Throws ArchiveError when it is missing, or not the one of that hash. */
export const readManifest = async (store: ArchiveStore, prefix: string, sha256: string): Promise<Manifest> =>
  parsedManifest(await readWhole(store, manifestPath(prefix)), sha256);

/** The lines of one table, in their order. Throws ArchiveError at the end when they are not what was written. */
export async function* linesOf(store: ArchiveStore, prefix: string, part: Part): AsyncGenerator<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of readStream(store, prefix + part.path)) {
      hash.update(chunk);
      bytes += chunk.byteLength;
      yield chunk;
    }
  }
  let rows = 0;
  try {
    for await (const line of split(unzipped(hashed()))) {
      rows += 1;
      yield line;
    }
  } catch (error) {
    if (error instanceof BlobError || error instanceof ArchiveError) throw error;
    throw damaged(part, { cause: error });
  }
  if (rows !== part.rows || bytes !== part.bytes || hash.digest('hex') !== part.sha256) throw damaged(part);
}

const unzipped = (source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
  pipeline(Readable.from(source), createGunzip(), () => {
    // The reader of the last stage gets the error.
  });

async function* split(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of chunks) {
    const found = (rest + decoder.write(Buffer.from(chunk))).split('\n');
    rest = found.pop()!;
    yield* found;
  }
  if (rest !== '') yield rest;
}

const damaged = ({ table }: Part, options?: ErrorOptions): ArchiveError =>
  new ArchiveError('damaged', `the archived rows of ${table} are not what was written`, options);
