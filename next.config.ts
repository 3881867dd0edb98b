import { withSentryConfig } from '@sentry/nextjs/config';
import type { NextConfig } from 'next';

/** On every answer, including files and errors. */
const EVERYWHERE = [
  { key: 'x-content-type-options', value: 'nosniff' },
  { key: 'x-frame-options', value: 'DENY' },
  // No other site learns an address. `no-referrer` would also take the Origin from the console's own forms.
  { key: 'referrer-policy', value: 'same-origin' },
  // Two years, as browsers require.
  { key: 'strict-transport-security', value: 'max-age=63072000' },
  { key: 'permissions-policy', value: 'camera=(), geolocation=(), microphone=()' },
  { key: 'cross-origin-opener-policy', value: 'same-origin' },
];

const config: NextConfig = {
  poweredByHeader: false,
  // No page shows images: no optimizer that fetches addresses on request.
  images: { unoptimized: true },
  // pino resolves its transports at run time; bundling it breaks that.
  serverExternalPackages: ['pino'],
  // Who has no role for a page is answered 403.
  experimental: { authInterrupts: true },
  headers: async () => [
    { source: '/:path*', headers: EVERYWHERE },
    {
      // A page's own policy has a nonce (proxy.ts); what a signed link opens sends its own (lib/http/link-page.ts).
      source: '/api/:path((?!notices/|exports/).*)',
      headers: [{ key: 'content-security-policy', value: "default-src 'none'; frame-ancestors 'none'" }],
    },
    // A signed link is in its address.
    { source: '/api/:path*', headers: [{ key: 'referrer-policy', value: 'no-referrer' }] },
  ],
};

export default withSentryConfig(config, { silent: true, telemetry: false, sourcemaps: { disable: true } });
