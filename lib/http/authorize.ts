/**
 * Who may call (R14): the bearer of CRON_SECRET, as Vercel Cron sends it. Compared in constant time over
 * digests, so that neither content nor length tells anything; an unset secret lets nobody in.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { RequestError } from '../errors';

/** Vercel asks for at least this many characters. */
const SHORTEST_SECRET = 16;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

export const isBearer = (request: Request, secret: string | undefined): boolean => {
  const header = request.headers.get('authorization');
  if (!secret || secret.length < SHORTEST_SECRET || !header) return false;
  return timingSafeEqual(digest(header), digest(`Bearer ${secret}`));
};

/** For a browser: the secret as password, under any user name. */
export function isBasicPassword(request: Request, secret: string | undefined): boolean {
  const header = request.headers.get('authorization');
  if (!secret || secret.length < SHORTEST_SECRET || !header?.startsWith('Basic ')) return false;
  const [, password = ''] = Buffer.from(header.slice('Basic '.length), 'base64').toString().split(/:(.*)/s);
  return timingSafeEqual(digest(password), digest(secret));
}

/** Throws RequestError 401 unless the request carries the secret. */
export function authorize(request: Request, secret: string | undefined): void {
  if (!isBearer(request, secret)) {
    throw new RequestError(401, 'unauthorized', 'send the header Authorization: Bearer <CRON_SECRET>');
  }
}
