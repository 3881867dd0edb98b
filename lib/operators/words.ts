/** Words of a person in a request: an order's key, a reason, a name. */
import { z } from 'zod';

export const words = (most: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(most, `must be at most ${most} characters`)
    // A NUL cannot be stored, and other control characters would forge lines of an export.
    .refine((s) => !/\p{Cc}/u.test(s), 'must not hold control characters');
