import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Blob, connectBlob } from '@/lib/platform/blob';
import { BlobError } from '@/lib/platform/errors';
import { type PrivateCloud, privateCloud } from '../support/cloud';

let cloud: PrivateCloud;
let blob: Blob;
beforeEach(async () => {
  cloud = await privateCloud();
  cloud.useBlob();
  blob = connectBlob(cloud.env('none').BLOB_READ_WRITE_TOKEN!);
});
afterEach(() => cloud.stop());

const failure = async (work: Promise<unknown>): Promise<BlobError> => {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(BlobError);
  return error as BlobError;
};

describe('the store', () => {
  it('takes, finds, lists, reads and deletes a file', async () => {
    const { url } = await blob.put('a/one.txt', 'hello');
    expect(blob.bases.some((b) => url === `${b}a/one.txt`)).toBe(true);
    expect(await blob.head('a/one.txt')).toMatchObject({ pathname: 'a/one.txt', bytes: 5 });
    expect((await blob.get(url))?.toString()).toBe('hello');
    expect((await blob.list({ prefix: 'a/' })).files.map((f) => f.pathname)).toEqual(['a/one.txt']);
    await blob.del([url]);
    expect(await blob.head(url)).toBeNull();
    expect(await blob.get('a/one.txt')).toBeNull();
    await blob.del(['a/one.txt']);
  });

  it('is listed page by page', async () => {
    await cloud.blob.putMany([1, 2, 3].map((n) => ({ pathname: `a/${n}`, content: 'x' })));
    const first = await blob.list({ prefix: 'a/', limit: 2 });
    expect(first.files).toHaveLength(2);
    const last = await blob.list({ prefix: 'a/', limit: 2, cursor: first.cursor });
    expect([last.files[0]?.pathname, last.cursor]).toEqual(['a/3', null]);
  });

  it('refuses to delete a file that has been replaced', async () => {
    await blob.put('a/one.txt', 'old');
    const { etag } = (await blob.head('a/one.txt'))!;
    await blob.put('a/one.txt', 'new', { overwrite: true });
    expect((await failure(blob.del(['a/one.txt'], { ifMatch: etag }))).failure).toBe('changed');
  });
});

describe('a failure', () => {
  it.each([
    [500, 'internal_server_error', 'transient'],
    [503, 'service_unavailable', 'transient'],
    [403, 'forbidden', 'fatal'],
    [404, 'store_not_found', 'fatal'],
    [403, 'store_suspended', 'fatal'],
    [400, 'bad_request', 'refused'],
  ] as const)('%i %s is %s, after one attempt and without the name of a file', async (status, code, kind) => {
    let calls = 0;
    cloud.setFaults((r) => {
      if (r.service === 'blob') calls += 1;
      return { kind: 'refuse', status, code, message: 'about a/secret-name.txt' };
    });
    const error = await failure(blob.del(['a/secret-name.txt']));
    expect([error.failure, calls]).toEqual([kind, 1]);
    expect(error.message).not.toContain('secret-name');
  });

  it('says how long the store wants to be left alone', async () => {
    cloud.setFaults(() => ({ kind: 'refuse', status: 429, code: 'rate_limited', retryAfter: 17 }));
    expect(await failure(blob.head('a'))).toMatchObject({ failure: 'transient', retryAfterSeconds: 17 });
  });

  it.each(['drop-before', 'drop-after'] as const)(
    'of the connection (%s) is transient, after one attempt',
    async (kind) => {
      let calls = 0;
      cloud.setFaults(() => {
        calls += 1;
        return { kind };
      });
      expect((await failure(blob.del(['a']))).failure).toBe('transient');
      expect(calls).toBe(1);
    },
  );

  it('to answer in time ends at the time limit instead of after the client’s retries', async () => {
    cloud.setFaults((r) => (r.service === 'blob' ? { kind: 'delay', ms: 60_000 } : undefined));
    const began = performance.now();
    expect((await failure(blob.head('a'))).message).toContain('in time');
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

describe('reading a file', () => {
  it.each([
    [500, 'transient'],
    [403, 'refused'],
  ] as const)('that the store answers with HTTP %i is a failure: %s', async (status, kind) => {
    await blob.put('a/one.txt', 'hello');
    cloud.setFaults((r) =>
      r.method === 'GET' && r.path.includes('/files/')
        ? { kind: 'refuse', status, code: 'broken' }
        : undefined,
    );
    expect((await failure(blob.get('a/one.txt'))).failure).toBe(kind);
  });
});
