/** Multipart uploads: parts wait in memory until they are completed; a restart forgets them. */
import { randomBytes } from 'node:crypto';
import type { ServiceRequest } from '../server';
import { etagOf } from './meta';
import { BlobStoreError } from './store';

interface Upload {
  readonly pathname: string;
  readonly parts: Map<number, Buffer>;
}
export type Uploads = Map<string, Upload>;

interface Target {
  /** Checks the request that begins an upload; returns the name its blob gets, with its suffix. */
  begin(): string;
  store(pathname: string, content: Uint8Array): Promise<unknown>;
}

export async function multipart(uploads: Uploads, request: ServiceRequest, target: Target): Promise<unknown> {
  const { headers } = request;
  if (headers['x-mpu-action'] === 'create') {
    const pathname = target.begin();
    const uploadId = randomBytes(16).toString('hex');
    uploads.set(uploadId, { pathname, parts: new Map() });
    return { key: pathname, uploadId };
  }
  const uploadId = String(headers['x-mpu-upload-id']);
  const upload = uploads.get(uploadId);
  if (!upload || decodeURIComponent(String(headers['x-mpu-key'])) !== upload.pathname) {
    throw new BlobStoreError(404, 'not_found', 'no such multipart upload');
  }
  switch (headers['x-mpu-action']) {
    case 'upload': {
      upload.parts.set(Number(headers['x-mpu-part-number']), request.body);
      return { etag: etagOf(request.body) };
    }
    case 'complete': {
      const listed = JSON.parse(request.body.toString('utf8')) as { partNumber: number; etag: string }[];
      if (!Array.isArray(listed) || listed.length === 0) {
        throw new BlobStoreError(400, 'bad_request', 'Invalid body');
      }
      // The client lists them in the order in which they were done.
      listed.sort((a, b) => a.partNumber - b.partNumber);
      const parts = listed.map(({ partNumber, etag }) => {
        const part = upload.parts.get(partNumber);
        if (!part || etagOf(part) !== etag) {
          throw new BlobStoreError(400, 'bad_request', `part ${partNumber} was not uploaded like this`);
        }
        return part;
      });
      const result = await target.store(upload.pathname, Buffer.concat(parts));
      uploads.delete(uploadId);
      return result;
    }
    default:
      throw new BlobStoreError(400, 'bad_request', 'x-mpu-action must be create, upload or complete');
  }
}
