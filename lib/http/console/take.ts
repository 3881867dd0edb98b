/**
 * From a form of the console to the one function an act has: the table of lib/operators/actions.ts, which the control endpoint
 * asks too, with the same checks and the same entry of the audit chain.
 */
import { z } from 'zod';
import { takeAction } from '../../operators/actions';
import { words } from '../../operators/words';
import { RequestError } from '../../platform/errors';
import type { By } from './act';

export const reason = words(500);
export const policy = words(100);
export const id = z.uuid('must be a UUID');
export const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be the digest of the preview');
/** A day of UTC from a date field, as its first instant. */
export const dayOf = z.iso.date('must be a date').transform((day) => `${day}T00:00:00.000Z`);
/** What is left empty in a form was not said. */
export const optional = <T extends z.ZodType>(type: T) =>
  z.preprocess((given) => (given === '' ? undefined : given), type.optional());
export const checkbox = z
  .literal('yes')
  .optional()
  .transform((given) => given === 'yes');

export const take = (by: By, body: Readonly<Record<string, unknown>>): Promise<unknown> => {
  const { services, who } = by;
  const { name: operator, token, roles } = who;
  return takeAction({ services, operator, token, roles }, body);
};

/** As it is read: a page shows any number of spaces as one. */
const asShown = (text: string): string => text.replace(/\s+/gu, ' ').trim();

/** Throws RequestError unless exactly `expected` was typed. */
export function confirmed(typed: string, expected: string): void {
  if (asShown(typed) === asShown(expected)) return;
  throw new RequestError(422, 'not_confirmed', `type ${expected} to confirm; nothing was changed`, 'confirm');
}
