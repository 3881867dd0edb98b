/** One part of a page, read: when it fails, the part says so and the rest of the page stands. */
import { randomUUID } from 'node:crypto';
import type { Services } from '../../services';
import { failed } from '../answered';

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
    const script = 'console';
    const own = log.child({ correlation_id: reference, script, what });
    failed(error, { script, correlationId: reference }, own, 'read.failed');
    return { ok: false, what, reference };
  }
}
