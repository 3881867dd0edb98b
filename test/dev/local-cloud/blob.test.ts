import * as client from '@vercel/blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PrivateCloud, privateCloud } from '../../support/cloud';
import '@/lib/dev/local-cloud/preload.mjs';

let cloud: PrivateCloud;
let now = Date.UTC(2026, 0, 1);

beforeAll(async () => {
  cloud = await privateCloud({ contents: 'files', clock: () => now, maxBlobDeletes: 100 });
  cloud.useBlob();
});
afterAll(() => cloud.stop());

let count = 0;
/** Every test in a folder of its own. */
const folder = () => `test-${++count}`;
const put = (
  pathname: string,
  body: string | Buffer = pathname,
  options: Partial<client.PutCommandOptions> = {},
) => client.put(pathname, body, { access: 'private', ...options });
const names = (page: { blobs: { pathname: string }[] }) => page.blobs.map((b) => b.pathname);
const text = async (pathname: string, access: 'public' | 'private' = 'private') => {
  const found = await client.get(pathname, { access });
  return found?.statusCode === 200 ? new Response(found.stream as ReadableStream).text() : null;
};

describe('a file', () => {
  it('comes back as it went in, with its type, size, time and address', async () => {
    const path = `${folder()}/a b/é.pdf`;
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 256));
    const stored = await put(path, bytes, { cacheControlMaxAge: 120 });
    expect(stored).toMatchObject({ pathname: path, contentType: 'application/pdf' });
    expect(stored.url).toMatch(
      /^https:\/\/[0-9a-f]+\.private\.blob\.vercel-storage\.com\/test-\d+\/a%20b\/%C3%A9\.pdf$/,
    );
    expect(await client.head(path)).toMatchObject({
      url: stored.url,
      pathname: path,
      size: 5000,
      contentType: 'application/pdf',
      cacheControl: 'public, max-age=120',
      uploadedAt: new Date(now),
      etag: stored.etag,
    });
    expect(await client.head(stored.url)).toMatchObject({ pathname: path });
    const found = await client.get(stored.url, { access: 'private' });
    expect(Buffer.from(await new Response(found!.stream as ReadableStream).arrayBuffer())).toEqual(bytes);
    const authorization = `Bearer ${process.env.BLOB_READ_WRITE_TOKEN}`;
    expect((await fetch(stored.url, { headers: { authorization } })).headers.get('etag')).toBe(stored.etag);
    const same = await client.get(path, { access: 'private', ifNoneMatch: stored.etag });
    expect(same?.statusCode).toBe(304);
  });

  it('is read by anyone when public, and only with the token when private', async () => {
    const at = folder();
    const open = await put(`${at}/open.txt`, 'open', { access: 'public' });
    const closed = await put(`${at}/closed.txt`, 'closed');
    const answer = await fetch(open.downloadUrl);
    expect(await answer.text()).toBe('open');
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="open.txt"');
    expect((await fetch(closed.downloadUrl)).status).toBe(403);
    const authorization = `Bearer ${process.env.BLOB_READ_WRITE_TOKEN}`;
    expect(await (await fetch(closed.downloadUrl, { headers: { authorization } })).text()).toBe('closed');
    expect(await text(`${at}/open.txt`, 'public')).toBe('open');
    expect(await text(`${at}/open.txt`, 'private')).toBeNull();
  });

  it('is not overwritten unless that is allowed', async () => {
    const path = `${folder()}/a.txt`;
    await put(path, 'one');
    await expect(put(path, 'two')).rejects.toThrow(/already exists/);
    expect(await text(path)).toBe('one');
    now += 1000;
    await put(path, 'three', { allowOverwrite: true });
    expect(await text(path)).toBe('three');
    expect((await client.head(path)).uploadedAt).toEqual(new Date(now));
  });

  it('gets a name of its own when a random suffix is asked for', async () => {
    const at = folder();
    const [a, b] = [
      await put(`${at}/a.txt`, 'x', { addRandomSuffix: true }),
      await put(`${at}/a.txt`, 'y', { addRandomSuffix: true }),
    ];
    expect(a.pathname).toMatch(/\/a-[0-9a-f]{30}\.txt$/);
    expect(a.pathname).not.toBe(b.pathname);
  });

  it('has one winner among twenty who write at once', async () => {
    const path = `${folder()}/a.txt`;
    const writes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => put(path, `writer ${i}`)));
    expect(writes.filter((w) => w.status === 'fulfilled')).toHaveLength(1);
    const { etag } = await client.head(path);
    const changes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => put(path, `changed ${i}`, { ifMatch: etag })),
    );
    expect(changes.filter((w) => w.status === 'fulfilled')).toHaveLength(1);
    const lost = changes.find((w) => w.status === 'rejected') as PromiseRejectedResult;
    expect(lost.reason).toBeInstanceOf(client.BlobPreconditionFailedError);
  });

  it('can come in parts', async () => {
    const path = `${folder()}/big.bin`;
    const bytes = Buffer.alloc(11 * 1024 * 1024, 'lapse');
    const stored = await put(path, bytes, { multipart: true });
    expect(await client.head(path)).toMatchObject({ size: bytes.length, etag: stored.etag });
    const found = await client.get(path, { access: 'private' });
    expect(Buffer.from(await new Response(found!.stream as ReadableStream).arrayBuffer()).equals(bytes)).toBe(
      true,
    );
  });

  it('that came in parts has the name its upload was given, suffix and all; an upload without parts is refused', async () => {
    const options = { access: 'private' as const, addRandomSuffix: true };
    const path = `${folder()}/a.bin`;
    const upload = await client.createMultipartUpload(path, options);
    const part = await client.uploadPart(path, Buffer.alloc(5 * 1024 * 1024), {
      access: 'private',
      key: upload.key,
      uploadId: upload.uploadId,
      partNumber: 1,
    });
    const complete = (parts: client.Part[]) =>
      client.completeMultipartUpload(path, parts, {
        access: 'private',
        key: upload.key,
        uploadId: upload.uploadId,
      });
    await expect(complete([])).rejects.toThrow('Invalid body');
    expect((await complete([part])).pathname).toBe(upload.key);
    expect(upload.key).not.toBe(path);
  });

  it('tells its size to a HEAD request', async () => {
    const { downloadUrl } = await put(`${folder()}/a.txt`, 'x'.repeat(19_939), { access: 'public' });
    const answer = await fetch(downloadUrl, { method: 'HEAD' });
    expect(answer.headers.get('content-length')).toBe('19939');
  });

  it('can be copied and renamed', async () => {
    const at = folder();
    const { url } = await put(`${at}/a.txt`, 'content');
    await client.copy(url, `${at}/b.txt`, { access: 'private' });
    await client.rename(`${at}/a.txt`, `${at}/c.txt`, { access: 'private' });
    expect(names(await client.list({ prefix: `${at}/` }))).toEqual([`${at}/b.txt`, `${at}/c.txt`]);
    expect(await text(`${at}/b.txt`)).toBe('content');
    expect(await text(`${at}/c.txt`)).toBe('content');
    await expect(client.copy(`${at}/gone.txt`, `${at}/d.txt`, { access: 'private' })).rejects.toThrow(
      client.BlobNotFoundError,
    );
    await expect(client.rename(`${at}/b.txt`, `${at}/c.txt`, { access: 'private' })).rejects.toThrow(
      /exists/,
    );
  });
});

describe('deleting', () => {
  it('takes addresses and names, and what is not there is no error', async () => {
    const at = folder();
    const { url } = await put(`${at}/a.txt`);
    await put(`${at}/b.txt`);
    await put(`${at}/c.txt`);
    await client.del([
      url,
      `${at}/b.txt`,
      `${at}/never.txt`,
      'https://other.private.blob.vercel-storage.com/c.txt',
    ]);
    expect(names(await client.list({ prefix: `${at}/` }))).toEqual([`${at}/c.txt`]);
    await client.del(url);
    await client.del([]);
    expect(await text(`${at}/a.txt`)).toBeNull();
    await expect(client.head(url)).rejects.toThrow(client.BlobNotFoundError);
  });

  it('by a public address spares a private file, and refuses an address that is no text', async () => {
    const at = folder();
    const { url } = await put(`${at}/a.txt`, 'content');
    await client.del(url.replace('.private.', '.public.'));
    expect(await text(`${at}/a.txt`)).toBe('content');
    await expect(client.head(url.replace('.private.', '.public.'))).rejects.toThrow(client.BlobNotFoundError);
    await expect(client.del(url.replace('a.txt', '100%.txt'))).rejects.toThrow('Invalid url');
  });

  it('on a condition spares what has changed since', async () => {
    const path = `${folder()}/a.txt`;
    const { etag } = await put(path, 'one');
    await put(path, 'two', { allowOverwrite: true });
    await expect(client.del(path, { ifMatch: etag })).rejects.toThrow(client.BlobPreconditionFailedError);
    expect(await text(path)).toBe('two');
    await client.del(path, { ifMatch: (await client.head(path)).etag });
    expect(await text(path)).toBeNull();
  });

  it('refuses more than the store takes in one request, and deletes none of them', async () => {
    const at = folder();
    await put(`${at}/a.txt`);
    const many = [`${at}/a.txt`, ...Array.from({ length: 100 }, (_, i) => `${at}/${i}`)];
    await expect(client.del(many)).rejects.toThrow(/too many urls: 101 \(max is 100\)/);
    expect(await text(`${at}/a.txt`)).toBe(`${at}/a.txt`);
  });
});

describe('listing', () => {
  it('goes page by page in the order of the names, whatever comes and goes between', async () => {
    const at = folder();
    const all = Array.from({ length: 25 }, (_, i) => `${at}/${String(i).padStart(3, '0')}.txt`);
    await cloud.blob.putMany([...all].reverse().map((pathname) => ({ pathname, content: 'x' })));
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await client.list({ prefix: `${at}/`, limit: 10, ...(cursor ? { cursor } : {}) });
      seen.push(...names(page));
      cursor = page.cursor;
      expect(page.hasMore).toBe(cursor !== undefined);
      pages += 1;
      // The page's own last name goes, and an earlier and a later one come.
      if (pages === 1) {
        await client.del(seen.at(-1)!);
        await put(`${at}/000-earlier.txt`);
        await put(`${at}/015-later.txt`);
      }
    } while (cursor);
    expect(pages).toBe(3);
    expect(seen).toEqual([...all.slice(0, 16), `${at}/015-later.txt`, ...all.slice(16)].sort());
  });

  it('says there is no more exactly when there is none', async () => {
    const at = folder();
    await cloud.blob.putMany(['a', 'b'].map((n) => ({ pathname: `${at}/${n}`, content: 'x' })));
    expect(await client.list({ prefix: `${at}/`, limit: 2 })).toMatchObject({ hasMore: false });
    expect(await client.list({ prefix: `${at}/`, limit: 1 })).toMatchObject({ hasMore: true });
    expect(await client.list({ prefix: `${folder()}/` })).toMatchObject({ hasMore: false, blobs: [] });
  });

  it('folds folders, each once, over pages', async () => {
    const at = folder();
    const paths = ['a/1', 'a/2', 'b', 'c/d/3', 'c/e', 'f'];
    await cloud.blob.putMany(paths.map((n) => ({ pathname: `${at}/${n}`, content: 'x' })));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await client.list({
        prefix: `${at}/`,
        mode: 'folded',
        limit: 1,
        ...(cursor ? { cursor } : {}),
      });
      seen.push(...page.folders, ...names(page));
      cursor = page.cursor;
    } while (cursor);
    expect(seen).toEqual(['a/', 'b', 'c/', 'f'].map((n) => `${at}/${n}`));
  });

  it('refuses a cursor it did not give', async () => {
    await expect(client.list({ cursor: 'nonsense' })).rejects.toThrow(/cursor/);
  });

  it('of a hundred thousand files stays quick while they come and go', async () => {
    const big = await privateCloud();
    const store = big.blob;
    const path = (i: number) => `many/${String(i * 7919).padStart(9, '0')}.txt`;
    await store.putMany(
      (function* () {
        for (let i = 0; i < 100_000; i += 1) yield { pathname: path(i), content: `file ${i}` };
      })(),
    );
    expect(store.size).toBe(100_000);
    let after: string | undefined;
    let seen = 0;
    do {
      const page = store.list({ prefix: 'many/', limit: 1000, after, folded: false });
      seen += page.blobs.length;
      after = page.next;
      await store.delete(page.blobs.slice(0, 500).map((b) => b.pathname));
    } while (after);
    expect(seen).toBe(100_000);
    expect(store.size).toBe(50_000);
    expect([...store.all('many/')]).toHaveLength(50_000);
    await big.stop();
  });
});

describe('errors', () => {
  it('come as the classes the client knows', async () => {
    const path = `${folder()}/a.txt`;
    await expect(client.head(path)).rejects.toThrow(client.BlobNotFoundError);
    const token = 'vercel_blob_rw_store_wrong';
    await expect(client.head(path, { token })).rejects.toThrow(client.BlobAccessError);
    await expect(client.put(path, 'x', { access: 'private', token })).rejects.toThrow(client.BlobAccessError);
    expect(await client.get(path, { access: 'private' })).toBeNull();
  });

  it.each([
    [429, 'rate_limited', client.BlobServiceRateLimited],
    [503, 'service_unavailable', client.BlobServiceNotAvailable],
    [403, 'store_suspended', client.BlobStoreSuspendedError],
    [404, 'store_not_found', client.BlobStoreNotFoundError],
  ])('of status %i %s can be made to happen', async (status, code, error) => {
    process.env.VERCEL_BLOB_RETRIES = '0';
    cloud.setFaults(() => ({ kind: 'refuse', status, code, retryAfter: 7 }));
    const failed = await client.list().catch((e: unknown) => e);
    cloud.setFaults(undefined);
    process.env.VERCEL_BLOB_RETRIES = '1';
    expect(failed).toBeInstanceOf(error);
    if (failed instanceof client.BlobServiceRateLimited) expect(failed.retryAfter).toBe(7);
  });
});
