/** The Vercel Blob API (version 12) over a store, and the addresses its files are read from. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Answer, ServiceHandler, ServiceRequest } from '../server';
import { download } from './download';
import {
  type Access,
  accessOf,
  BadUrlError,
  headResult,
  listItem,
  pathnameOf,
  putResult,
  type StoreAddress,
} from './meta';
import { multipart, type Uploads } from './multipart';
import { type BlobStore, BlobStoreError, notFound, type PutOptions } from './store';

/** A file travels in one piece here; larger ones come as multipart uploads. */
const MAX_REQUEST_BYTES = 512 * 1024 * 1024;
/** Vercel's. */
const MAX_PATHNAME = 950;
const MAX_PAGE = 1000;

export interface BlobEndpoint {
  readonly store: BlobStore;
  readonly token: string;
  /** URLs one delete request may name; Vercel documents none, its own example sends 100. */
  readonly maxDeletes: number;
  address(): StoreAddress;
}

export function blobEndpoint(endpoint: BlobEndpoint): ServiceHandler {
  const uploads: Uploads = new Map();
  return {
    service: 'blob',
    prefix: '/blob',
    maxRequestBytes: MAX_REQUEST_BYTES,
    tooLarge: () =>
      failure(413, 'file_too_large', `the file length cannot be greater than ${MAX_REQUEST_BYTES}`),
    refuse: (fault) => {
      const refused = failure(fault.status, fault.code ?? codeOf(fault.status), fault.message ?? 'refused');
      const retry: Record<string, string> =
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
      return { ...refused, headers: { ...refused.headers, ...retry } };
    },
    async handle(request) {
      const authorized = isAuthorized(request, endpoint.token);
      if (request.path.startsWith('/files/')) return download(endpoint, request, authorized);
      if (!authorized) return failure(403, 'forbidden', 'Access denied, please provide a valid token');
      try {
        return json(200, await answer(endpoint, uploads, request));
      } catch (error) {
        if (error instanceof BlobStoreError) return failure(error.status, error.code, error.message);
        if (error instanceof BadUrlError) return failure(400, 'bad_request', 'Invalid url');
        throw error;
      }
    },
  };
}

async function answer(endpoint: BlobEndpoint, uploads: Uploads, request: ServiceRequest): Promise<unknown> {
  const { store } = endpoint;
  const at = endpoint.address();
  switch (`${request.method} ${request.path}`) {
    case 'GET /': {
      const url = request.query.get('url');
      if (url === null) return list(store, at, request.query);
      return headResult(store.head(named(store, url, at) ?? '') ?? raise(notFound()), at);
    }
    case 'PUT /': {
      const options = putOptions(request);
      const to = targetPathname(request);
      const from = request.query.get('fromUrl');
      if (from === null) return putResult(await store.put(to, request.body, options), at);
      return putResult(await store.copy(pathnameOf(from, at) ?? '', to, options), at);
    }
    case 'POST /rename': {
      const from = pathnameOf(request.query.get('fromUrl') ?? '', at) ?? '';
      return putResult(await store.rename(from, targetPathname(request), putOptions(request)), at);
    }
    case 'POST /delete':
      await remove(endpoint, request);
      return null;
    case 'POST /mpu':
      return multipart(uploads, request, {
        begin: () => {
          putOptions(request);
          return targetPathname(request);
        },
        store: async (pathname, content) =>
          putResult(await store.put(pathname, content, putOptions(request)), at),
      });
    default:
      throw bad(`no such call: ${request.method} ${request.path}`);
  }
}

async function remove({ store, maxDeletes, address }: BlobEndpoint, request: ServiceRequest): Promise<void> {
  const { urls } = parsed(request.body) as { urls?: unknown };
  if (!Array.isArray(urls) || !urls.every((u) => typeof u === 'string'))
    throw bad('urls must be an array of strings');
  if (urls.length > maxDeletes) throw bad(`too many urls: ${urls.length} (max is ${maxDeletes})`);
  const ifMatch = request.headers['x-if-match'] as string | undefined;
  if (ifMatch !== undefined && urls.length !== 1) throw bad('x-if-match needs exactly one url');
  const names = urls.flatMap((url) => named(store, url as string, address()) ?? []);
  await store.delete(names, ifMatch);
}

/** The blob a URL names: its access is part of the host, so a public address names no private blob. */
function named(store: BlobStore, url: string, at: StoreAddress): string | undefined {
  const pathname = pathnameOf(url, at);
  const access = accessOf(url, at);
  const meta = pathname === undefined || access === undefined ? undefined : store.head(pathname);
  return meta && meta.access !== access ? undefined : pathname;
}

function list(store: BlobStore, at: StoreAddress, query: URLSearchParams): unknown {
  const limit = Number(query.get('limit') ?? MAX_PAGE);
  if (!Number.isInteger(limit) || limit < 1) throw bad('limit must be a whole number from 1 to 1000');
  const folded = query.get('mode') === 'folded';
  const page = store.list({
    prefix: query.get('prefix') ?? '',
    limit: Math.min(limit, MAX_PAGE),
    after: fromCursor(query.get('cursor')),
    folded,
  });
  return {
    blobs: page.blobs.map((meta) => listItem(meta, at)),
    ...(folded ? { folders: page.folders } : {}),
    hasMore: page.next !== undefined,
    ...(page.next === undefined ? {} : { cursor: Buffer.from(`after:${page.next}`).toString('base64url') }),
  };
}

function fromCursor(cursor: string | null): string | undefined {
  if (cursor === null) return undefined;
  const text = Buffer.from(cursor, 'base64url').toString();
  if (!text.startsWith('after:')) throw bad('Invalid cursor');
  return text.slice('after:'.length);
}

function putOptions({ headers }: ServiceRequest): PutOptions {
  const access = headers['x-vercel-blob-access'] ?? 'public';
  if (access !== 'public' && access !== 'private') throw bad('access must be public or private');
  const seconds = headers['x-cache-control-max-age'];
  return {
    access: access as Access,
    contentType: headers['x-content-type'] as string | undefined,
    cacheSeconds: seconds === undefined ? undefined : Math.max(60, Number(seconds)),
    allowOverwrite: headers['x-allow-overwrite'] === '1',
    ifMatch: headers['x-if-match'] as string | undefined,
  };
}

function targetPathname(request: ServiceRequest): string {
  const pathname = request.query.get('pathname') ?? '';
  if (pathname === '') throw bad('pathname is required');
  if (pathname.length > MAX_PATHNAME) throw bad(`pathname is too long, maximum length is ${MAX_PATHNAME}`);
  if (pathname.includes('//')) throw bad('pathname cannot contain "//"');
  if (request.headers['x-add-random-suffix'] !== '1') return pathname;
  const [, stem, ending] = /^(.*?)(\.[^./]+)?$/s.exec(pathname)!;
  return `${stem}-${randomBytes(15).toString('hex')}${ending ?? ''}`;
}

function isAuthorized(request: ServiceRequest, token: string): boolean {
  const [given, wanted] = [Buffer.from(request.headers.authorization ?? ''), Buffer.from(`Bearer ${token}`)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) ?? {};
  } catch {
    throw bad('the body must be JSON');
  }
}

/** The code by which a client recognizes a refusal, when a fault sets only the status. */
function codeOf(status: number): string {
  const codes: Record<number, string> = {
    400: 'bad_request',
    403: 'forbidden',
    404: 'not_found',
    412: 'precondition_failed',
    429: 'rate_limited',
    503: 'service_unavailable',
  };
  return codes[status] ?? 'internal_server_error';
}

const bad = (message: string) => new BlobStoreError(400, 'bad_request', message);

function raise(error: Error): never {
  throw error;
}

function json(status: number, value: unknown): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

function failure(status: number, code: string, message: string): Answer {
  return json(status, { error: { code, message } });
}
