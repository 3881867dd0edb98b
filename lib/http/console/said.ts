/**
 * What an act answers to the page that comes after it: a sentence and, when it was refused, the field at fault and what was
 * typed. In an encrypted cookie of a minute, because what is typed may name a person and an address is written into logs; the
 * address carries only its number, so that no other tab shows it. What was sent when the session had ended waits longer, in a cookie
 * of its own, which no try to sign in overwrites.
 */
import { randomBytes } from 'node:crypto';
import { EncryptJWT, jwtDecrypt } from 'jose';
import { z } from 'zod';
import { setCookie } from './cookies';
import { keyFor } from './session';

export const SAID_COOKIE = '__Host-lapse-said';
/** What a form brought after the end of its session. */
export const UNSENT_COOKIE = '__Host-lapse-unsent';
/** The parameter of the address. */
export const SAID = 'said';
/** The next page follows at once; who has to sign in first looks for a token. */
const SECONDS = { [SAID_COOKIE]: 60, [UNSENT_COOKIE]: 900 };
/** A browser keeps cookies of 4 kB, and encryption takes a third more. */
const MOST_BYTES = 2_400;

const Shape = z.object({
  id: z.string(),
  done: z.boolean(),
  text: z.string(),
  /** The id of the form that was sent. */
  form: z.string().optional(),
  field: z.string().optional(),
  typed: z.record(z.string(), z.string()),
});
type Shape = z.output<typeof Shape>;
export type Said = Omit<Shape, 'id'>;

/** For one form of a page that has several. */
export const saidTo = (said: Said | null, form: string): Said | null => (said?.form === form ? said : null);

/** `path` with the number of what is said, and the cookie that says it. */
export async function say(
  said: Said,
  path: string,
  secret: string,
  now: Date,
  name: keyof typeof SECONDS = SAID_COOKIE,
): Promise<{ location: string; cookie: string }> {
  const id = randomBytes(9).toString('base64url');
  const sealed = await new EncryptJWT({ ...fitting(said), id })
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .setExpirationTime(new Date(now.getTime() + SECONDS[name] * 1000))
    .encrypt(keyFor(secret, 'said'));
  const to = new URL(path, 'http://console');
  to.searchParams.set(SAID, id);
  return { location: `${to.pathname}${to.search}`, cookie: setCookie(name, sealed, SECONDS[name]) };
}

/** Null unless the cookie says what the address asks for. */
export async function whatWasSaid(
  cookie: string | undefined,
  id: string | undefined,
  secret: string | undefined,
  now: Date,
): Promise<Said | null> {
  if (!cookie || !id || secret === undefined) return null;
  try {
    const { payload } = await jwtDecrypt(cookie, keyFor(secret, 'said'), {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
      currentDate: now,
    });
    const said = Shape.parse(payload);
    return said.id === id ? said : null;
  } catch {
    return null;
  }
}

const TOO_LONG =
  'Not all that you typed fits into the answer: the Back button of the browser may still have it.';

/** The sentence goes in any case; of what was typed the shortest fields first, and that some are missing is said. */
function fitting(said: Said): Said {
  const size = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
  if (size(said) <= MOST_BYTES) return said;
  const fits = { ...said, text: `${said.text.slice(0, 400)} ${TOO_LONG}`, typed: {} };
  const fields = Object.entries(said.typed).sort(([, a], [, b]) => size(a) - size(b));
  for (const [name, value] of fields) {
    const more = { ...fits.typed, [name]: value };
    if (size({ ...fits, typed: more }) > MOST_BYTES) break;
    fits.typed = more;
  }
  return fits;
}
