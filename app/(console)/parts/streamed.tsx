/**
 * What is still being read, in its place as soon as it is there: what is around it is shown before. A script puts it there, so that
 * a browser without scripts waits for the whole page instead (lib/http/console/scripts.ts).
 */
import { cookies } from 'next/headers';
import { type ReactNode, Suspense } from 'react';
import { OFF, SCRIPTS_COOKIE } from '@/lib/http/console/scripts';

export const isWhole = async (): Promise<boolean> => (await cookies()).get(SCRIPTS_COOKIE)?.value === OFF;

export async function Streamed({ until, children }: { until: ReactNode; children: ReactNode }) {
  return (await isWhole()) ? children : <Suspense fallback={until}>{children}</Suspense>;
}
