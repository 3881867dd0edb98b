/**
 * What a browser may do with a page of the console: scripts and styles only with this answer's nonce, no attribute of style,
 * nothing from another origin, forms only to this one, no frames.
 */

export function contentPolicy(nonce: string, env: Readonly<Record<string, string | undefined>>): string {
  // React's development build evaluates code to rebuild stacks, and its style sheets come without a nonce.
  const isDev = env.NODE_ENV === 'development';
  return [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${isDev ? " 'unsafe-eval'" : ''}`,
    isDev ? "style-src 'self' 'unsafe-inline'" : `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    `connect-src 'self'${isDev ? ' ws:' : ''}`,
    "manifest-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}
