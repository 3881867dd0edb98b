/**
 * The signature of a webhook, as standardwebhooks.com has it, so that a receiver verifies it with a kept library. It
 * covers the delivery's id and the time, so that an old request cannot be sent again as a new one.
 */
import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';

/** `whsec_` and base64: the bytes of the standard. Anything else is its own bytes, the libraries' `raw` format. */
const keyOf = (secret: string): Buffer =>
  secret.startsWith(PREFIX)
    ? Buffer.from(secret.slice(PREFIX.length), 'base64')
    : Buffer.from(secret, 'utf8');

export const isWebhookSecret = (secret: string): boolean =>
  !secret.startsWith(PREFIX) ||
  /^whsec_(?:[A-Za-z0-9+/]{4}){5,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret);

export function signatureHeaders(secret: string, id: string, body: string, at: Date): Record<string, string> {
  const t = Math.floor(at.getTime() / 1000);
  const hmac = (key: Buffer | string, signed: string) => createHmac('sha256', key).update(signed);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(t),
    'webhook-signature': `v1,${hmac(keyOf(secret), `${id}.${t}.${body}`).digest('base64')}`,
    // Of the first versions: the same id, and a form of its own over the time and the body.
    'x-lapse-delivery': id,
    'x-lapse-signature': `t=${t},v1=${hmac(secret, `${t}.${body}`).digest('hex')}`,
  };
}
