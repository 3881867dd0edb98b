/**
 * What an approval names (G3): a SHA-256 over everything that would make it another deletion: each row by its key and
 * what is deleted with it, hashed by the database in the order of the walk. The same bytes from the preview, and again
 * from the recount just before the first delete, or the approval is void.
 */
import { createHash } from 'node:crypto';
import type { Preview } from '../../platform/outcome';

export interface Previewed
  extends Pick<Preview, 'expired' | 'bytes' | 'files' | 'byRule' | 'dependants' | 'rowsSha256'> {
  readonly policy: string;
  readonly version: string;
  readonly asOf: string;
  readonly expiresAt: string;
}

/** A day: long enough to ask a colleague, short enough that the data is still what was looked at. */
const VALID_SECONDS = 86_400;

export const expiryOf = (asOf: string): string =>
  new Date(new Date(asOf).getTime() + VALID_SECONDS * 1000).toISOString();

export function digestOf(previewed: Previewed): string {
  const byName = (entries: (string | number)[][]) =>
    entries.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
  const byRule = byName(
    Object.entries(previewed.byRule).map(([label, r]) => [label, r.expired, r.bytes, r.files]),
  );
  const dependants = byName(Object.entries(previewed.dependants));
  const { policy, version, asOf, expired, bytes, files, rowsSha256, expiresAt } = previewed;
  const facts = [policy, version, asOf, expired, bytes, files, byRule, dependants, rowsSha256, expiresAt];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
