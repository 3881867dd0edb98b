/** An archive, whatever is in it: what is written comes back, and what is not what was written is never believed. */
import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ArchivedFile, manifestPath } from '@/lib/files/archive/manifest';
import { linesOf } from '@/lib/files/archive/read';
import type { ArchiveStore } from '@/lib/files/archive/store';
import { validateArchive } from '@/lib/files/archive/validate';
import { type ArchiveSource, putBack, type Written, writeArchive } from '@/lib/files/archive/write';
import { connectBlob } from '@/lib/platform/blob';
import { ArchiveError, BlobError } from '@/lib/platform/errors';
import { type PrivateCloud, privateCloud } from '../../support/cloud';

let cloud: PrivateCloud;
let store: ArchiveStore;
beforeEach(async () => {
  cloud = await privateCloud();
  cloud.useBlob();
  const blob = connectBlob(cloud.env('none').BLOB_READ_WRITE_TOKEN!);
  const backoff = { retries: 3, minTimeout: 1, maxTimeout: 2, factor: 1, randomize: false };
  store = { blob, backoff };
});
afterEach(() => cloud.stop());

const PREFIX = 'archives/things/a/';
const columns = [{ name: 'id', type: 'uuid' }];
const lines = (n: number): string[] =>
  Array.from({ length: n }, (_, i) => JSON.stringify({ id: i, text: `Käse 🧀 ${i}` }));
const source = (changes: Partial<ArchiveSource> = {}): ArchiveSource => ({
  id: 'a',
  prefix: PREFIX,
  createdAt: new Date('2026-03-01T00:00:00Z'),
  about: { policy: 'things' },
  tables: [{ table: 'public.things', columns, lines: lines(3) }],
  files: [],
  ...changes,
});

async function readBack({ manifest }: Written, table = 0): Promise<string[]> {
  const all: string[] = [];
  for await (const line of linesOf(store, PREFIX, manifest.tables[table]!)) all.push(line);
  return all;
}
const failing = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );
const overwrite = (path: string, body: Buffer) =>
  cloud.blob.put(path, body, { access: 'private', allowOverwrite: true });
const content = (path: string): Promise<Buffer> => cloud.blob.read(cloud.blob.head(path)!);

it('is compressed JSON Lines in private files, with a manifest that names each', async () => {
  const written = await writeArchive(store, source());
  const [part] = written.manifest.tables;
  expect(part).toMatchObject({ table: 'public.things', columns, rows: 3 });
  expect(gunzipSync(await content(PREFIX + part!.path)).toString()).toBe(`${lines(3).join('\n')}\n`);
  expect([...cloud.blob.all(PREFIX)].map((b) => b.access)).toEqual(['private', 'private']);
  expect(await validateArchive(store, PREFIX, written.sha256)).toEqual(written.manifest);
  expect(await readBack(written)).toEqual(lines(3));
});

it('brings back many tables of any length, one piece in memory at a time', async () => {
  // Of what does not compress, more than two parts of a large file.
  const large = Array.from({ length: 180 }, () => JSON.stringify(randomBytes(60_000).toString('base64')));
  async function* streamed() {
    yield* large;
  }
  const tables = [
    { table: 'public.large', columns, lines: streamed() },
    { table: 'public.none', columns, lines: [] },
  ];
  const written = await writeArchive(store, source({ tables }));
  expect(written.manifest.tables.map((t) => t.rows)).toEqual([180, 0]);
  expect(written.manifest.tables[0]!.bytes).toBeGreaterThan(2 * 5 * 1024 * 1024);
  await validateArchive(store, PREFIX, written.sha256);
  expect(await readBack(written)).toEqual(large);
  expect(await readBack(written, 1)).toEqual([]);
});

it('copies files byte for byte and says which were missing', async () => {
  const bytes = randomBytes(3_000);
  await cloud.blob.put('pictures/a.png', bytes, { access: 'public' });
  const written = await writeArchive(store, source({ files: ['pictures/a.png', 'pictures/gone.png'] }));
  expect(written.manifest.files).toMatchObject([
    { from: 'pictures/a.png', path: 'files/0', bytes: 3_000, access: 'public', contentType: 'image/png' },
  ]);
  expect(written.manifest.missing).toEqual(['pictures/gone.png']);
  expect(await content(`${PREFIX}files/0`)).toEqual(bytes);
  expect(cloud.blob.head(`${PREFIX}files/0`)!.access).toBe('private');
});

it('gives a file back as it was, and never writes over another', async () => {
  await cloud.blob.put('pictures/a.png', randomBytes(10), { access: 'public' });
  const before = await content('pictures/a.png');
  const { manifest } = await writeArchive(store, source({ files: ['pictures/a.png'] }));
  const file = manifest.files[0] as ArchivedFile;
  expect(await putBack(store, PREFIX, file)).toBe('there');
  await cloud.blob.delete(['pictures/a.png']);
  expect(await putBack(store, PREFIX, file)).toBe('restored');
  expect(await content('pictures/a.png')).toEqual(before);
  expect(cloud.blob.head('pictures/a.png')).toMatchObject({ access: 'public', contentType: 'image/png' });
  await cloud.blob.put('pictures/a.png', Buffer.from('another'), { access: 'public', allowOverwrite: true });
  expect(await putBack(store, PREFIX, file)).toBe('conflict');
  expect((await content('pictures/a.png')).toString()).toBe('another');
});

it('gives a file back once when the answer is lost, and not at all when the copy was changed', async () => {
  await cloud.blob.put('pictures/a.png', randomBytes(10), { access: 'public' });
  const { manifest } = await writeArchive(store, source({ files: ['pictures/a.png'] }));
  const file = manifest.files[0] as ArchivedFile;
  await cloud.blob.delete(['pictures/a.png']);
  let puts = 0;
  cloud.setFaults(({ method }) => {
    puts += Number(method === 'PUT');
    return method === 'PUT' && puts === 1 ? { kind: 'drop-after' } : undefined;
  });
  expect(await putBack(store, PREFIX, file)).toBe('there');
  cloud.setFaults(undefined);
  await overwrite(`${PREFIX}files/0`, Buffer.from('another'));
  await cloud.blob.delete(['pictures/a.png']);
  expect(await failing(putBack(store, PREFIX, file))).toBeInstanceOf(ArchiveError);
  expect(cloud.blob.head('pictures/a.png')).toBeUndefined();
});

it.each<[string, (w: Written) => Promise<unknown>, string]>([
  ['a line changed', ({ manifest }) => damage(PREFIX + manifest.tables[0]!.path, 30), 'damaged'],
  [
    'a byte changed that unpacks to the same',
    ({ manifest }) => damage(PREFIX + manifest.tables[0]!.path, 9),
    'damaged',
  ],
  ['the end cut off', ({ manifest }) => cut(PREFIX + manifest.tables[0]!.path), 'damaged'],
  ['a file changed', () => damage(`${PREFIX}files/0`, 3), 'damaged'],
  ['the manifest changed', () => damage(manifestPath(PREFIX), 20), 'damaged'],
  ['no manifest', () => cloud.blob.delete([manifestPath(PREFIX)]), 'missing'],
  ['a table missing', ({ manifest }) => cloud.blob.delete([PREFIX + manifest.tables[0]!.path]), 'missing'],
  ['a file missing', () => cloud.blob.delete([`${PREFIX}files/0`]), 'missing'],
])('is not valid with %s', async (_, harm, failure) => {
  await cloud.blob.put('pictures/a.png', randomBytes(10), { access: 'private' });
  const written = await writeArchive(store, source({ files: ['pictures/a.png'] }));
  await harm(written);
  expect(await failing(validateArchive(store, PREFIX, written.sha256))).toMatchObject({
    name: 'ArchiveError',
    failure,
  });
});

async function damage(path: string, at: number): Promise<void> {
  const body = Buffer.from(await content(path));
  body[at]! ^= 1;
  await overwrite(path, body);
}
async function cut(path: string): Promise<void> {
  const body = await content(path);
  await overwrite(path, body.subarray(0, body.length - 5));
}

it('is written through a store that drops requests and answers', async () => {
  cloud.setFaults(({ n }) =>
    n % 5 === 0 ? { kind: 'drop-before' } : n % 7 === 0 ? { kind: 'drop-after' } : undefined,
  );
  const written = await writeArchive(store, source());
  await validateArchive(store, PREFIX, written.sha256);
  cloud.setFaults(undefined);
  expect(await readBack(written)).toEqual(lines(3));
});

it('is not there when the store refuses any part of it', async () => {
  for (const refused of [1, 2]) {
    cloud.setFaults(({ n }) =>
      n === refused ? { kind: 'refuse', status: 403, code: 'forbidden' } : undefined,
    );
    expect(await failing(writeArchive(store, source()))).toBeInstanceOf(BlobError);
    expect(cloud.blob.head(manifestPath(PREFIX))).toBeUndefined();
  }
});

it('is not given back when the store refuses to take it', async () => {
  await cloud.blob.put('pictures/a.png', randomBytes(10), { access: 'public' });
  const { manifest } = await writeArchive(store, source({ files: ['pictures/a.png'] }));
  await cloud.blob.delete(['pictures/a.png']);
  cloud.setFaults(({ method }) =>
    method === 'PUT' ? { kind: 'refuse', status: 403, code: 'forbidden' } : undefined,
  );
  expect(await failing(putBack(store, PREFIX, manifest.files[0]!))).toMatchObject({ code: 'blob.fatal' });
});
