/** What the store knows of one blob, and what it says about it to a client. */
import { createHash } from 'node:crypto';

export type Access = 'public' | 'private';

/** Where the bytes are: in a file of their own, or in a pack that was written in bulk. */
export interface Place {
  readonly file: string;
  readonly offset: number;
}

export interface BlobMeta {
  readonly pathname: string;
  readonly size: number;
  readonly contentType: string;
  readonly cacheSeconds: number;
  /** Milliseconds since 1970. */
  readonly uploadedAt: number;
  /** With its quotes, as clients send it back. */
  readonly etag: string;
  readonly access: Access;
  readonly place: Place;
}

export interface StoreAddress {
  readonly storeId: string;
  /** Where this machine serves files, without a slash at the end. */
  readonly filesUrl: string;
}

/** Vercel's default: one month. */
export const CACHE_SECONDS = 30 * 24 * 60 * 60;

export function etagOf(content: Uint8Array): string {
  return `"${createHash('md5').update(content).digest('hex')}"`;
}

/**
 * `url` is the one a deployment has, so rows that keep it look alike everywhere; `downloadUrl` can be fetched
 * from this machine.
 */
function addresses(meta: Pick<BlobMeta, 'pathname' | 'access'>, at: StoreAddress) {
  const path = meta.pathname.split('/').map(encodeURIComponent).join('/');
  return {
    url: `https://${at.storeId}.${meta.access}.blob.vercel-storage.com/${path}`,
    downloadUrl: `${at.filesUrl}/${at.storeId}/${meta.access}/${path}?download=1`,
  };
}

/** A URL whose escapes are no text. */
export class BadUrlError extends Error {}

/** The pathname a client means by a URL of either kind or by the pathname itself; undefined for another store's. */
export function pathnameOf(urlOrPathname: string, at: StoreAddress): string | undefined {
  if (!/^https?:\/\//i.test(urlOrPathname)) return urlOrPathname.replace(/^\//, '');
  try {
    return pathnameIn(urlOrPathname, at);
  } catch {
    throw new BadUrlError();
  }
}

/** Which access a URL names; undefined for a pathname. */
export function accessOf(urlOrPathname: string, at: StoreAddress): Access | undefined {
  const hosted = /^https?:\/\/[^./]+\.(public|private)\.blob\.vercel-storage\.com(?:[/?#]|$)/i.exec(
    urlOrPathname,
  );
  if (hosted) return hosted[1]!.toLowerCase() as Access;
  const here = `${at.filesUrl}/${at.storeId}/`;
  if (!urlOrPathname.startsWith(here)) return undefined;
  return urlOrPathname.slice(here.length).startsWith('public/') ? 'public' : 'private';
}

function pathnameIn(urlOrPathname: string, at: StoreAddress): string | undefined {
  const url = new URL(urlOrPathname);
  const path = decodeURIComponent(url.pathname.slice(1));
  const hosted = /^([^.]+)\.(?:public|private)\.blob\.vercel-storage\.com$/.exec(url.hostname);
  if (hosted) return hosted[1] === at.storeId.toLowerCase() ? path : undefined;
  if (!urlOrPathname.startsWith(`${at.filesUrl}/${at.storeId}/`)) return undefined;
  return decodeURIComponent(url.pathname)
    .slice(new URL(at.filesUrl).pathname.length)
    .split('/')
    .slice(3)
    .join('/');
}

export function disposition(meta: Pick<BlobMeta, 'pathname'>, download: boolean): string {
  const name = meta.pathname
    .split('/')
    .at(-1)!
    .replaceAll(/["\\\r\n]|[^\x20-\x7e]/g, '_');
  return `${download ? 'attachment' : 'inline'}; filename="${name}"`;
}

export const putResult = (meta: BlobMeta, at: StoreAddress) => ({
  ...addresses(meta, at),
  pathname: meta.pathname,
  contentType: meta.contentType,
  contentDisposition: disposition(meta, false),
  etag: meta.etag,
});

export const headResult = (meta: BlobMeta, at: StoreAddress) => ({
  ...putResult(meta, at),
  size: meta.size,
  uploadedAt: new Date(meta.uploadedAt).toISOString(),
  cacheControl: `public, max-age=${meta.cacheSeconds}`,
});

export const listItem = (meta: BlobMeta, at: StoreAddress) => ({
  ...addresses(meta, at),
  pathname: meta.pathname,
  size: meta.size,
  uploadedAt: new Date(meta.uploadedAt).toISOString(),
  etag: meta.etag,
});

const TYPES: Record<string, string> = {
  avif: 'image/avif',
  css: 'text/css',
  csv: 'text/csv',
  gif: 'image/gif',
  gz: 'application/gzip',
  html: 'text/html',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript',
  json: 'application/json',
  m4a: 'audio/mp4',
  md: 'text/markdown',
  mov: 'video/quicktime',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain',
  wav: 'audio/wav',
  webm: 'video/webm',
  webp: 'image/webp',
  xml: 'application/xml',
  zip: 'application/zip',
};

/** By the pathname's ending, as the store does; the request's own content type says nothing. */
export function contentTypeOf(pathname: string): string {
  return TYPES[/\.([a-z0-9]+)$/i.exec(pathname)?.[1]?.toLowerCase() ?? ''] ?? 'application/octet-stream';
}
