/** Words of a person in a request: an order's key, a reason, a name. */
import { z } from 'zod';

/**
 * A NUL cannot be stored, and other control characters would forge lines of an export. What turns the direction of text shows a
 * second operator other words than those that are recorded.
 */
export const isPlain = (text: string): boolean => !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(text);
export const PLAIN = 'must not hold control characters, nor those that turn the direction of text';

export const words = (most: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(most, `must be at most ${most} characters`)
    .refine(isPlain, PLAIN);
