/** The bar of every page: which deployment this is, where one can go, who one is, and the way to stop everything. */
import { headers } from 'next/headers';
import type { ReactNode } from 'react';
import { placeOf } from '@/lib/http/console/place';
import { services } from '@/lib/services';
import { Bar } from './parts/bar';
import { whoIs } from './visit';

export default async function ConsoleLayout({ children }: { children: ReactNode }) {
  const who = await whoIs();
  return (
    <>
      <a
        href="#content"
        className="button sr-only focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-20"
      >
        Skip to content
      </a>
      {who && (
        <Bar
          who={who}
          place={placeOf(services().settings)}
          at={(await headers()).get('x-lapse-path') ?? '/'}
        />
      )}
      <main id="content" className="mx-auto max-w-6xl px-4 pt-4 pb-16">
        {children}
      </main>
    </>
  );
}
