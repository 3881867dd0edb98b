/**
 * Verifies a certificate of an erasure without a database and without any key of the installation: its signature by the
 * public key, and, where the exported chain is given, that the chain is whole and that its entry holds the hash of this
 * certificate. Every byte counts: a file that was written in another way is another file.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import { entryHash, GENESIS } from '../operators/audit/hash';

const Signed = z.strictObject({ text: z.string(), signature: z.string(), publicKey: z.string() });
const Text = z.object({ certificate: z.string(), entry: z.object({ n: z.number(), hash: z.string() }) });
const Line = z.strictObject({ fields: z.array(z.string()).length(8), hash: z.string() });

export interface Verified {
  /** Empty: it is what was signed, and what the chain says. */
  readonly problems: readonly string[];
  /** What it certifies; null where it is not what was signed. */
  readonly certificate: unknown;
}

/** `file`: as it was given out. `chain`: as `npm run audit:verify -- --export` writes it. `key`: the public key as it was published. */
export function verifyCertificate(
  file: string,
  { chain, key }: { chain?: string | undefined; key?: string | undefined } = {},
): Verified {
  const signed = exactly(Signed, file.endsWith('\n') ? file.slice(0, -1) : file);
  if (!signed) return { problems: ['this is no certificate as it was given out'], certificate: null };
  const text = exactly(Text, signed.text);
  const problems = [
    ...(key !== undefined && key !== signed.publicKey
      ? ['another key signed it than the published one']
      : []),
    ...(isSigned(signed) ? [] : ['the signature does not fit: it was changed, or someone else signed it']),
    ...(text ? [] : ['what was signed is no certificate']),
    ...(text && chain !== undefined ? chainProblems(chain, text) : []),
  ];
  const holds = problems.length === 0 && text !== null;
  return { problems, certificate: holds ? JSON.parse(text.certificate) : null };
}

/** Null where the text is not exactly what this program would write. */
function exactly<T>(form: z.ZodType<T>, text: string): T | null {
  try {
    const read = form.parse(JSON.parse(text));
    return JSON.stringify(read) === text ? read : null;
  } catch {
    return null;
  }
}

function isSigned({ text, signature, publicKey }: z.infer<typeof Signed>): boolean {
  const made = Buffer.from(signature, 'base64');
  // The last letter of base64 has bits that mean nothing.
  if (made.toString('base64') !== signature) return false;
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
    const isWhole = key.export({ format: 'der', type: 'spki' }).toString('base64') === publicKey;
    return isWhole && verify(null, Buffer.from(text), key, made);
  } catch {
    return false;
  }
}

/** The chain from its first entry, each hash and each link; then the entry that ended the erasure. */
function chainProblems(chain: string, { certificate, entry }: z.infer<typeof Text>): string[] {
  if (!chain.endsWith('\n')) return ['the exported chain is cut off'];
  let [before, n, isThere] = [GENESIS, 0, false];
  for (const line of chain.slice(0, -1).split('\n')) {
    n += 1;
    const read = exactly(Line, line);
    const isWhole =
      read?.fields[0] === String(n) && read.fields[7] === before && entryHash(read.fields) === read.hash;
    if (!isWhole) return [`entry ${n} of the chain is not what was written`];
    before = read.hash;
    if (n === entry.n) isThere = read.hash === entry.hash && names(read.fields, certificate);
  }
  return isThere ? [] : [`the chain has no entry ${entry.n} that names this certificate`];
}

function names(fields: readonly string[], certificate: string): boolean {
  const detail = z.object({ certificate_sha256: z.string() }).safeParse(JSON.parse(fields[6]!));
  const hash = createHash('sha256').update(certificate).digest('hex');
  return fields[3] === 'erasure.done' && detail.data?.certificate_sha256 === hash;
}
