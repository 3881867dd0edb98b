/**
 * Who may see the pages, and what a browser may do with them. They show what is deleted and how much, never whose:
 * still not for the public. The password is LAPSE_STATUS_PASSWORD and opens nothing else; CRON_SECRET, which deletes,
 * is never typed into a browser.
 */

import { isLoopback } from '../platform/transport';
import { isBasicPassword } from './authorize';

type Env = Record<string, string | undefined>;

/** A preview deployment may use the production database: only environments that cannot are open. */
function pagesAreOpen(env: Env): boolean {
  if (env.LAPSE_STATUS_PAGE === 'public') return true;
  return env.VERCEL_ENV !== 'production' && isLoopback(env.NEON_HTTP_ENDPOINT ?? env.DATABASE_URL);
}

export const maySeePages = (request: Request, env: Env): boolean =>
  pagesAreOpen(env) || isBasicPassword(request, env.LAPSE_STATUS_PASSWORD);

/** Scripts only with this answer's nonce; no other origin except reports to Sentry; no frames. */
export function pagePolicy(nonce: string, env: Env): string {
  const isDev = env.NODE_ENV === 'development';
  const sentry = originOf(env.NEXT_PUBLIC_SENTRY_DSN);
  return [
    "default-src 'none'",
    // React's development build evaluates code to rebuild stacks.
    `script-src 'nonce-${nonce}' 'strict-dynamic'${isDev ? " 'unsafe-eval'" : ''}`,
    `style-src 'self'${isDev ? " 'unsafe-inline'" : ''}`,
    "img-src 'self'",
    "font-src 'self'",
    `connect-src 'self'${sentry ? ` ${sentry}` : ''}${isDev ? ' ws:' : ''}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function originOf(url: string | undefined): string | null {
  try {
    return url ? new URL(url).origin : null;
  } catch {
    return null;
  }
}
