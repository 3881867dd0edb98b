/**
 * The head of the chain, to be kept where the database's owner cannot reach it: with it, a cut-off tail shows
 * too (G4). Signed with Ed25519 (RFC 8032) when LAPSE_AUDIT_SIGNING_KEY is set; the signature covers exactly
 * the bytes of `text`.
 */
import { createPrivateKey, createPublicKey, sign, verify as verifySignature } from 'node:crypto';
import { z } from 'zod';
import { maybeRow, type Query, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { type Sql, sql, utc } from '../../platform/sql';
import type { Services } from '../../services';

const STATEMENT_MS = 5_000;

export interface ExportedHead {
  /** JSON of installation, n, hash, at, exportedAt, in this order. */
  readonly text: string;
  /** Base64; null without a key. */
  readonly signature: string | null;
  /** SPKI DER in base64, to verify with; null without a key. */
  readonly publicKey: string | null;
}

/** Whatever stands there: verification says what is wrong with it. */
const Head = z.object({ n: z.coerce.number(), hash: z.coerce.string(), at: z.coerce.string() });
export type Head = z.infer<typeof Head>;

const headOf = (from: Sql): Query<Head | null> =>
  query(sql`select n::text, hash, ${utc(sql`at`)} as at from ${from}`, maybeRow(Head));
const NEWEST = headOf(sql`retention.audit_entry e order by e.n desc limit 1`);

/** The last entry behind which receipts may be taken away now, of the next `most` that sealed a run. */
export const trimmableHead = (keepDays: number, most: number): Query<Head | null> =>
  headOf(sql`retention.trimmable_head(${keepDays}::int, ${most}::int) where n is not null`);

/** The newest entry, or `which`. Null when there is none. */
export const chainHead = ({ database }: Services, which = NEWEST): Promise<Head | null> =>
  askOne(database, which, { statementMs: STATEMENT_MS, readOnly: true });

/** Null when nothing has been written yet. */
export async function exportHead(services: Services): Promise<ExportedHead | null> {
  const head = await chainHead(services);
  return head && signHead(services, head);
}

export function signHead({ clock, settings }: Services, { n, hash, at }: Head): ExportedHead {
  const exportedAt = clock().toISOString();
  const text = JSON.stringify({ installation: settings.namespace, n, hash, at, exportedAt });
  const { auditSigningKey } = settings;
  if (auditSigningKey === undefined) return { text, signature: null, publicKey: null };
  const key = createPrivateKey({ key: Buffer.from(auditSigningKey, 'base64'), format: 'der', type: 'pkcs8' });
  return {
    text,
    signature: sign(null, Buffer.from(text), key).toString('base64'),
    publicKey: createPublicKey(key).export({ format: 'der', type: 'spki' }).toString('base64'),
  };
}

/** Reads an exported head back. Throws when its signature does not fit the key. */
export function readHead(
  head: ExportedHead,
  publicKey: string | null = head.publicKey,
): { n: number; hash: string } {
  if (publicKey !== null) {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
    const fits = verifySignature(
      null,
      Buffer.from(head.text),
      key,
      Buffer.from(head.signature ?? '', 'base64'),
    );
    if (!fits)
      throw new Error('the signature of the exported head does not fit: it is not what was exported');
  }
  const { n, hash } = z.object({ n: z.number().int(), hash: z.string() }).parse(JSON.parse(head.text));
  return { n, hash };
}
