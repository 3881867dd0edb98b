/**
 * Around every page: what it does not show, it says in the frame, with its status, and without a script. Only where the status cannot
 * be set is it thrown to Next, whose answer has the status and an empty body that a script fills (lib/http/page-status.ts).
 */
import { headers } from 'next/headers';
import { forbidden, notFound, unstable_rethrow } from 'next/navigation';
import type { ReactNode } from 'react';
import { unread } from '@/lib/http/console/reading';
import { setStatus } from '@/lib/http/page-status';
import { RequestError } from '@/lib/platform/errors';
import { services } from '@/lib/services';
import PageForbidden from './forbidden';
import NothingHere from './not-found';
import { Failure } from './parts/notes';

/** Thrown by a page instead of what it would show. */
class NotShown extends Error {
  constructor(readonly status: 403 | 404) {
    super(`answered ${status}`);
  }
}

/** There is nothing at this address. */
export function nothingHere(): never {
  throw new NotShown(404);
}
/** Nobody with these roles may look. */
export function notAllowed(): never {
  throw new NotShown(403);
}

const INSTEAD = {
  403: { words: <PageForbidden />, toNext: forbidden },
  404: { words: <NothingHere />, toNext: notFound },
} as const;

/** `page`: async, and what throws is itself, not a part that it shows. */
export const shown =
  <P,>(page: (props: P) => Promise<ReactNode>) =>
  async (props: P): Promise<ReactNode> => {
    try {
      return await page(props);
    } catch (error) {
      // What leads elsewhere is Next's own.
      unstable_rethrow(error);
      const isSet = async (status: number) => setStatus(await headers(), status);
      if (error instanceof NotShown) {
        const { words, toNext } = INSTEAD[error.status];
        return (await isSet(error.status)) ? words : toNext();
      }
      // What was asked for may be at fault.
      if (!(await isSet(error instanceof RequestError ? error.status : 500))) throw error;
      return <Failure of={await unread(services(), 'This page', error)} />;
    }
  };
