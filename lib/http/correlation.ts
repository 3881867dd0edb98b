/**
 * One id from the request through every log line, the record and the answer (M1). A caller's own id counts only if
 * it is a UUID, and Vercel's only in Vercel's form: no text chosen by a caller can pass for another request's id.
 */
import { randomUUID } from 'node:crypto';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Regions, then a random part, the instant and a hash: `fra1::iad1::x7k2p-1700000000000-0f1e2d3c4b5a`. */
const VERCEL = /^([a-z]{3}\d+::)+[a-z0-9]{1,16}-\d{10,16}-[0-9a-f]{8,32}$/;

export function correlationOf(request: Request): string {
  const own = request.headers.get('x-correlation-id');
  if (own !== null && UUID.test(own)) return own.toLowerCase();
  const vercel = request.headers.get('x-vercel-id');
  return vercel !== null && VERCEL.test(vercel) ? vercel : randomUUID();
}
