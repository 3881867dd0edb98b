/**
 * What a person wrote for a key, read without changing a letter of it. Either plainly, for a key of one column,
 * or as a JSON array with one value a column, in which any character can be written. Invisible characters come
 * with a pasted id and make it another one, so the plain form refuses them.
 */
import { z } from 'zod';
import { RequestError } from '../platform/errors';

/** More than an index lets any key have: PostgreSQL ends at a third of a page, compressed. */
const MOST_BYTES = 8_192;
/** JavaScript reads this many digits of a number without changing it. */
const EXACT_DIGITS = 15;

const value = z.union([z.string(), z.boolean(), z.number()]);
export const Written = z.union([z.string(), z.array(value)], {
  error: 'must be a text, or an array with one value for each column of the key',
});
export type Written = z.output<typeof Written>;

export interface Parts {
  readonly values: readonly string[];
  /** True: written as an array. */
  readonly listed: boolean;
}

/** Throws RequestError 422 that names `field`. */
export function readParts(field: string, written: Written): Parts {
  const parts =
    typeof written === 'string' ? ofText(field, written) : { values: written.map(plain), listed: true };
  if (parts.values.length === 0) refuse(field, 'must have one value for each column of the key');
  if (Buffer.byteLength(parts.values.join('')) > MOST_BYTES) {
    refuse(field, `must be at most ${MOST_BYTES} bytes`);
  }
  for (const v of parts.values) {
    if (v.includes('\0') || !v.isWellFormed()) refuse(field, 'no key can hold a NUL or half a character');
  }
  return parts;

  function plain(v: string | number | boolean): string {
    if (typeof v !== 'number' || String(v).replace(/e.*|\D/g, '').length <= EXACT_DIGITS) return String(v);
    return refuse(field, `write a number of more than ${EXACT_DIGITS} digits in quotes`);
  }
}

function ofText(field: string, text: string): Parts {
  if (text.startsWith('[')) {
    const values = arrayOf(text);
    if (values) return { values, listed: true };
  }
  if (text === '') refuse(field, 'must not be empty; an empty text is written [""]');
  // Control, format and default-ignorable characters, and every blank but the ordinary one.
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}]|(?! )\p{Z}/u.test(text)) {
    refuse(
      field,
      'holds invisible characters, which often come with a pasted id; if they are part of it, write it as JSON with escapes: ["..."]',
    );
  }
  return { values: [text], listed: false };
}

/** Numbers as they are written, however many digits they have. Null: not an array of plain values. */
function arrayOf(text: string): string[] | null {
  try {
    JSON.parse(text);
    // Valid JSON: whatever begins with a digit or a minus outside a text is a number.
    const quoted = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (t) =>
      t.startsWith('"') ? t : `"${t}"`,
    );
    const parsed = z.array(z.union([z.string(), z.boolean()])).safeParse(JSON.parse(quoted));
    return parsed.success ? parsed.data.map(String) : null;
  } catch {
    return null;
  }
}

function refuse(field: string, why: string): never {
  throw new RequestError(422, 'bad_key', `${field} ${why}`, field);
}
