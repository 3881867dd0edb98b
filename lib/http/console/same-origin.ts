/**
 * A form of this site, and of no other: what a browser says about where a POST comes from. The session's cookie is not
 * sent from other sites either (SameSite=Lax); both must fail before a page elsewhere can act.
 */
import { RequestError } from '../../platform/errors';

/** Throws RequestError 403. A POST without an Origin is no browser's: the API has doors of its own. */
export function refuseOtherSites(request: Request): void {
  const origin = request.headers.get('origin');
  const site = request.headers.get('sec-fetch-site');
  if (isOwn(origin, request) && (site === null || site === 'same-origin')) return;
  throw new RequestError(
    403,
    'other_site',
    'this did not come from a page of the console; nothing was changed',
  );
}

/** By host: behind a proxy that ends TLS, the request's own scheme is http. */
function isOwn(origin: string | null, request: Request): boolean {
  const host = request.headers.get('host') ?? new URL(request.url).host;
  try {
    return origin !== null && new URL(origin).host === host;
  } catch {
    return false;
  }
}

/** A path of this site, for what leads back; anything else leads to the start. */
export function ownPath(path: string | null | undefined): string {
  if (!path?.startsWith('/') || /[\\\p{Cc}]/u.test(path)) return '/';
  const { pathname, search } = new URL(path, 'http://console.invalid');
  // Two slashes begin the name of another host, also those that are left of `/.//elsewhere`.
  return pathname.startsWith('//') ? '/' : `${pathname}${search}`;
}
