/** What the columns of a masked row have to hold, computed a second time: a keyed hash by Node's own functions. */
import { createHmac, hkdfSync } from 'node:crypto';
import type { Policy } from '../../../policies/contract';

/** Of this proof's services. */
export const MASK_KEY = '5a'.repeat(32);

/** Undefined: only the run knows it. */
export function maskedValues(
  { strategy }: Policy,
  values: Readonly<Record<string, string | null>>,
): Record<string, string | null | undefined> {
  if (strategy.kind === 'soft-delete') return { [strategy.column]: undefined };
  if (strategy.kind !== 'mask') return {};
  const masked = strategy.columns.map(({ column, to }) => {
    if (to === null) return [column, null];
    return [column, 'constant' in to ? String(to.constant) : hashed(values[column] ?? null, to.hash)];
  });
  return { ...Object.fromEntries(masked), [strategy.mark]: undefined };
}

function hashed(value: string | null, purpose: string): string | null {
  if (value === null) return null;
  const key = Buffer.from(hkdfSync('sha256', Buffer.from(MASK_KEY, 'hex'), '', `lapse.mask/${purpose}`, 32));
  return createHmac('sha256', key).update(value, 'utf8').digest('hex');
}
