/** One part of a page, read: when it fails, the part says so and the rest of the page stands. */
import { randomUUID } from 'node:crypto';
import { LapseError } from '../../platform/errors';
import { capture } from '../../platform/sentry';
import type { Services } from '../../services';

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  /** `reference`: the correlation id under which the log has it. */
  | { readonly ok: false; readonly what: string; readonly reference: string };

/** `what` begins the sentence "… could not be read." Never throws. */
export async function reading<T>(
  { log }: Pick<Services, 'log'>,
  what: string,
  work: () => Promise<T>,
): Promise<Read<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    const reference = randomUUID();
    capture(error, { policy: 'console', correlationId: reference });
    // Words that Lapse did not choose may hold a row's values.
    const message = error instanceof LapseError ? error.message : 'unexpected error';
    log.error({ correlation_id: reference, script: 'console', event: 'read.failed', what }, message);
    return { ok: false, what, reference };
  }
}
