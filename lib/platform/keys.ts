/**
 * Keys for one purpose each, derived from a secret of the environment (HKDF-SHA256, RFC 5869): what is encrypted or hashed
 * under one purpose tells nothing about another. A key never stands in the text of a statement, in a log or in an answer.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** A secret of 32 bytes: `openssl rand -hex 32`. */
export const KEY = /^[0-9a-f]{64}$/i;

export const keyFor = (secret: string, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', Buffer.from(secret, 'hex'), '', purpose, 32));

export const keyedHash = (key: Buffer, text: string): string =>
  createHmac('sha256', key).update(text, 'utf8').digest('hex');

/** HMAC's two padded keys in hex, so that a database needs nothing but SHA-256 (RFC 2104). */
export function hmacKeys(key: Buffer): { inner: string; outer: string } {
  const padded = (byte: number): string =>
    Buffer.from(Array.from({ length: 64 }, (_, i) => byte ^ (key[i] ?? 0))).toString('hex');
  return { inner: padded(0x36), outer: padded(0x5c) };
}

const CIPHER = 'aes-256-gcm';
/** What a sealed text begins with; another form would get another. */
const FORM = 1;
const [NONCE_BYTES, TAG_BYTES] = [12, 16];

/** Encrypted and authenticated (AES-256-GCM) together with what it is about, so that it cannot pass for another one's. */
export function seal(key: Buffer, text: string, about: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(about));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.of(FORM), nonce, cipher.getAuthTag(), body]);
}

/** Null: not sealed with this key, about something else, or changed since. */
export function unseal(key: Buffer, sealed: Buffer, about: string): string | null {
  const [tagAt, bodyAt] = [1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES];
  if (sealed.length < bodyAt || sealed[0] !== FORM) return null;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(1, tagAt), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(about)).setAuthTag(sealed.subarray(tagAt, bodyAt));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(bodyAt)), decipher.final()]).toString('utf8');
  } catch {
    return null;
  }
}
