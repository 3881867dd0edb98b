/**
 * In front of every page, a new one too: asks for the status page's password (lib/http/pages.ts) and says what a browser
 * may run. API routes check their own secrets.
 */
import { randomBytes } from 'node:crypto';
import { type NextRequest, NextResponse } from 'next/server';
import { maySeePages, pagePolicy } from '@/lib/http/pages';

export const config = { matcher: '/((?!api/|_next/).*)' };

export function proxy(request: NextRequest): Response {
  if (!['GET', 'HEAD'].includes(request.method)) {
    return new NextResponse(null, { status: 405, headers: { allow: 'GET, HEAD' } });
  }
  if (!maySeePages(request, process.env)) {
    return new NextResponse('This page asks for its password.\n', {
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="Lapse"', 'cache-control': 'no-store' },
    });
  }
  const policy = pagePolicy(randomBytes(16).toString('base64'), process.env);
  // Next reads the nonce from the request's own header and gives it to its scripts.
  const headers = new Headers(request.headers);
  headers.set('content-security-policy', policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set('content-security-policy', policy);
  return response;
}
