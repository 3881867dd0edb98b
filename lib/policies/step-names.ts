/**
 * The names under which steps of erasures run and are recorded where no policy does what they do, and the words people read instead.
 * Records, metrics and the API keep the names: they are keys.
 */

export const ERASURE_STEP = {
  delete: 'erasure',
  mask: 'erasure-mask',
  detach: 'erasure-detach',
  ended: 'erasure-ended',
} as const;

/** Names of policies have no colon: none of these is ever taken for one. */
export const isErasureStep = (name: string): boolean => name.includes(':');

const WORDS: Readonly<Record<string, (what: string) => string>> = {
  [ERASURE_STEP.delete]: (table) => `erasure of ${table}`,
  [ERASURE_STEP.mask]: (table) => `erasure, masking ${table}`,
  [ERASURE_STEP.detach]: (column) => `erasure, clearing ${column}`,
  [ERASURE_STEP.ended]: (columns) => `erasure, emptying ${columns}, no longer retained`,
};

/** A policy keeps its name; `erasure-detach:public.invoices.user_id` is "erasure, clearing public.invoices.user_id". */
export function policyInWords(name: string): string {
  const colon = name.indexOf(':');
  return WORDS[name.slice(0, Math.max(0, colon))]?.(name.slice(colon + 1)) ?? name;
}
