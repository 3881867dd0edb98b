/**
 * Who may act: operators by name, each with a token of their own. The environment keeps only SHA-256 hashes
 * (tokens are long and random, so a plain hash is enough); a token is compared with every hash in constant
 * time, so that the time reveals neither its content nor its owner.
 */
import { createHash, createPrivateKey, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ORDER_JOB, OWN_JOBS } from '../jobs';
import { may, ROLES, type Role, WITHOUT_ROLE } from './roles';

export interface Operator {
  readonly name: string;
  readonly sha256: string;
  readonly roles: readonly Role[];
}

const FORM = `must be name:role:sha256 entries, e.g. alice:approver:9f86…(64 hex digits),bob:…; the roles are ${ROLES.join(', ')}, several joined by +; without one: ${WITHOUT_ROLE.join('+')}`;
/** The name, the role or roles with their colon, the hash. */
const ENTRY = new RegExp(
  `^([a-z][a-z0-9._-]{0,63}):(?:((?:${ROLES.join('|')})(?:\\+(?:${ROLES.join('|')}))*):)?([0-9a-f]{64})$`,
);

/** Names under which services act in the records: an operator of such a name would be taken for one of them. */
const RESERVED: readonly string[] = [
  ...['cron', 'manual', 'lapse', 'system', ORDER_JOB.name],
  ...OWN_JOBS.map((j) => j.name),
];

/** The one in use and its successor. */
const MOST_TOKENS = 2;

/**
 * Reads `alice:approver:<hex>,bob:<hex>`. A name may appear twice while its token is being changed: both are one person, who
 * never counts as two and has the same role with either. One token for two names would make the audit ambiguous.
 */
export const operatorList = z.string().transform((text, context): Operator[] => {
  const entries = text
    .split(',')
    .map((e) => e.trim())
    .filter(Boolean);
  const operators = entries.map((e) => ENTRY.exec(e.toLowerCase()));
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
  const list = operators.map((o) => ({ name: o![1]!, roles: rolesIn(o![2]), sha256: o![3]! }));
  const problem = problemOf(list);
  if (problem === null) return list;
  context.addIssue({ code: 'custom', message: problem });
  return z.NEVER;
});

const rolesIn = (written: string | undefined): readonly Role[] =>
  written === undefined ? WITHOUT_ROLE : ROLES.filter((role) => written.split('+').includes(role));

/** What is wrong with entries that can each be read. */
function problemOf(list: readonly Operator[]): string | null {
  const of = (name: string) => list.filter((p) => p.name === name);
  const crowded = list.find((o) => of(o.name).length > MOST_TOKENS);
  if (crowded) {
    return `has more than ${MOST_TOKENS} tokens for ${crowded.name}: the one in use and its successor are enough`;
  }
  const unequal = list.find((o) => of(o.name).some((p) => p.roles.join() !== o.roles.join()));
  if (unequal) return `has two roles for ${unequal.name}: join them by +, the same in both entries`;
  const isShared = new Set(list.map((o) => o.sha256)).size < list.length;
  return isShared ? 'has the same token in two entries' : null;
}

/**
 * Those by whose token the database lets somebody act: who only looks is nobody there. Where nobody may more, all of them: with
 * none in it a name would be enough.
 */
export function actorsIn(operators: readonly Operator[]): readonly Operator[] {
  const actors = operators.filter((o) => may(o.roles, 'stop'));
  return actors.length > 0 ? actors : operators;
}

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

const TOKEN = /^[\x21-\x7e]{16,512}$/;

/** The token of `Authorization: Bearer`, when it could be an operator's. */
export const tokenOf = (authorization: string | null): string | null => {
  const [, token = ''] = /^Bearer (.*)$/s.exec(authorization ?? '') ?? [];
  return TOKEN.test(token) ? token : null;
};

/** The operator a request's `Authorization: Bearer` names, or null. */
export function operatorOf(authorization: string | null, operators: readonly Operator[]): Operator | null {
  const token = tokenOf(authorization);
  return token === null ? null : operatorWith(token, operators);
}

/** Whose token it is, or null: compared with every hash, and no earlier end for a hit. */
export function operatorWith(token: string, operators: readonly Operator[]): Operator | null {
  const given = createHash('sha256').update(token).digest();
  let found: Operator | null = null;
  for (const o of operators) {
    if (timingSafeEqual(given, Buffer.from(o.sha256, 'hex'))) found = o;
  }
  return TOKEN.test(token) ? found : null;
}
