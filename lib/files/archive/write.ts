/**
 * Load: writes an archive into the private store, table after table and file after file, and its manifest last. Nothing
 * of it is held in memory as a whole. What is left when it stops in between has no manifest, and is no archive.
 */
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import pMap from 'p-map';
import { ArchiveError, BlobError } from '../../platform/errors';
import { type ArchivedFile, type Column, hashOf, type Manifest, manifestPath, type Part } from './manifest';
import {
  type ArchiveStore,
  type Measured,
  measure,
  open,
  patiently,
  readStream,
  writePiece,
  writeStream,
} from './store';

/** One table of an archive: each line is JSON without a line break. */
interface TableSource {
  readonly table: string;
  readonly columns: readonly Column[];
  readonly oid?: string;
  readonly lines: AsyncIterable<string> | Iterable<string>;
}

export interface ArchiveSource {
  readonly id: string;
  /** Ends in a slash; nobody else writes below it. */
  readonly prefix: string;
  readonly createdAt: Date;
  readonly about: Readonly<Record<string, unknown>>;
  readonly tables: readonly TableSource[];
  /** Each once; read when all tables are written. */
  readonly files: readonly FileSource[];
}

/** A file by its pathname, or a copy of it that another archive holds. */
type FileSource = string | { readonly prefix: string; readonly copy: ArchivedFile };
const nameOf = (file: FileSource): string => (typeof file === 'string' ? file : file.copy.from);

export interface Written {
  readonly prefix: string;
  readonly manifest: Manifest;
  /** SHA-256 of the manifest as it lies in the store: by it the archive is read again. */
  readonly sha256: string;
}

/** Calls at once: enough to hide the store's answer time, few enough that memory holds a piece of each. */
const AT_ONCE = 8;
/** Half the time of the usual level 6, for 4 % more bytes of such lines. */
const LEVEL = 3;
/** Lines are handed to the compressor in pieces of this size: one by one costs more than compressing. */
const PIECE = 64 * 1024;

/** Throws BlobError when the store does not take it. */
export async function writeArchive(store: ArchiveStore, source: ArchiveSource): Promise<Written> {
  const { prefix, id, createdAt, about } = source;
  const tables: Part[] = [];
  for (const [i, table] of source.tables.entries()) tables.push(await writeTable(store, prefix, table, i));
  const { files } = source;
  const copied = await pMap(files, (from, i) => copyFile(store, from, `${prefix}files/${i}`), {
    concurrency: AT_ONCE,
  });
  const manifest: Manifest = {
    format: 'lapse.archive/1',
    id,
    createdAt: createdAt.toISOString(),
    about: { ...about },
    tables,
    files: copied.flatMap((file, i) =>
      file ? [{ from: nameOf(files[i]!), path: `files/${i}`, ...file }] : [],
    ),
    missing: files.filter((_, i) => copied[i] === null).map(nameOf),
  };
  return { prefix, manifest, sha256: await writeManifest(store, prefix, manifest) };
}

async function writeManifest(store: ArchiveStore, prefix: string, manifest: Manifest): Promise<string> {
  const content = Buffer.from(JSON.stringify(manifest));
  await writePiece(store, manifestPath(prefix), content);
  return hashOf(content);
}

/** Writes one table as gzip-compressed JSON Lines. */
async function writeTable(
  store: ArchiveStore,
  prefix: string,
  { table, columns, oid, lines }: TableSource,
  place: number,
): Promise<Part> {
  const path = `${place}-${table.replace(/[^A-Za-z0-9_.-]/g, '_')}.jsonl.gz`;
  let rows = 0;
  async function* pieces(): AsyncGenerator<string> {
    let piece = '';
    for await (const line of lines) {
      rows += 1;
      piece += `${line}\n`;
      if (piece.length >= PIECE) {
        yield piece;
        piece = '';
      }
    }
    if (piece !== '') yield piece;
  }
  const written: Measured[] = [];
  await pipeline(pieces, createGzip({ level: LEVEL }), async (zipped: AsyncIterable<Uint8Array>) => {
    written.push(await writeStream(store, prefix + path, zipped));
  });
  return { table, columns: [...columns], ...(oid === undefined ? {} : { oid }), path, rows, ...written[0]! };
}

/** The file's copy, byte for byte; null when there is no such file, at the second look too. */
async function copyFile(
  store: ArchiveStore,
  from: FileSource,
  to: string,
): Promise<Omit<ArchivedFile, 'from' | 'path'> | null> {
  if (typeof from !== 'string') {
    const { access, contentType, path } = from.copy;
    return { ...(await writeStream(store, to, readStream(store, from.prefix + path))), access, contentType };
  }
  for (let look = 1; ; look += 1) {
    try {
      const { access, contentType, content } = await open(store, from);
      return { ...(await writeStream(store, to, content)), access, contentType };
    } catch (error) {
      if (!(error instanceof ArchiveError && error.failure === 'missing')) throw error;
      if (look === 2) return null;
    }
  }
}

/** Brings a copy back to where its file lay; a file that is there is never written over. */
export async function putBack(
  store: ArchiveStore,
  prefix: string,
  { from, path, sha256, access, contentType }: ArchivedFile,
): Promise<'restored' | 'there' | 'conflict'> {
  const copy = await measure(store, prefix + path);
  if (copy.sha256 !== sha256) throw new ArchiveError('damaged', 'the copy of a file is not what was written');
  const isThere = (await patiently(store, () => store.blob.head(from))) !== null;
  if (!isThere && (await writtenAnew(store, from, readStream(store, prefix + path), { access, contentType })))
    return 'restored';
  return (await measure(store, from)).sha256 === sha256 ? 'there' : 'conflict';
}

/** False: the name was taken, perhaps by this very request, whose answer was lost. */
async function writtenAnew(
  store: ArchiveStore,
  pathname: string,
  content: AsyncIterable<Uint8Array>,
  how: Pick<ArchivedFile, 'access' | 'contentType'>,
): Promise<boolean> {
  try {
    await writeStream(store, pathname, content, { ...how, overwrite: false });
    return true;
  } catch (error) {
    if (error instanceof BlobError && error.failure === 'refused') return false;
    throw error;
  }
}
