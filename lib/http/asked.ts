/** What a caller sent, read by its schema: a 400 that names the field, and beside one that is unknown those there are. */
import { z } from 'zod';
import { isPlain, PLAIN } from '../operators/words';
import { RequestError } from '../platform/errors';

/** Why an operator asks for something; it stands in the audit chain. */
export const reason = z
  .string()
  .trim()
  .min(3, 'must say why, e.g. the number of the request')
  .max(500, 'must be at most 500 characters')
  .refine(isPlain, PLAIN);

/** Throws RequestError 400. */
export function checked<S extends z.ZodObject>(schema: S, given: unknown): z.output<S> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const isUnknown = issue.code === 'unrecognized_keys';
  const field = isUnknown ? issue.keys[0]! : String(issue.path[0] ?? 'body');
  const fields = Object.keys(schema.shape).join(', ');
  const what = isUnknown ? `is not a field; the fields are ${fields}` : issue.message;
  throw new RequestError(400, 'bad_parameter', `${field}: ${what}`, field);
}
