/**
 * Keys for one purpose each, derived from a secret of the environment (HKDF-SHA256, RFC 5869): what is encrypted or hashed
 * under one purpose tells nothing about another. A key never stands in the text of a statement, in a log or in an answer.
 */
import { createHmac, hkdfSync } from 'node:crypto';

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
