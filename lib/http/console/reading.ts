/** One part of a page, read: when it fails, the part says so and the rest of the page stands. */
import { randomUUID } from 'node:crypto';
import { RequestError } from '../../platform/errors';
import type { Services } from '../../services';
import { failed, flushed } from '../answered';
import { type Unread, whyUnread } from './unread';

export interface Failed extends Unread {
  /** Begins the sentence "… could not be read." */
  readonly what: string;
  /** The correlation id under which the log and Sentry have it; null: what was asked for is at fault, and nothing failed. */
  readonly reference: string | null;
}
export type Read<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & Failed);

/** Never throws. */
export async function reading<T>(
  s: Pick<Services, 'log'>,
  what: string,
  work: () => Promise<T>,
): Promise<Read<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, ...(await unread(s, what, error)) };
  }
}

/** Noted under a reference, and what a page says about it. */
export async function unread(
  { log }: Pick<Services, 'log'>,
  what: string,
  error: unknown,
  reference: string = randomUUID(),
): Promise<Failed> {
  if (error instanceof RequestError) {
    log.info({ event: 'read.refused', error_code: error.code, field: error.field }, error.code);
    return { what, reference: null, ...whyUnread(error) };
  }
  const script = 'console';
  const own = log.child({ correlation_id: reference, script, what });
  await flushed(async () => failed(error, { script, correlationId: reference }, own, 'read.failed'));
  return { what, reference, ...whyUnread(error) };
}
