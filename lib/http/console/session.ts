/**
 * Who is signed in: a cookie that only this installation can read, and that no script can. It carries the operator's own
 * token, which the database demands for each act, so it is encrypted, not only signed. Name and role are never taken from
 * it: the token is looked up in LAPSE_OPERATORS at each request, so that removing it there ends the session.
 */
import { createHash, hkdfSync } from 'node:crypto';
import { EncryptJWT, jwtDecrypt } from 'jose';
import { z } from 'zod';
import type { Settings } from '../../platform/settings';
import { operatorWith } from '../../platform/settings/operators';
import { may, type Permission, type Role } from '../../platform/settings/roles';

/** Only over TLS, only for this host, only with all of them set: a browser refuses the prefix otherwise. */
export const SESSION_COOKIE = '__Host-lapse';
/** A working day. */
export const SESSION_SECONDS = 8 * 3_600;
const ABOUT = { issuer: 'lapse', audience: 'lapse:console' };

/** An operator at the console. */
export interface Who {
  readonly name: string;
  readonly roles: readonly Role[];
  /** For the database: lib/platform/session.ts `operatorToken`. */
  readonly token: string;
  readonly may: (permission: Permission) => boolean;
}

export type SessionSettings = Pick<Settings, 'operators' | 'sessionSecret'>;

const Claims = z.object({ name: z.string(), token: z.string(), of: z.string() });

/** Of the token's hash: tells two tokens of one name apart without naming either. */
const fingerprint = (token: string): string => createHash('sha256').update(token).digest('hex').slice(0, 16);

/** One key for each purpose, so that what is sealed for one opens nothing else. */
export const keyFor = (secret: string, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, '', `lapse console ${purpose}`, 32));

/** The cookie's value. Null: no operator has this token, or the console has no secret. */
export async function signIn(token: string, settings: SessionSettings, now: Date): Promise<string | null> {
  const operator = operatorWith(token, settings.operators);
  if (operator === null || settings.sessionSecret === undefined) return null;
  return new EncryptJWT({ name: operator.name, token, of: fingerprint(token) })
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .setIssuer(ABOUT.issuer)
    .setAudience(ABOUT.audience)
    .setIssuedAt(now)
    .setExpirationTime(new Date(now.getTime() + SESSION_SECONDS * 1000))
    .encrypt(keyFor(settings.sessionSecret, 'session'));
}

/** Null: not signed in, expired, tampered with, sealed with another secret, or no longer an operator. */
export async function whoHas(
  cookie: string | undefined,
  { operators, sessionSecret }: SessionSettings,
  now: Date,
): Promise<Who | null> {
  if (!cookie || sessionSecret === undefined) return null;
  const claims = await opened(cookie, sessionSecret, now);
  if (claims === null || claims.of !== fingerprint(claims.token)) return null;
  const operator = operatorWith(claims.token, operators);
  if (operator === null || operator.name !== claims.name) return null;
  const { name, roles } = operator;
  return { name, roles, token: claims.token, may: (permission) => may(roles, permission) };
}

async function opened(cookie: string, secret: string, now: Date): Promise<z.output<typeof Claims> | null> {
  try {
    const { payload } = await jwtDecrypt(cookie, keyFor(secret, 'session'), {
      ...ABOUT,
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
      currentDate: now,
    });
    return Claims.parse(payload);
  } catch {
    return null;
  }
}
