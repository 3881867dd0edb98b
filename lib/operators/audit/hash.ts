/**
 * The chain's hash, written a second time: verification must not ask the database whether the database is
 * right. Fields travel as PostgreSQL's own text and are joined as length:value, so no two entries look alike.
 */
import { createHash } from 'node:crypto';

export const GENESIS = '0'.repeat(64);

/** What the hash of a receipt takes for its keys, in each form but the first; no form can give what another does. */
export function keysHash(form: number, bytes: Buffer): string {
  const hash = createHash('sha256').update(bytes).digest('hex');
  return form === 2 ? hash : `${form}:${hash}`;
}

const field = (value: string): string => `${Buffer.byteLength(value)}:${value},`;

/** Over n, at, actor, action, subject, reason, detail, prev, in this order. */
export const entryHash = (fields: readonly string[]): string =>
  createHash('sha256').update(fields.map(field).join('')).digest('hex');

/** Of one receipt: see receiptsAfter in lib/operators/audit/sealed-run.ts for the order. */
export const receiptHash = (fields: readonly string[]): Buffer =>
  createHash('sha256').update(fields.map(field).join('')).digest();

/** Over all receipts of a run, in the order of their numbers. */
export class RunDigest {
  readonly #hash = createHash('sha256');

  /** The receiptHash of the next receipt. */
  add(hash: Buffer): void {
    this.#hash.update(hash);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}
