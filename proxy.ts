/**
 * Pages show what is deleted and how much, never whose: still nobody's business outside. In production each
 * asks for CRON_SECRET as the password of any user name, a new page too. API routes check their own secrets.
 */
import { type NextRequest, NextResponse } from 'next/server';
import { isBasicPassword } from '@/lib/http/authorize';

export const config = { matcher: '/((?!api/|_next/).*)' };

export function proxy(request: NextRequest): Response {
  const open = process.env.VERCEL_ENV !== 'production' || process.env.LAPSE_STATUS_PAGE === 'public';
  if (open || isBasicPassword(request, process.env.CRON_SECRET)) return NextResponse.next();
  return new NextResponse('The password is the value of CRON_SECRET; any user name will do.\n', {
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="Lapse"', 'cache-control': 'no-store' },
  });
}
