/**
 * In front of every page, a new one too: says what a browser may run, with a nonce for this answer alone. Pages are read with
 * GET; what changes something is a route of its own under /acts. Who may see a page is asked by the page itself
 * (app/(console)/visit.ts); API routes check their own secrets and send their own policy.
 */
import { randomBytes } from 'node:crypto';
import { type NextRequest, NextResponse } from 'next/server';
import { contentPolicy } from '@/lib/http/console/content-policy';

export const config = { matcher: '/((?!api/|_next/).*)' };

export function proxy(request: NextRequest): Response {
  const allowed = request.nextUrl.pathname.startsWith('/acts/') ? ['POST'] : ['GET', 'HEAD'];
  if (!allowed.includes(request.method)) {
    return new NextResponse(null, { status: 405, headers: { allow: allowed.join(', ') } });
  }
  const policy = contentPolicy(randomBytes(16).toString('base64'), process.env);
  // Next reads the nonce from the request's own header and gives it to its scripts.
  const headers = new Headers(request.headers);
  headers.set('content-security-policy', policy);
  // Always written, so that a caller's own never counts: the bar marks the page that is open.
  headers.set('x-lapse-path', request.nextUrl.pathname);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set('content-security-policy', policy);
  return response;
}
