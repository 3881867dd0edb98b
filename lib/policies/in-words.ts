/** A policy's rules as sentences, from the declaration itself: for the status page and the documents. */
import type { Policy } from './contract';
import { periodInWords } from './period';
import { strategyOf } from './strategies';

export { periodInWords };

/** One entry a rule, e.g. `failed: after 7 days`. */
export function inWords(policy: Policy): string[] {
  const { behindRule } = strategyOf(policy).words;
  return policy.rules.map(({ label, keepFor }) =>
    keepFor.seconds === null
      ? `${label}: kept forever${behindRule}`
      : `${label}: after ${periodInWords(keepFor)}${behindRule}`,
  );
}
