/** The frame of every page. Rendered at each request: a nonce is for one answer alone (proxy.ts). */
import type { Metadata, Viewport } from 'next';
import { cookies } from 'next/headers';
import { connection } from 'next/server';
import type { ReactNode } from 'react';
import { THEME_COOKIE, themeIn } from '@/lib/http/console/theme';
import './style.css';

export const metadata: Metadata = {
  title: { default: 'Lapse', template: '%s · Lapse' },
  robots: { index: false, follow: false },
};
export const viewport: Viewport = { width: 'device-width', initialScale: 1 };

export default async function Layout({ children }: { children: ReactNode }) {
  await connection();
  const theme = themeIn((await cookies()).get(THEME_COOKIE)?.value);
  return (
    <html lang="en" data-theme={theme}>
      <body>{children}</body>
    </html>
  );
}
