/**
 * Writes an export: JSON lines by table and the files, each with its SHA-256 in a manifest (lib/files/archive), and then all of
 * it as one tar in the private store, which is what a link fetches. Streaming throughout: a piece of each is in memory, and
 * the names of its files. What is left when it stops in between is written over by the next attempt.
 */
import { type Pack, pack as startTar } from 'tar-stream';
import { manifestPath } from '../../files/archive/manifest';
import { readStream, writeStream } from '../../files/archive/store';
import { type Written, writeArchive } from '../../files/archive/write';
import type { Blob } from '../../platform/blob';
import { RequestError } from '../../platform/errors';
import { asking, readingOnly } from '../../platform/session';
import type { Services } from '../../services';
import { writeFile } from '../tar';
import { archivedAbout } from './archived';
import { type Held, heldAbout } from './holdings';
import { countOthers, type Paging, rowsOf } from './rows';
import type { Complete, Export } from './store';

const FOLDER = 'lapse/exports/';
/** More than a person has; their names stay in memory while they are copied. */
const MOST_FILES = 10_000;
/** Kept back for the tar's last part and the record. */
const CLOSING_MS = 10_000;

export const prefixOf = ({ settings }: Pick<Services, 'settings'>, id: string): string =>
  `${FOLDER}${settings.namespace}/${id}/`;
export const tarPath = (prefix: string): string => `${prefix}export.tar`;

/** Throws RequestError `export_time` when there is not enough time: the next attempt begins again. */
export async function pack(
  services: Services & { readonly blob: Blob },
  asked: Export,
  deadline: Date | null,
): Promise<Complete> {
  const held = await heldAbout(services, { scope: asked.scope, id: asked.subject });
  const inTime = () => {
    if (deadline && deadline.getTime() - services.clock().getTime() < CLOSING_MS) throw outOfTime(asked.id);
  };
  const paging: Paging = { reading: readingOnly(asking(services.database)), inTime };
  const prefix = prefixOf(services, asked.id);
  const store = { blob: services.blob, backoff: services.backoff };
  const files = await ownFiles(services, held, inTime);
  const others: Record<string, number> = {};
  for (const h of held.holdings) {
    const n = await countOthers(paging, h);
    if (n > 0) others[h.label] = n;
  }
  // The files that rows name are known once all rows were read; they are in the list before it is looked at.
  const named = await namedFiles(paging, held, files);
  const archived = await archivedAbout(services, store, held.subject, inTime);
  for await (const path of archived.files()) add(named, path);
  const written = await writeArchive(store, {
    id: asked.id,
    prefix,
    createdAt: services.clock(),
    about: about(held, others),
    tables: [
      ...held.holdings.map((h) => ({ table: h.label, columns: h.columns, lines: linesOf(paging, h) })),
      ...archived.tables.map((t) => ({ ...t, lines: t.lines() })),
    ],
    files: [...named],
  });
  const { bytes } = await writeStream(store, tarPath(prefix), tarOf(services, prefix, written, inTime));
  await drop(services, partsOf(prefix, written));
  return {
    prefix,
    sha256: written.sha256,
    rows: written.manifest.tables.reduce((n, t) => n + t.rows, 0),
    files: written.manifest.files.length,
    bytes,
  };
}

const outOfTime = (id: string): RequestError =>
  new RequestError(
    409,
    'export_time',
    `there is more than one call has time for: as who may read the environment, run npm run subject:export -- --id ${id}, which takes as long as it takes`,
  );

const about = (held: Held, others: Record<string, number>) => ({
  what: 'Everything that is held about one subject, as the data map of this installation reaches it.',
  how: 'Each table is gzip-compressed JSON Lines, one row a line; files lie below files/, and the manifest says where each came from.',
  subject: held.subject,
  leftOutAsOthers: others,
  ...(held.unread.length > 0 ? { withoutKey: held.unread } : {}),
});

async function* linesOf(paging: Paging, holding: Held['holdings'][number]): AsyncGenerator<string> {
  for await (const { line } of rowsOf(paging, holding)) yield line;
}

/** Below the folders that are the subject's. */
async function ownFiles(
  { blob }: { readonly blob: Blob },
  { prefixes }: Held,
  inTime: () => void,
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const prefix of prefixes) {
    let cursor: string | null = null;
    do {
      inTime();
      const page = await blob.list({ prefix, cursor });
      for (const { pathname } of page.files) add(found, pathname);
      cursor = page.cursor;
    } while (cursor !== null);
  }
  return found;
}

async function namedFiles(paging: Paging, { holdings }: Held, found: Set<string>): Promise<Set<string>> {
  for (const holding of holdings.filter((h) => h.files.length > 0)) {
    for await (const { files } of rowsOf(paging, holding)) for (const path of files) add(found, path);
  }
  return found;
}

function add(found: Set<string>, path: string): void {
  found.add(path);
  if (found.size <= MOST_FILES) return;
  throw new RequestError(
    409,
    'too_many_files',
    `more than ${MOST_FILES} files are held about this subject, more than one export can name: copy the files by hand`,
  );
}

const partsOf = (prefix: string, { manifest }: Written): string[] => [
  ...manifest.tables.map((t) => prefix + t.path),
  ...manifest.files.map((f) => prefix + f.path),
  manifestPath(prefix),
];

interface Member {
  readonly path: string;
  readonly bytes: number;
}

/** The manifest first, so that who reads the beginning knows what follows. */
async function* tarOf(
  services: Services & { readonly blob: Blob },
  prefix: string,
  { manifest }: Written,
  inTime: () => void,
): AsyncGenerator<Uint8Array> {
  const index = { path: 'manifest.json', bytes: Buffer.byteLength(JSON.stringify(manifest)) };
  const members: Member[] = [index, ...manifest.tables, ...manifest.files];
  const tar = startTar();
  const written = fill(services, tar, prefix, members, inTime).catch((error: unknown) =>
    tar.destroy(error instanceof Error ? error : new Error('failed')),
  );
  try {
    yield* tar as AsyncIterable<Uint8Array>;
  } finally {
    // Who reads no further ends the writing too.
    tar.destroy();
    await written;
  }
}

async function fill(
  { blob, backoff, clock }: Services & { readonly blob: Blob },
  tar: Pack,
  prefix: string,
  members: readonly Member[],
  inTime: () => void,
): Promise<void> {
  const mtime = clock();
  for (const { path, bytes: size } of members) {
    inTime();
    const pieces = readStream({ blob, backoff }, prefix + path);
    if (!(await writeFile(tar, { name: path, size, mtime }, pieces))) return;
  }
  tar.finalize();
}

/** A hundred a call: what the store takes at once. */
const AT_ONCE = 100;

async function drop({ blob }: { readonly blob: Blob }, paths: readonly string[]): Promise<void> {
  for (let i = 0; i < paths.length; i += AT_ONCE) await blob.del(paths.slice(i, i + AT_ONCE));
}

/** Everything of one export, also what an attempt that died has left. */
export async function dropAll(services: Services & { readonly blob: Blob }, id: string): Promise<void> {
  const prefix = prefixOf(services, id);
  for (;;) {
    const { files } = await services.blob.list({ prefix, limit: AT_ONCE });
    if (files.length === 0) return;
    await services.blob.del(files.map((f) => f.pathname));
  }
}
