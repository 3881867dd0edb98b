/**
 * Who may act: operators by name, each with a token of their own. The environment keeps only SHA-256 hashes
 * (tokens are long and random, so a plain hash is enough); a token is compared with every hash in constant
 * time, so that the time reveals neither its content nor its owner.
 */
import { createHash, createPrivateKey, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ORDER_JOB, OWN_JOBS } from '../jobs';

export interface Operator {
  readonly name: string;
  readonly sha256: string;
}

const FORM = 'must be name:sha256 pairs, e.g. alice:9f86…(64 hex digits),bob:…';

/** Names under which services act in the records: an operator of such a name would be taken for one of them. */
const RESERVED: readonly string[] = [
  ...['cron', 'manual', 'lapse', 'system', ORDER_JOB.name],
  ...OWN_JOBS.map((j) => j.name),
];

/** The one in use and its successor. */
const MOST_TOKENS = 2;

/**
 * Reads `alice:<hex>,bob:<hex>`. A name may appear twice while its token is being changed: both are one person, who
 * never counts as two. One token for two names would make the audit ambiguous.
 */
export const operatorList = z.string().transform((text, context): Operator[] => {
  const entries = text
    .split(',')
    .map((e) => e.trim())
    .filter(Boolean);
  const operators = entries.map((e) => /^([a-z][a-z0-9._-]{0,63}):([0-9a-f]{64})$/.exec(e.toLowerCase()));
  if (operators.some((o) => o === null)) {
    context.addIssue({ code: 'custom', message: FORM });
    return z.NEVER;
  }
  const reserved = operators.find((o) => RESERVED.includes(o![1]!));
  if (reserved) {
    const message = `must not name an operator ${reserved[1]}: that is the name of a service`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }
  const list = operators.map((o) => ({ name: o![1]!, sha256: o![2]! }));
  const crowded = list.find((o) => list.filter((p) => p.name === o.name).length > MOST_TOKENS);
  const isShared = new Set(list.map((o) => o.sha256)).size < list.length;
  if (!crowded && !isShared) return list;
  const message = crowded
    ? `has more than ${MOST_TOKENS} tokens for ${crowded.name}: the one in use and its successor are enough`
    : 'has the same token in two entries';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** A PKCS #8 Ed25519 key in base64, checked when the process starts. */
export const signingKey = z.string().refine((text) => {
  try {
    const key = createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' });
    return key.asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}, 'must be an Ed25519 private key, PKCS #8 DER in base64');

/** A shorter token could be guessed; its hash would be as long as any other's. */
export const SHORTEST_TOKEN = 16;

/** The token of `Authorization: Bearer`, when it could be an operator's. */
export const tokenOf = (authorization: string | null): string | null =>
  /^Bearer ([\x21-\x7e]{16,512})$/.exec(authorization ?? '')?.[1] ?? null;

/** The operator a request's `Authorization: Bearer` names, or null. */
export function operatorOf(authorization: string | null, operators: readonly Operator[]): string | null {
  const token = tokenOf(authorization);
  if (token === null) return null;
  const given = createHash('sha256').update(token).digest();
  let found: string | null = null;
  for (const o of operators) {
    if (timingSafeEqual(given, Buffer.from(o.sha256, 'hex'))) found = o.name;
  }
  return found;
}
