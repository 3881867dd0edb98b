/**
 * Links that let their recipient do one thing, once, until they expire: no account, no operator. A link is bound to its
 * purpose, to whose data it is about and to exactly what it was made for; all of that is signed, none of it secret, and none of it
 * may be an address or a name. Using it is one row of table retention.link_use, written in the transaction of the act:
 * one that was tampered with, has expired or was used does nothing. Looking at it is no use: mail scanners follow links.
 */
import { hkdfSync } from 'node:crypto';
// jose: signs and checks JSON Web Tokens without dependencies; the console signs its sessions with it too.
import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { RequestError } from '../platform/errors';
import { oneRow, type Query, query } from '../platform/query';
import type { LinkSettings } from '../platform/settings/links';
import { sql } from '../platform/sql';

/** What a link may let somebody do; each is accepted by one route. */
export type Purpose = 'notice.download' | 'notice.extend' | 'notice.unsubscribe' | 'export.download';

export interface Link {
  /** Known by it when it is used. */
  readonly id: string;
  readonly purpose: Purpose;
  /** Whose data. */
  readonly subject: { readonly scope: 'organization' | 'user'; readonly id: string };
  /** What else it is bound to: a policy, a notice, a digest. */
  readonly about: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

/** Whoever holds the link learns what to do next; nothing was done. */
export class LinkError extends RequestError {}

const invalid = (): LinkError =>
  new LinkError(404, 'link_invalid', 'this link is not complete or was changed: open it from the mail again');
const linkExpired = (): LinkError => new LinkError(410, 'link_expired', 'this link has expired');
const linkUsed = (): LinkError => new LinkError(410, 'link_used', 'this link has been used already');

const ALGORITHM = 'HS256';
const ISSUER = 'lapse';
/** Longer than any that is made. */
const LONGEST_TOKEN = 4_096;

const keyOf = (key: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', Buffer.from(key, 'hex'), '', 'lapse.links', 32));

const Claims = z.object({
  jti: z.uuid(),
  exp: z.number(),
  scope: z.enum(['organization', 'user']),
  sub: z.string().min(1),
  about: z.record(z.string(), z.string()),
});

/** The part of a link's address that is signed. */
export const signLink = (settings: LinkSettings, link: Link): Promise<string> =>
  new SignJWT({ scope: link.subject.scope, about: link.about })
    .setProtectedHeader({ alg: ALGORITHM })
    .setIssuer(ISSUER)
    .setAudience(link.purpose)
    .setSubject(link.subject.id)
    .setJti(link.id)
    .setExpirationTime(link.expiresAt)
    .sign(keyOf(settings.keys[0]!));

/** The whole address; `path` is the route of the purpose. */
export const linkTo = async (settings: LinkSettings, path: string, link: Link): Promise<string> =>
  `${settings.url}${path}?link=${await signLink(settings, link)}`;

/** What a token says, when it was signed for this purpose and has not expired. Throws LinkError. */
export async function readLink(
  settings: LinkSettings,
  token: string,
  purpose: Purpose,
  now: Date,
): Promise<Link> {
  if (token.length > LONGEST_TOKEN) throw invalid();
  const claims = Claims.safeParse(await verified(settings, token, purpose, now));
  if (!claims.success) throw invalid();
  const { jti, exp, scope, sub, about } = claims.data;
  return { id: jti, purpose, subject: { scope, id: sub }, about, expiresAt: new Date(exp * 1000) };
}

async function verified(
  { keys }: LinkSettings,
  token: string,
  audience: Purpose,
  currentDate: Date,
): Promise<JWTPayload> {
  const expected = { issuer: ISSUER, audience, currentDate };
  const demanded = { ...expected, algorithms: [ALGORITHM], requiredClaims: ['exp'] };
  for (const key of keys) {
    try {
      return (await jwtVerify(token, keyOf(key), demanded)).payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw linkExpired();
    }
  }
  throw invalid();
}

const Use = z.object({ refused: z.enum(['used', 'expired']).nullable() }).transform((row) => row.refused);

/**
 * Uses a link, once, in the transaction of whatever it is sent with: null, or why it does nothing. A function of the database that
 * acts for a link calls retention.use_link itself.
 */
export const useLink = ({ id, purpose, expiresAt }: Link): Query<'used' | 'expired' | null> =>
  query(
    sql`select retention.use_link(${id}::uuid, ${purpose}, ${expiresAt.toISOString()}::timestamptz) as refused`,
    oneRow(Use),
  );

/** Throws LinkError where a link was refused. */
export function refuseUsed(refused: 'used' | 'expired' | null): void {
  if (refused === 'used') throw linkUsed();
  if (refused === 'expired') throw linkExpired();
}
