/** Reading a file: `/files/<store>/<access>/<pathname>`, what the store's own hosts serve. */
import type { Answer, ServiceRequest } from '../server';
import { disposition, type StoreAddress } from './meta';
import type { BlobStore } from './store';

export async function download(
  { store, address }: { readonly store: BlobStore; address(): StoreAddress },
  request: ServiceRequest,
  authorized: boolean,
): Promise<Answer> {
  const [, , storeId, access, ...rest] = request.path.split('/').map(decodeURIComponent);
  const meta = storeId === address().storeId ? store.head(rest.join('/')) : undefined;
  if (!meta || meta.access !== access) return { status: 404, body: 'Blob not found' };
  if (meta.access === 'private' && !authorized) return { status: 403, body: 'Forbidden' };
  const headers = {
    'content-type': meta.contentType,
    'content-disposition': disposition(meta, request.query.get('download') === '1'),
    'cache-control': `public, max-age=${meta.cacheSeconds}`,
    'last-modified': new Date(meta.uploadedAt).toUTCString(),
    etag: meta.etag,
  };
  if (request.headers['if-none-match'] === meta.etag) return { status: 304, headers };
  if (request.method === 'HEAD')
    return { status: 200, headers: { ...headers, 'content-length': String(meta.size) } };
  return { status: 200, headers, body: await store.read(meta) };
}
