/** Words of a person in a request: an order's key, a reason, a name. */
import { z } from 'zod';

/**
 * A NUL cannot be stored, and other control characters would forge lines of an export. What turns the direction of text shows a
 * second operator other words than those that are recorded.
 */
const NOT_PLAIN = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
export const isPlain = (text: string): boolean => text.search(NOT_PLAIN) < 0;
export const PLAIN = 'must not hold control characters, nor those that turn the direction of text';

/** What can be recorded of it, for what must not be refused because of its words. */
export const recordable = (text: string, most: number): string =>
  text
    .replace(NOT_PLAIN, ' ')
    .trim()
    .slice(0, most)
    .replace(/\p{Surrogate}/gu, '')
    .trim();

export const words = (most: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(most, `must be at most ${most} characters`)
    .refine(isPlain, PLAIN);
