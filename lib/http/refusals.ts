/**
 * How often strangers may be refused by one instance: counted in its memory, so that a flood of wrong tokens costs
 * neither Redis nor the database a command. Guessing 256 random bits is hopeless anyway.
 */
import { RequestError } from '../platform/errors';

/** An operator who mistypes a token tries a few times; a script tries thousands of times. */
const PER_MINUTE = 30;
const MINUTE_MS = 60_000;

export interface Refusals {
  /** Counts one more. Throws RequestError 429 beyond the limit, otherwise the error it was passed. */
  refuse(error: RequestError): never;
}

export function refusals(nowMs: () => number = () => performance.now()): Refusals {
  let since = nowMs();
  let count = 0;
  return {
    refuse(error) {
      if (nowMs() - since >= MINUTE_MS) {
        since = nowMs();
        count = 0;
      }
      count += 1;
      if (count > PER_MINUTE) {
        throw new RequestError(
          429,
          'too_many',
          `more than ${PER_MINUTE} refused requests a minute; wait one`,
        );
      }
      throw error;
    },
  };
}
